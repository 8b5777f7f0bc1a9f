"""An integer logarithm: 16 log2(v), from the bit length and a table of the next six bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from idfzip.integer.jit import inlined

STEPS = 16
"""Steps to an octave."""


def log2_table() -> npt.NDArray[np.int32]:
    """Return the table, int32 (64,), that a model carries: 16 log2 of the middle of each cell."""
    cell = (np.arange(64) + 0.5) / 64
    return np.round(STEPS * np.log2(1 + cell)).astype(np.int32)


@inlined
def log2(value: int, table: npt.NDArray[np.int32]) -> int:
    """Return 16 times the binary logarithm of `value`, 1 or more, rounded or nearly so.

    Values below 1 count as 1. `value` is below 2**53, so that its double is exact: the exponent is
    the bit length, and the next six bits of the mantissa are the cell of the table.
    """
    bits = int(np.float64(max(int(value), 1)).view(np.int64))
    return STEPS * ((bits >> 52) - 1023) + int(table[(bits >> 46) & 63])
