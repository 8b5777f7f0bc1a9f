"""Convolutions on the grids, of many images at once (see `integer.conv`): unfold and matmul.

cuDNN may choose Winograd's or Fourier's way, which round. Here the inputs around each place are
gathered and multiplied by the weights, in float32 that carries whole numbers: rows of the weights
are taken in parts whose sums stay below 2**24 in any order, and parts are added in int32.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.device.machine import Machine
from idfzip.integer import conv as kernels
from idfzip.integer import grid
from idfzip.integer.conv import LIMIT

ROOM = 1 << 26
"""Most numbers that are gathered at once, if that is a line of each image or more."""


class Conv:
    """A convolution's weights on a device, in parts."""

    def __init__(self, machine: Machine, conv: kernels.Conv) -> None:
        taps, self.inputs, self.outputs = conv.weight.shape
        self._reach = taps // 9
        rows = np.ascontiguousarray(conv.weight.transpose(1, 0, 2)).reshape(-1, self.outputs)
        self._parts = [(s, machine.tensor(rows[s].astype(np.float32))) for s in _exact(rows)]
        self._bias = machine.tensor(conv.bias)

    def sums(self, values: Tensor) -> Tensor:
        """Return the sums with bias, int32 (B, height, width, outputs).

        `values` are activations, float32 (B, height, width, >= inputs), of which the first are
        taken; zeros lie outside.
        """
        taken = values[..., : self.inputs]
        if self._reach == 0:
            return self._multiplied(taken)
        count, height, width, _ = taken.shape
        framed = torch.nn.functional.pad(taken, (0, 0, 1, 1, 1, 1))
        lines = max(1, ROOM // (count * width * 9 * self.inputs))
        found = [
            self._multiplied(_around(framed[:, y : min(y + lines, height) + 2]))
            for y in range(0, height, lines)
        ]
        return found[0] if len(found) == 1 else torch.cat(found, 1)

    def _multiplied(self, rows: Tensor) -> Tensor:
        flat = rows.flatten(0, 2)
        total = self._bias.expand(len(flat), -1)
        for part, weight in self._parts:
            total = total + (flat[:, part] @ weight).to(torch.int32)
        return total.view(*rows.shape[:3], self.outputs)


def _exact(rows: npt.NDArray[np.int16]) -> list[slice]:
    """Return parts of the rows whose products with any inputs, added up, are exact in singles."""
    size = np.abs(rows.astype(np.int64)) * LIMIT
    starts, total = [0], np.zeros(rows.shape[1], np.int64)
    for i, row in enumerate(size):
        total += row
        if total.max() >= grid.EXACT:
            starts.append(i)
            total = row.copy()
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(rows)], strict=True)]


def _around(framed: Tensor) -> Tensor:
    """Return the 3x3 surroundings of all places but the border's: (B, h - 2, w - 2, 9 C)."""
    return framed.unfold(1, 3, 1).unfold(2, 3, 1).flatten(3)


def whole(sums: Tensor) -> Tensor:
    """Return sums in units of activations, rounded, int32."""
    return (sums + grid.HALF) >> grid.WEIGHT_BITS


def activate(sums: Tensor) -> Tensor:
    """Return the activations of sums, float32: shifted down with rounding, leaked, clamped."""
    rounded = whole(sums)
    leaked = torch.maximum(rounded, rounded >> grid.LEAK_SHIFT)
    return leaked.clamp(-LIMIT, LIMIT).to(torch.float32)
