"""The integer network of the flagship: a trunk of dense layers, and a small head per channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.errors import ModelError
from idfzip.integer import grid
from idfzip.integer.dense import Layer, activate, check_bound
from idfzip.integer.jit import kernel
from idfzip.integer.panel import ROWS, Floats, multiply, padded, room

ERROR_INPUTS = 3
"""What a head sees of each channel before its own: the error, its size and its logarithm."""

SEEN_INPUTS = ERROR_INPUTS + 1
"""With an expert also the lead of the channel after: its prediction, less the base."""

INPUT_LIMIT = 511


class Weights(NamedTuple):
    """A network as the kernels take it: float32, whole numbers, columns in whole panels.

    `fan` is the trunk's part of all heads' first layers, side by side; `seen` (seen * c, head) the
    weights of what the earlier channels show.
    """

    trunk: tuple[Floats, ...]
    trunk_bias: tuple[Floats, ...]
    fan: Floats
    seen: tuple[Floats, ...]
    head_bias: tuple[Floats, ...]
    outs: tuple[Floats, ...]
    out_bias: tuple[Floats, ...]


class Buffers(NamedTuple):
    """A group's values: after each layer, the heads' sums, each channel's values and sums."""

    values: tuple[Floats, ...]
    fan: Floats
    hidden: tuple[Floats, ...]
    sums: tuple[Floats, ...]


@dataclass(frozen=True)
class Network:
    """Layers on the grids. `heads[c]` takes the trunk's values, then `seen` for each before."""

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
        if self.channels > 1 and self.seen not in (ERROR_INPUTS, SEEN_INPUTS):
            raise ModelError(f"head 1: {len(self.heads[1].weight)} inputs, {inputs} of the trunk")
        for c, (head, out) in enumerate(zip(self.heads, self.outs, strict=True)):
            seen = self.seen * c
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
    def seen(self) -> int:
        """Number of values that a head sees of each channel before its own; 0 if there is none."""
        return len(self.heads[1].weight) - len(self.trunk[-1].bias) if self.channels > 1 else 0

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
    def weights(self) -> Weights:
        """All weights as the kernels take them."""
        depth = self.trunk[-1].weight.shape[1]
        joined = np.concatenate([h.weight[:depth] for h in self.heads], axis=1)
        fan = Layer(joined, np.zeros(joined.shape[1], np.int32))
        return Weights(
            tuple(layer.panels for layer in self.trunk),
            tuple(layer.wide_bias for layer in self.trunk),
            fan.panels,
            tuple(np.ascontiguousarray(h.weight[depth:], np.float32) for h in self.heads),
            tuple(h.bias.astype(np.float32) for h in self.heads),
            tuple(out.panels for out in self.outs),
            tuple(out.wide_bias for out in self.outs),
        )

    def buffers(self, rows: int) -> Buffers:
        """Return room for the values of groups of at most so many rows."""
        head = len(self.heads[0].bias)
        return Buffers(
            tuple(room(rows, len(layer.bias)) for layer in self.trunk),
            room(rows, head * self.channels),
            tuple(room(rows, head) for _ in self.heads),
            tuple(room(rows, len(out.bias)) for out in self.outs),
        )


def _check_shape(layer: Layer, inputs: int, name: str) -> None:
    if layer.weight.ndim != 2 or layer.weight.shape[0] != inputs:
        raise ModelError(f"layer {name}: {inputs} inputs expected, shape {layer.weight.shape}")
    if layer.bias.shape != (layer.weight.shape[1],):
        raise ModelError(f"layer {name}: bias of shape {layer.bias.shape}")
    if np.abs(layer.weight.astype(np.int32)).max() > grid.WEIGHT_LIMIT:
        raise ModelError(f"layer {name}: a weight is over {grid.WEIGHT_LIMIT}")


@kernel
def run_trunk(inputs: Floats, start: int, rows: int, weights: Weights, buffers: Buffers) -> None:
    """Compute the trunk and its part of the heads for `rows` rows of `inputs` from `start` on."""
    values = inputs[start:]
    for i in range(len(weights.trunk)):
        out = buffers.values[i][start:]
        multiply(values, rows, weights.trunk[i], out)
        activate(out, rows, weights.trunk_bias[i])
        values = out
    multiply(values, rows, weights.fan, buffers.fan[start:])


@kernel
def run_head(
    c: int, start: int, rows: int, known: Floats, weights: Weights, buffers: Buffers
) -> None:
    """Compute channel `c`'s sums for `rows` rows from `start` on, after `run_trunk`.

    `known` float32 (rows, >= seen * c): what the channels before show.
    """
    fan, hidden, seen = buffers.fan, buffers.hidden[c][start:], weights.seen[c]
    width = len(weights.head_bias[c])
    for row in range(rows):
        part = fan[start + row, c * width : (c + 1) * width]
        values = hidden[row]
        for j in range(width):
            values[j] = part[j]
        for i in range(len(seen)):
            value = known[start + row, i]
            weight = seen[i]
            for j in range(width):
                values[j] += value * weight[j]
    activate(hidden, rows, weights.head_bias[c])
    sums = buffers.sums[c][start:]
    multiply(hidden, rows, weights.outs[c], sums)
    bias = weights.out_bias[c]
    for row in range(rows):
        for j in range(len(bias)):
            sums[row, j] += bias[j]


def fan_sums(network: Network, inputs: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
    """Return the trunk's part of the heads' sums, int32 (rows, C * head), of int16 inputs."""
    rows = len(inputs)
    buffers = network.buffers(rows)
    values = np.zeros((padded(rows, ROWS), inputs.shape[1]), np.float32)
    values[:rows] = inputs
    run_trunk(values, 0, rows, network.weights, buffers)
    width = len(network.heads[0].bias) * network.channels
    return buffers.fan[:rows, :width].astype(np.int32)
