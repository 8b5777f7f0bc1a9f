"""Dense layers on the grids, in float32 that carries whole numbers.

Every partial sum is below 2**24 (`check_bound`), so float32 is exact in whatever order it adds, and
the products are those of integers on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from idfzip.errors import ModelError
from idfzip.integer import grid
from idfzip.integer.jit import kernel
from idfzip.integer.panel import COLUMNS, Floats, padded

_HALF = np.float32(grid.HALF)
_DOWN = np.float32(1.0 / (1 << grid.WEIGHT_BITS))
_LEAK = np.float32(1.0 / (1 << grid.LEAK_SHIFT))
_LIMIT = np.float32(grid.ACTIVATION_LIMIT)


@dataclass(frozen=True)
class Layer:
    """One dense layer: `weight` int16 (in, out) and `bias` int32 (out,), on the grids."""

    weight: npt.NDArray[np.int16]
    bias: npt.NDArray[np.int32]

    @cached_property
    def panels(self) -> Floats:
        """The weight as whole numbers in float32, with columns of zeros up to whole panels."""
        inputs, outputs = self.weight.shape
        wide = np.zeros((inputs, padded(outputs, COLUMNS)), np.float32)
        wide[:, :outputs] = self.weight
        return wide

    @cached_property
    def wide_bias(self) -> Floats:
        """The bias as whole numbers in float32, as wide as the panels."""
        wide = np.zeros(padded(len(self.bias), COLUMNS), np.float32)
        wide[: len(self.bias)] = self.bias
        return wide


def bound(layer: Layer, limits: npt.NDArray[np.int64]) -> int:
    """Return the largest size any partial sum of the layer can reach.

    `limits` int64 (in,): the largest size of each input. Half a step is added, as by the
    activation.
    """
    size = np.abs(layer.weight.astype(np.int64)) * limits[:, None]
    total = size.sum(0) + np.abs(layer.bias.astype(np.int64)) + grid.HALF
    return int(total.max())


def check_bound(layer: Layer, limits: npt.NDArray[np.int64], name: str) -> None:
    """Raise ModelError unless float32 carries the layer exactly."""
    reached = bound(layer, limits)
    if reached >= grid.EXACT:
        raise ModelError(f"layer {name}: sums may reach {reached}, the limit is {grid.EXACT}")


@kernel
def activate(sums: Floats, rows: int, bias: Floats) -> None:
    """Replace products, float32 (>= rows, n), by the activations of products + bias.

    Shifted down with rounding, leaked, clamped; whole numbers throughout.
    """
    for row in range(rows):
        values = sums[row]
        for i in range(len(bias)):
            whole = np.floor((values[i] + bias[i] + _HALF) * _DOWN)
            leaked = np.floor(whole * _LEAK)
            whole = whole if whole > leaked else leaked
            whole = whole if whole < _LIMIT else _LIMIT
            values[i] = whole if whole > -_LIMIT else -_LIMIT
