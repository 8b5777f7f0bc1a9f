"""The autoregressive order: a wavefront of slope 2, and the rule for neighbours outside a tile.

Step `t` codes every pixel with `x + 2 y == t`; all of them are independent given the earlier
steps. A neighbour at (dy, dx) is therefore known exactly if `dx + 2 dy < 0`.

A neighbour outside the tile takes the value of a pixel that precedes every pixel that can see it:

* left of the tile, of the first pixel of the row above;
* right of the tile, of the last pixel of its own row;
* above the tile, of the pixel of row 0 of the same step, that is (-k, x) is (0, x - 2 k);
* where there is none of these, a constant of the plane.

The rule depends on the position alone, so planes are kept with a margin that is written together
with the pixels, and contexts are plain offsets into it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from idfzip.flows.alphabet import Integers
from idfzip.integer.jit import inlined

SLOPE = 2
MARGIN = 4
"""Rows above and columns left and right that a margin holds: the reach of any context."""


def is_causal(dy: int, dx: int) -> bool:
    """Return whether the neighbour at (dy, dx) is known before the pixel, and within the margin."""
    reach = -MARGIN <= dy <= 0 and -MARGIN <= dx <= MARGIN
    return reach and dx + SLOPE * dy < 0


def steps(height: int, width: int) -> int:
    """Return the number of steps of a tile."""
    return width + SLOPE * (height - 1)


@inlined
def first_row(t: int, width: int) -> int:
    """Return the first row with a pixel in step `t`."""
    return max(0, (t - width + 2) >> 1)


@inlined
def end_row(t: int, height: int) -> int:
    """Return one past the last row with a pixel in step `t`."""
    return min(height - 1, t >> 1) + 1


@inlined
def place(plane: Integers, y: int, x: int, height: int, width: int, value: int) -> None:
    """Write `value` at (y, x) of a plane with margin, and wherever the margin repeats it.

    `plane` is of shape (>= height + 4, >= width + 8).
    """
    m = 4  # MARGIN; numba takes globals as constants, a literal keeps the loops short
    plane[y + m, x + m] = value
    if x == 0 and y + 1 < height:
        for k in range(m):
            plane[y + 1 + m, k] = value
    last = x == width - 1
    if last:
        for k in range(m):
            plane[y + m, width + m + k] = value
    if y == 0:
        for k in range(1, m + 1):
            column = x + 2 * k + m
            end = width + 2 * m if last else column + 1
            for i in range(column, min(end, width + 2 * m)):
                plane[m - k, i] = value


def blank(height: int, width: int, fill: int) -> npt.NDArray[np.int32]:
    """Return an empty plane with margin for a tile, filled with the plane's constant."""
    return np.full((height + MARGIN, width + 2 * MARGIN), fill, np.int32)
