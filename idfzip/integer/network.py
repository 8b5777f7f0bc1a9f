"""The integer network of the flagship: a trunk of dense layers, and a small head per channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from idfzip.errors import ModelError
from idfzip.integer import grid
from idfzip.integer.dense import Floats, Layer, Product, activate, check_bound
from idfzip.integer.jit import kernel

ERROR_INPUTS = 3
"""What a head sees of each channel before its own: the error, its size and its logarithm."""

INPUT_LIMIT = 511


@dataclass(frozen=True)
class Network:
    """Layers on the grids. `heads[c]` takes the trunk's values, then 3 for each channel before."""

    trunk: tuple[Layer, ...]
    heads: tuple[Layer, ...]
    outs: tuple[Layer, ...]

    def __post_init__(self) -> None:
        """Check the shapes and prove the bounds; raises ModelError."""
        inputs = self.trunk[0].weight.shape[0]
        limit = INPUT_LIMIT
        for i, layer in enumerate(self.trunk):
            _check_shape(layer, inputs, f"trunk {i}")
            check_bound(layer, np.full(inputs, limit), f"trunk {i}")
            inputs, limit = layer.weight.shape[1], grid.ACTIVATION_LIMIT
        width = self.heads[0].weight.shape[1]
        for c, (head, out) in enumerate(zip(self.heads, self.outs, strict=True)):
            seen = ERROR_INPUTS * c
            _check_shape(head, inputs + seen, f"head {c}")
            _check_shape(out, width, f"out {c}")
            limits = np.full(inputs + seen, limit)
            limits[inputs:] = INPUT_LIMIT
            check_bound(head, limits, f"head {c}")
            check_bound(out, np.full(width, limit), f"out {c}")

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.heads)

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return int(self.trunk[0].weight.shape[0])

    @property
    def components(self) -> int:
        """Number of logistics in a mixture."""
        return int(self.outs[0].weight.shape[1]) // 3

    @property
    def operations(self) -> int:
        """Products and sums for a pixel."""
        return sum(layer.weight.size for layer in (*self.trunk, *self.heads, *self.outs))

    @cached_property
    def fan(self) -> Layer:
        """The trunk's part of all heads' first layers, side by side; biases are added later."""
        values = self.trunk[-1].weight.shape[1]
        weight = np.concatenate([h.weight[:values] for h in self.heads], axis=1)
        return Layer(weight, np.zeros(weight.shape[1], np.int32))

    @cached_property
    def seen(self) -> tuple[Floats, ...]:
        """For each head, its weights of the earlier channels' errors, float32 (3 c, head)."""
        values = self.trunk[-1].weight.shape[1]
        return tuple(np.ascontiguousarray(h.weight[values:], np.float32) for h in self.heads)


def _check_shape(layer: Layer, inputs: int, name: str) -> None:
    if layer.weight.ndim != 2 or layer.weight.shape[0] != inputs:
        raise ModelError(f"layer {name}: {inputs} inputs expected, shape {layer.weight.shape}")
    if layer.bias.shape != (layer.weight.shape[1],):
        raise ModelError(f"layer {name}: bias of shape {layer.bias.shape}")
    if np.abs(layer.weight.astype(np.int32)).max() > grid.WEIGHT_LIMIT:
        raise ModelError(f"layer {name}: a weight is over {grid.WEIGHT_LIMIT}")


class Run:
    """A network at work on groups of at most `rows` rows, with its buffers."""

    def __init__(self, network: Network, product: Product, rows: int) -> None:
        self._network = network
        self._product = product
        self._values = [np.empty((rows, len(layer.bias)), np.float32) for layer in network.trunk]
        self._fan = np.empty((rows, len(network.fan.bias)), np.float32)
        self._hidden = np.empty((rows, len(network.heads[0].bias)), np.float32)
        self._sums = [np.empty((rows, len(out.bias)), np.float32) for out in network.outs]

    def head(self, fan: Floats, c: int, errors: Floats) -> Floats:
        """Return channel `c`'s sums, float32 (rows, 3 K), given the fan and earlier errors."""
        rows = len(fan)
        values, sums = self._hidden[:rows], self._sums[c][:rows]
        hidden(fan, c, self._network.seen[c], errors, values)
        activate(values, self._network.heads[c].floats[1])
        out = self._network.outs[c]
        self._product.multiply(values, out, sums)
        sums += out.floats[1]
        return sums

    def fan(self, inputs: Floats) -> Floats:
        """Return the heads' sums from the trunk, float32 (rows, C * head), of inputs."""
        rows = len(inputs)
        values = inputs
        for layer, buffer in zip(self._network.trunk, self._values, strict=True):
            out = buffer[:rows]
            self._product.multiply(values, layer, out)
            activate(out, layer.floats[1])
            values = out
        fan = self._fan[:rows]
        self._product.multiply(values, self._network.fan, fan)
        return fan


@kernel
def hidden(fan: Floats, c: int, seen: Floats, errors: Floats, out: Floats) -> None:
    """Write the hidden sums of channel `c`'s head, less the bias, float32 (rows, head).

    `fan` (rows, C * head), the trunk's part; `seen` (3 c, head), weights; `errors` (rows, >= 3 c),
    the inputs from the channels before.
    """
    width = out.shape[1]
    for row in range(len(fan)):
        part = fan[row, c * width : (c + 1) * width]
        values = out[row]
        for j in range(width):
            values[j] = part[j]
        for i in range(3 * c):
            value = errors[row, i]
            weights = seen[i]
            for j in range(width):
                values[j] += value * weights[j]
