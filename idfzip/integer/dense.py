"""Dense layers on the grids, in two ways that give the same integers.

`Blas` carries whole numbers in float32 through the matrix product of NumPy's BLAS, which is exact
because every partial sum is below 2**24 (`check_bound`). `Plain` multiplies integers in a numba
kernel; it serves where the model's self-test fails with BLAS, and as the reference in tests.

Groups of any number of rows are welcome; rows of many tiles in lockstep make larger products.
GMAC/s of 128 x 128 on one core (Intel, AVX-512), BLAS: 47 for 16 rows, 55 for 64, 67 for 256;
numba over blocks of rows: 8, 21, 30.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from idfzip.errors import ModelError
from idfzip.integer import grid
from idfzip.integer.jit import kernel

Floats = npt.NDArray[np.float32]

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
    def floats(self) -> tuple[Floats, Floats]:
        """Weight and bias as whole numbers in float32."""
        return self.weight.astype(np.float32), self.bias.astype(np.float32)


class Product(Protocol):
    """How a layer's product is computed."""

    def multiply(self, values: Floats, layer: Layer, out: Floats) -> None:
        """Write values @ weight; float32 (rows, in) to (rows, out), whole numbers."""


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


class Blas:
    """Products by NumPy's BLAS in float32."""

    def multiply(self, values: Floats, layer: Layer, out: Floats) -> None:
        """Write values @ weight."""
        np.matmul(values, layer.floats[0], out=out)


class Plain:
    """Products of integers in a numba kernel."""

    def multiply(self, values: Floats, layer: Layer, out: Floats) -> None:
        """Write values @ weight."""
        _plain(values, layer.weight, out)


@kernel
def _plain(values: Floats, weight: npt.NDArray[np.int16], out: Floats) -> None:
    total = np.zeros(weight.shape[1], np.int32)
    for row in range(len(values)):
        for j in range(len(total)):
            total[j] = 0
        for i in range(values.shape[1]):
            value = np.int32(values[row, i])
            if value != 0:
                for j in range(len(total)):
                    total[j] = np.int32(total[j] + np.int32(value * weight[i, j]))
        for j in range(len(total)):
            out[row, j] = np.float32(total[j])


@kernel
def activate(sums: Floats, bias: Floats) -> None:
    """Replace products, float32 (rows, n) of whole numbers, by activations of products + bias.

    Shifted down with rounding, leaked, clamped.
    """
    for row in range(len(sums)):
        values = sums[row]
        for i in range(len(bias)):
            whole = np.floor((values[i] + bias[i] + _HALF) * _DOWN)
            leaked = np.floor(whole * _LEAK)
            whole = whole if whole > leaked else leaked
            whole = whole if whole < _LIMIT else _LIMIT
            values[i] = whole if whole > -_LIMIT else -_LIMIT
