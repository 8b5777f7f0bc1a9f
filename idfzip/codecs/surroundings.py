"""Surroundings of a pixel of categories: neighbours that stand for it in memories and histories.

Each takes some neighbours, their values or luminances less their low bits, and hashes them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from idfzip.integer.jit import inlined
from idfzip.priors import adaptive

NEIGHBOURS = (
    (0, -1), (-1, 0), (-1, 1), (-1, -1), (0, -2), (-2, 0),
    (-1, 2), (-2, 1), (-1, -2), (-2, -1), (0, -3), (-3, 0),
)  # fmt: skip
"""dy, dx: W, N, NE, NW, WW, NN, NEE, NNE, NWW, NNW, WWW, NNN."""

_NAMES = ("W", "N", "NE", "NW", "WW", "NN", "NEE", "NNE", "NWW", "NNW", "WWW", "NNN")

MARGIN = 3
"""Rows above a plane, and columns to both sides, that neighbours reach."""

_SURROUNDINGS = (
    ("W N NE NW WW NN NEE NNE NWW NNW", 0),
    ("W N NE NW WW NN", 0),
    ("W N NE NW", 0),
    ("W N", 0),
    ("", 0),
    ("W", 0),
    ("N", 0),
    ("N NE", 0),
    ("W WW", 0),
    ("W NW", 0),
    ("N NW", 0),
    ("W NE", 0),
    ("N NN NNN", 0),
    ("W N", 4),
    ("W N NE NW", 5),
)
"""Neighbours and a shift: of their luminances, or 0 for the values themselves."""

MOST_SURROUNDINGS = 32
"""Most that a model may have."""


def surroundings() -> npt.NDArray[np.int16]:
    """Return what histories look at, int16 (15, 13): a 1 for each neighbour, and the shift."""
    rows = [[int(n in names.split()) for n in _NAMES] + [shift] for names, shift in _SURROUNDINGS]
    return np.array(rows, np.int16)


@inlined
def hashed(start: int, values: npt.NDArray[np.int64], light: npt.NDArray[np.int64],
            row: npt.NDArray[np.int64]) -> np.uint64:  # fmt: skip
    """Return the hash of a row of surroundings."""
    found = np.uint64(start + 1)
    shift = row[len(values)]
    for i in range(len(values)):
        if row[i]:
            value = values[i] if shift == 0 else light[values[i]] >> shift
            found = ((found ^ (found >> np.uint64(32))) ^ np.uint64(value)) * np.uint64(
                adaptive.HASH
            )
    return found


@inlined
def place(surrounding: np.uint64, value: int, bits: int) -> int:
    """Return the index of a value's history in hashed surroundings."""
    mixed = (surrounding ^ (surrounding >> np.uint64(32))) + np.uint64(value)
    return int((mixed * np.uint64(adaptive.HASH)) >> np.uint64(64 - bits))
