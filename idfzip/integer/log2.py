"""An integer logarithm: 16 log2(v), from the bit length and a table of the next six bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from idfzip.integer.jit import kernel

STEPS = 16
"""Steps to an octave."""


def log2_table() -> npt.NDArray[np.int32]:
    """Return the table, int32 (64,), that a model carries: 16 log2 of the middle of each cell."""
    cell = (np.arange(64) + 0.5) / 64
    return np.round(STEPS * np.log2(1 + cell)).astype(np.int32)


@kernel
def bit_length(value: int) -> int:
    """Return the position of the highest set bit plus one, of 1 <= value < 2**62."""
    length = 1
    for shift in (32, 16, 8, 4, 2, 1):
        if value >> shift:
            value = value >> shift
            length += shift
    return length


@kernel
def log2(value: int, table: npt.NDArray[np.int32]) -> int:
    """Return 16 log2(value) to the nearest integer or its neighbour; values below 1 count as 1."""
    v = max(np.int64(value), np.int64(1))
    exponent = bit_length(v) - 1
    return STEPS * exponent + np.int64(table[((v << 6) >> exponent) & 63])
