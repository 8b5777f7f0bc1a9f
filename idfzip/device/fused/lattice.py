"""Kernels of the progressive order: pieces of rows, what is seen of them, and what stays.

As `flows.lattice` and `codecs.phase`. A *group* is a phase of a tile, which has weights and a
period of its own: group `PHASES * tile + phase`. In a step each tile has one piece, of one phase;
its other groups have no rows.

Planes are those of the finest level throughout: level `b` is every 2**b-th row and column. A place
that is not known yet is not read, but the one of even row and column before it, which holds what
`flows.lattice.finer` spreads. So levels need no work of their own, and tiles none in common.
"""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device import plan
from idfzip.device.fused.arithmetic import limited, log2, over
from idfzip.device.fused.head import UNIT
from idfzip.device.fused.rows import rows_of
from idfzip.flows import context, lattice

CORNERS = tl.constexpr(lattice.CORNERS)
COARSEST = tl.constexpr(lattice.COARSEST)
REACH = tl.constexpr(lattice.REACH)
PHASES = tl.constexpr(len(lattice.PHASES))
STEP = tl.constexpr(context.LIMIT // lattice.COARSEST)
SCALES = tl.constexpr(context.SCALES)

SPOT = tl.constexpr(plan.FACTS)

LANES = 32
"""Of a program that gathers. [Not measured.]"""


@triton.jit  # type: ignore[untyped-decorator]
def find(
    table: tl.tensor,
    whose: tl.tensor,
    time: tl.tensor,
    spot: tl.tensor,
    count: tl.tensor,
    steps: tl.tensor,
) -> None:
    """Find the piece of tile `program_id` in this step: facts, and how many pixels its groups have.

    `table` (sizes, steps, 5) int32 has the facts and the number of pixels for each size of tiles.
    """
    tile = tl.program_id(0).to(tl.int64)
    t = tl.load(time)
    row = table + (tl.load(whose + tile) * steps + tl.minimum(t, steps - 1)) * (SPOT + 1)
    for i in tl.static_range(SPOT):
        tl.store(spot + tile * SPOT + i, tl.load(row + i).to(tl.int64))
    phase = tl.load(row + 1)
    there = tl.where(t < steps, tl.load(row + SPOT).to(tl.int64), 0)
    for p in tl.static_range(PHASES):
        tl.store(count + tile * PHASES + p, tl.where(phase == p, there, 0))


@triton.jit  # type: ignore[untyped-decorator]
def mirrored(place: tl.tensor, side: tl.tensor) -> tl.tensor:
    """Return the places inside of -REACH .. side + REACH - 1: `lattice.mirrored`."""
    period = tl.maximum(2 * (side - 1), 1)
    inside = (place + REACH * period) % period
    return tl.where(side > 1, tl.minimum(inside, period - inside), 0)


@triton.jit  # type: ignore[untyped-decorator]
def seen_at(
    offsets: tl.tensor,
    y: tl.tensor,
    x: tl.tensor,
    begin: tl.tensor,
    tall: tl.tensor,
    wide: tl.tensor,
    phase: tl.tensor,
    bits: tl.tensor,
    stride: tl.tensor,
) -> tl.tensor:
    """Return where neighbours of (y, x) are read in a plane; the piece begins at (y, `begin`)."""
    row = mirrored(y + tl.load(offsets), tall)
    column = mirrored(x + tl.load(offsets + 1), wide)
    down = row & 1
    across = column & 1
    which = tl.where(down == 0, 1, tl.where(across == 0, 2, 0))
    before = (row < y) | ((row == y) & (column < begin))
    known = (which < phase) | ((which == phase) & before)
    row = tl.where(known, row, row - down)
    column = tl.where(known, column, column - across)
    return (row << bits) * stride + (column << bits)


@triton.jit  # type: ignore[untyped-decorator]
def gather(
    pending: tl.tensor,
    count: tl.tensor,
    spot: tl.tensor,
    sizes: tl.tensor,
    planes: tl.tensor,
    misses: tl.tensor,
    neighbours: tl.tensor,
    places: tl.tensor,
    at_of: tl.tensor,
    bases: tl.tensor,
    scales: tl.tensor,
    inputs: tl.tensor,
    log_table: tl.tensor,
    gain_table: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    stride: tl.tensor,
    plane: tl.tensor,
    width: tl.tensor,
    differences: tl.tensor,
    errors: tl.tensor,
    channels: tl.constexpr,
    lanes: tl.constexpr,
) -> None:
    """Write inputs (rows, width), indices of scales and bases (C, rows), and places in planes.

    `neighbours` (3, differences, 2) and `places` (3, errors, 2): dy, dx; `misses` are errors.
    """
    g = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * lanes
    there = tl.load(count + g)
    if first >= there:
        return
    row, inside = rows_of(pending, g, first, there, capacity, lanes)
    tile = g // PHASES
    bits = tl.load(spot + tile * SPOT)
    phase = tl.load(spot + tile * SPOT + 1)
    y = tl.load(spot + tile * SPOT + 2)
    begin = tl.load(spot + tile * SPOT + 3)
    x = begin + 2 * (first + tl.arange(0, lanes))
    tall = ((tl.load(sizes + 2 * tile) - 1) >> bits) + 1
    wide = ((tl.load(sizes + 2 * tile + 1) - 1) >> bits) + 1
    x = tl.where(inside, x, begin)
    here = tile * (channels * plane)
    tl.store(at_of + row, here + (y << bits) * stride + (x << bits), inside)
    near_by = neighbours + 2 * phase * differences
    of_errors = places + 2 * phase * errors
    into = inputs + row * width
    for c in tl.static_range(channels):
        of_plane = planes + here + c * plane
        of_misses = misses + here + c * plane
        total = x * 0
        for j in range(CORNERS):
            at = seen_at(near_by + 2 * j, y, x, begin, tall, wide, phase, bits, stride)
            total += tl.load(of_plane + at).to(tl.int64)
        base = (total + 2) >> 2
        spread = x * 0
        for j in range(CORNERS):
            at = seen_at(near_by + 2 * j, y, x, begin, tall, wide, phase, bits, stride)
            spread += tl.abs(tl.load(of_plane + at).to(tl.int64) - base)
        spread *= 128
        near = x * 0
        for j in range(errors):
            at = seen_at(of_errors + 2 * j, y, x, begin, tall, wide, phase, bits, stride)
            near += tl.abs(tl.load(of_misses + at).to(tl.int64))
        index = ((log2(near + spread + 128, log_table) + 2) >> 2) - 28
        index = tl.minimum(tl.maximum(index, 0), SCALES - 1)
        gain = tl.load(gain_table + index)
        for j in range(differences):
            at = seen_at(near_by + 2 * j, y, x, begin, tall, wide, phase, bits, stride)
            scaled = (tl.load(of_plane + at).to(tl.int64) - base) * gain + 512
            tl.store(into + j, limited(scaled >> 10).to(tl.float32), inside)
        into += differences
        for j in range(errors):
            at = seen_at(of_errors + 2 * j, y, x, begin, tall, wide, phase, bits, stride)
            miss = tl.load(of_misses + at).to(tl.int64)
            tl.store(into + j, over(miss, gain, 0).to(tl.float32), inside)
        into += errors
        loud = 8 * (index - 12)
        mean = base
        if c == 0:
            mean -= 128
        closely = 2 * (log2(near + 32, log_table) - 144) - loud
        widely = 2 * (log2(spread + 32, log_table) - 144) - loud
        tl.store(into, limited(mean).to(tl.float32), inside)
        tl.store(into + 1, limited(closely).to(tl.float32), inside)
        tl.store(into + 2, limited(widely).to(tl.float32), inside)
        tl.store(into + 3, limited(loud).to(tl.float32), inside)
        into += 4
        tl.store(bases + c * room + row, base, inside)
        tl.store(scales + c * room + row, index, inside)
    level = tl.minimum(bits, COARSEST) * STEP
    tl.store(into, (x * 0 + level).to(tl.float32), inside)


@triton.jit  # type: ignore[untyped-decorator]
def settle(
    pending: tl.tensor,
    count: tl.tensor,
    at_of: tl.tensor,
    pixels: tl.tensor,
    centres: tl.tensor,
    planes: tl.tensor,
    misses: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    plane: tl.tensor,
    channels: tl.constexpr,
    lanes: tl.constexpr,
) -> None:
    """Place the pixels and their errors."""
    g = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * lanes
    there = tl.load(count + g)
    if first >= there:
        return
    row, inside = rows_of(pending, g, first, there, capacity, lanes)
    at = tl.load(at_of + row, inside, 0)
    for c in tl.static_range(channels):
        pixel = tl.load(pixels + c * room + row, inside, 0)
        miss = pixel * UNIT - tl.load(centres + c * room + row, inside, 0)
        tl.store(planes + at + c * plane, pixel.to(planes.dtype.element_ty), inside)
        tl.store(misses + at + c * plane, miss.to(misses.dtype.element_ty), inside)


@triton.jit  # type: ignore[untyped-decorator]
def advance(
    time: tl.tensor,
    count: tl.tensor,
    pending: tl.tensor,
    coded: tl.tensor,
    place: tl.tensor,
    end: tl.tensor,
    state: tl.tensor,
    learns: tl.constexpr,
    stops: tl.constexpr,
    lanes: tl.constexpr,
) -> None:
    """Go on to the next step; if it `stops`, nothing is learned where a stream lacks words.

    A stream has so many `lanes` of states.
    """
    g = tl.program_id(0).to(tl.int64)
    if g == 0:
        tl.store(time, tl.load(time) + 1)
    now = tl.load(count + g)
    if now == 0:
        return
    tile = g // PHASES
    tl.store(coded + tile, tl.load(coded + tile) + now)
    if learns:
        if stops:
            states = tl.load(state + tile * lanes + tl.arange(0, lanes))
            full = tl.min(tl.abs(states >> 32), 0) != 0
            now = tl.where(full | (tl.load(place + tile) < tl.load(end + tile)), now, 0)
        tl.store(pending + g, tl.load(pending + g) + now)
