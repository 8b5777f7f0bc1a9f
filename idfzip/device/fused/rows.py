"""Which rows a program has, which pixel each of them is, and what a group counts."""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device import room
from idfzip.flows import wavefront

MARGIN = tl.constexpr(wavefront.MARGIN)
SLOTS = tl.constexpr(room.SLOTS)


@triton.jit  # type: ignore[untyped-decorator]
def rows_of(
    first: tl.tensor,
    g: tl.tensor,
    begin: tl.tensor,
    there: tl.tensor,
    capacity: tl.tensor,
    rows: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """Return the rows of group `g` from its `begin` on, and which are among the `there` it has."""
    number = begin + tl.arange(0, rows)
    return g * capacity + tl.load(first + g) + number, number < there


@triton.jit  # type: ignore[untyped-decorator]
def place(
    sizes: tl.tensor,
    time: tl.tensor,
    pending: tl.tensor,
    count: tl.tensor,
    tile_of: tl.tensor,
    y_of: tl.tensor,
    x_of: tl.tensor,
    at_of: tl.tensor,
    spots: tl.tensor,
    bases: tl.tensor,
    planes: tl.tensor,
    tiles: tl.tensor,
    tall: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    down: tl.tensor,
    across: tl.tensor,
    plane: tl.tensor,
    channels: tl.constexpr,
    all_tiles: tl.constexpr,
    width: tl.constexpr,
) -> None:
    """Find the pixels of tile `program_id(1)` of group `program_id(0)` in this step.

    Of each row: tile, row and column, place in the first plane, spot (`window`, of tiles so `tall`)
    and `window.base` of all channels; of each group how many there are.
    """
    g = tl.program_id(0).to(tl.int64)
    mine = tl.program_id(1)
    t = tl.load(time)
    every = tl.arange(0, all_tiles)
    there = every < tiles
    heights = tl.load(sizes + 2 * (g * tiles + every), there, 0)
    widths = tl.load(sizes + 2 * (g * tiles + every) + 1, there, 0)
    firsts = tl.maximum((t - widths + 2) >> 1, 0)
    counts = tl.maximum(tl.minimum(heights - 1, t >> 1) + 1 - firsts, 0)
    before = tl.sum(tl.where(every < mine, counts, 0), 0)
    here = tl.sum(tl.where(every == mine, counts, 0), 0)
    first = tl.sum(tl.where(every == mine, firsts, 0), 0)
    if mine == 0:
        tl.store(count + g, tl.sum(counts, 0))
    tile = g * tiles + mine
    start = g * capacity + tl.load(pending + g) + before
    lanes = tl.arange(0, width).to(tl.int64)
    for i in range(0, here, width):
        inside = i + lanes < here
        row = start + i + lanes
        y = first + i + lanes
        x = t - 2 * y
        at = tile * (channels * plane) + (y + MARGIN) * down + (x + MARGIN) * across
        tl.store(tile_of + row, tile + lanes * 0, inside)
        tl.store(y_of + row, y, inside)
        tl.store(x_of + row, x, inside)
        tl.store(at_of + row, at, inside)
        tl.store(spots + row, tile * tall + y, inside)
        for c in tl.static_range(channels):
            near = planes + at + c * plane
            total = tl.load(near - across, inside, 0).to(tl.int64)
            total += tl.load(near - down, inside, 0).to(tl.int64)
            total += tl.load(near - down - across, inside, 0).to(tl.int64)
            total += tl.load(near - down + across, inside, 0).to(tl.int64)
            tl.store(bases + c * room + row, (total + 2) >> 2, inside)


@triton.jit  # type: ignore[untyped-decorator]
def advance(
    time: tl.tensor,
    count: tl.tensor,
    pending: tl.tensor,
    coded: tl.tensor,
    learns: tl.constexpr,
) -> None:
    """Go on to the next step."""
    g = tl.program_id(0)
    if g == 0:
        tl.store(time, tl.load(time) + 1)
    now = tl.load(count + g)
    tl.store(coded + g, tl.load(coded + g) + now)
    if learns:
        tl.store(pending + g, tl.load(pending + g) + now)


@triton.jit  # type: ignore[untyped-decorator]
def close(pending: tl.tensor, over: tl.tensor, turn: tl.tensor, period: tl.constexpr) -> None:
    """End a group's period, if it is over, and note of how many rows it was, else 0."""
    g = tl.program_id(0)
    there = tl.load(pending + g)
    ends = there >= period
    tl.store(over + g, tl.where(ends, there, 0))
    if ends:
        tl.store(turn + g, tl.load(turn + g) + 1)
        tl.store(pending + g, there * 0)
