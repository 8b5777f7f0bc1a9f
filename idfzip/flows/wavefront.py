"""The autoregressive order: a wavefront of slope 2, and the rule for neighbours outside a tile.

Step `t` codes every pixel with `x + 2 y == t`, its group; all of them are independent given the
earlier steps. A neighbour at (dy, dx) is therefore known exactly if `dx + 2 dy < 0`.

A neighbour outside the tile takes the value of a pixel that precedes every pixel that can see it:

* left of the tile, of the first pixel of the row above;
* right of the tile, of the last pixel of its own row;
* above the tile, of the pixel of row 0 of the same step, that is (-k, x) is (0, x - 2 k);
* where there is none of these, a constant of the plane.

The rule depends on the position alone, so the margin is written together with the pixels.

A plane is kept as a *ring* of the last steps: the value of (y, x) stands in row `slot(x + 2 y)`, at
`y + MARGIN`. A group is then a run of numbers, and so are its neighbours at (dy, dx): those of step
`t + dx + 2 dy`, `dy` places further. All that is done to a group is done along such runs, which
compilers turn into vectors.
"""

from __future__ import annotations

import numpy as np

from idfzip.flows.alphabet import Integers
from idfzip.integer.jit import inlined, shared
from idfzip.integer.lanes import LANES
from idfzip.integer.panel import padded

SLOPE = 2
MARGIN = 4
"""Rows above and columns left and right that a margin holds: the reach of any context."""

RING = 32
"""Steps that are kept, a power of two: contexts look 12 steps back, margins are written 4 ahead."""


def is_causal(dy: int, dx: int) -> bool:
    """Return whether the neighbour at (dy, dx) is known before the pixel, and within the margin."""
    reach = -MARGIN <= dy <= 0 and -MARGIN <= dx <= MARGIN
    return reach and dx + SLOPE * dy < 0


@shared
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
def slot(t: int) -> int:
    """Return the row of a ring in which step `t` stands."""
    return t & (RING - 1)


def ring(fill: int, rows: int, kind: type) -> Integers:
    """Return an empty ring for a plane of so many rows, filled with the plane's constant.

    Shape (RING, rows + MARGIN or more): whole vectors may be read from any row on.
    """
    return np.full((RING, lanes(rows) + MARGIN), fill, kind)


def lanes(rows: int) -> int:
    """Return the number of rows rounded up to whole vectors."""
    return padded(rows, LANES)


@inlined
def spread(plane: Integers, t: int, height: int, width: int) -> None:
    """Write the margins that repeat pixels of step `t`, which stand in their row of the ring."""
    m = 4  # MARGIN; numba takes globals as constants, a literal keeps the loops short
    first, end = first_row(t, width), end_row(t, height)
    if first < end:
        here = plane[slot(t)]
        if t == 2 * (end - 1) and end < height:  # the first pixel of a row
            for k in range(m):
                plane[slot(t + 2 - m + k), end + m] = here[end - 1 + m]
        last = t == 2 * first + width - 1
        if last:
            for k in range(1, m + 1):
                plane[slot(t + k), first + m] = here[first + m]
        if first == 0:
            for k in range(m):
                here[k] = here[m]
                if last:
                    for i in range(1, m + 1):
                        plane[slot(t + i), k] = here[m]
