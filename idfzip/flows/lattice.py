"""The progressive order: lattices of the pixels, each twice as fine as the one before.

Level `b` is the plane of every 2**b-th row and column. Its even rows and columns are the level
before; the rest is coded in three phases: the places between four known ones (odd row, odd
column), then those between two in their row (even, odd), then those between two in their column
(odd, even). So a pixel sees known ones on all sides, as in interlaced PNG and, with prediction, in
Roos et al. 1988 (hierarchical interpolation, HINT). The coarsest lattice is one pixel.

A phase goes row by row, and a row in pieces of `PIECE` pixels, which are independent of each other
given what was there before: large groups for the network, no wavefront. A place that is not known
yet holds a guess, the value of the even row and column before it, until its piece is complete; a
neighbour outside the plane is its mirror image inside. Hence any offset may be looked at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.flows.context import LIMIT, SCALES, Tables, limited
from idfzip.integer.jit import kernel
from idfzip.integer.log2 import log2

PHASES = ((1, 1), (0, 1), (1, 0))
"""Row and column, modulo 2, of each phase's places."""

PIECE = 128
"""Most pixels of a row that are coded together."""

REACH = 4
"""Rows and columns that an offset may reach."""

CORNERS = 4
"""The first neighbours, whose mean is the base."""

EXTRAS = 4
"""Inputs of a channel beside its neighbours and errors."""

COARSEST = 8
"""Levels from here on look alike to the network."""

Planes = npt.NDArray[np.int32]


class Design(NamedTuple):
    """What the network of each phase looks at; the tables are integers that the model carries.

    `neighbours` int64 (3, n, 2) and `places`, of errors, int64 (3, e, 2): dy, dx in a plane.
    """

    neighbours: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    tables: Tables


class Level(NamedTuple):
    """A level under way: its planes, int32 (C, height, width), errors in 1/64 of a step.

    `rows` and `columns` int64 (side + 2 REACH,) tell where a row or column beyond the border lies
    inside; `bits` is the level's number.
    """

    planes: Planes
    errors: Planes
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    bits: int


class Group(NamedTuple):
    """What is seen of a group's pixels, row by row.

    `inputs` float32 (rows, >= inputs), whole numbers; `scales`, `bases` and `values` int32
    (rows, C): indices of scales, the mean of the corners, the values.
    """

    inputs: npt.NDArray[np.float32]
    scales: npt.NDArray[np.int32]
    bases: npt.NDArray[np.int32]
    values: npt.NDArray[np.int32]


def width(neighbours: int, places: int, channels: int) -> int:
    """Return the number of inputs of a network."""
    return channels * (neighbours + places + EXTRAS) + 1


def levels(height: int, width: int) -> int:
    """Return the number of levels of a tile; level 0 is the finest."""
    return (max(height, width) - 1).bit_length()


def mirrored(side: int) -> npt.NDArray[np.int64]:
    """Return the place inside of -REACH .. side + REACH - 1: int64 (side + 2 REACH,).

    >>> mirrored(3).tolist()
    [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]
    """
    period = max(2 * (side - 1), 1)
    place = np.arange(-REACH, side + REACH) % period
    return np.minimum(place, period - place if side > 1 else place)


def start(channels: int) -> Level:
    """Return the coarsest plane, of one pixel whose value is still to be set."""
    nothing = np.zeros((channels, 1, 1), np.int32)
    return Level(nothing, nothing.copy(), mirrored(1), mirrored(1), 0)


def finer(coarse: Level, bits: int, height: int, width: int) -> Level:
    """Return level `bits` of a tile of that size, with guesses, given the coarser one."""
    tall, wide = -(-height >> bits), -(-width >> bits)

    def spread(planes: Planes) -> Planes:
        return np.ascontiguousarray(planes.repeat(2, 1).repeat(2, 2)[:, :tall, :wide])

    planes, errors = spread(coarse.planes), spread(coarse.errors)
    return Level(planes, errors, mirrored(tall), mirrored(wide), bits)


@kernel
def gather(
    design: Design, level: Level, phase: int, y: int, x: int, count: int, group: Group, start: int
) -> None:
    """Write what is seen of the pixels (y, x), (y, x + 2), ... into rows from `start` on."""
    neighbours, places = design.neighbours[phase], design.places[phase]
    log_table, gains = design.tables.log, design.tables.gain
    channels = len(level.planes)
    at = level.columns
    for i in range(count):
        row = group.inputs[start + i]
        column = x + 2 * i + REACH
        k = 0
        for c in range(channels):
            plane, errors = level.planes[c], level.errors[c]
            total = 0
            for j in range(CORNERS):
                dy, dx = neighbours[j]
                total += plane[level.rows[y + dy + REACH], at[column + dx]]
            base = (total + 2) >> 2
            near, spread = 0, 0
            for j in range(len(places)):
                dy, dx = places[j]
                near += abs(int(errors[level.rows[y + dy + REACH], at[column + dx]]))
            for j in range(CORNERS):
                dy, dx = neighbours[j]
                spread += abs(int(plane[level.rows[y + dy + REACH], at[column + dx]]) - base)
            spread *= 128
            index = ((log2(near + spread + 128, log_table) + 2) >> 2) - 28
            index = min(max(index, 0), SCALES - 1)
            gain = gains[index]
            for j in range(len(neighbours)):
                dy, dx = neighbours[j]
                value = int(plane[level.rows[y + dy + REACH], at[column + dx]])
                row[k + j] = limited(((value - base) * gain + 512) >> 10)
            k += len(neighbours)
            for j in range(len(places)):
                dy, dx = places[j]
                error = int(errors[level.rows[y + dy + REACH], at[column + dx]])
                row[k + j] = limited((error * gain + 32768) >> 16)
            k += len(places)
            loud = 8 * (index - 12)  # 32 log2 of the scale
            row[k] = limited(base - 128 if c == 0 else base)
            row[k + 1] = limited(2 * (log2(near + 32, log_table) - 144) - loud)
            row[k + 2] = limited(2 * (log2(spread + 32, log_table) - 144) - loud)
            row[k + 3] = limited(loud)
            k += EXTRAS
            group.scales[start + i, c] = index
            group.bases[start + i, c] = base
        row[k] = min(level.bits, COARSEST) * (LIMIT // COARSEST)


@kernel
def settle(level: Level, y: int, x: int, count: int, group: Group, start: int) -> None:
    """Place the values in the rows from `start` on at (y, x), (y, x + 2), ..., and their errors."""
    for c in range(len(level.planes)):
        for i in range(count):
            row, column = start + i, x + 2 * i
            value = group.values[row, c]
            low = 0 if c == 0 else -int(group.values[row, 0])
            mean = 64 * min(max(int(group.bases[row, c]), low), low + 255)
            level.planes[c, y, column] = value
            level.errors[c, y, column] = 64 * value - mean


@kernel
def watch(
    design: Design, level: Level, phase: int, top: int, left: int, truth: Planes, group: Group
) -> int:
    """Take one phase of known pixels, from row `top` and column `left`, without a network.

    `truth` int32 (C, height, width) is the tile's; `group` has room for the whole phase. Returns
    the number of pixels.
    """
    _, height, width = level.planes.shape
    done = 0
    for y in range(top, height, 2):
        for x in range(left, width, 2 * PIECE):
            count = min(PIECE, (width - x + 1) >> 1)
            gather(design, level, phase, y, x, count, group, done)
            for c in range(len(truth)):
                for i in range(count):
                    column = (x + 2 * i) << level.bits
                    group.values[done + i, c] = truth[c, y << level.bits, column]
            settle(level, y, x, count, group, done)
            done += count
    return done
