"""What the network sees of pictures that are known before (`device.painted.Pictures.inputs`)."""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.arithmetic import limited, log2
from idfzip.device.fused.rows import MARGIN, rows_of

NEAR = tl.constexpr(4)
"""How many places the base of a picture is the mean of."""

LANES = 64
"""Of a program. [Not measured.]"""


@triton.jit  # type: ignore[untyped-decorator]
def look(
    pending: tl.tensor,
    count: tl.tensor,
    tile_of: tl.tensor,
    y_of: tl.tensor,
    x_of: tl.tensor,
    at_of: tl.tensor,
    bases: tl.tensor,
    scales: tl.tensor,
    planes: tl.tensor,
    pictures: tl.tensor,
    pixels_at: tl.tensor,
    neighbours: tl.tensor,
    near: tl.tensor,
    places: tl.tensor,
    inputs: tl.tensor,
    log_table: tl.tensor,
    gain_table: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    plane: tl.tensor,
    picture: tl.tensor,
    stride: tl.tensor,
    width: tl.tensor,
    column: tl.tensor,
    pixels: tl.tensor,
    around: tl.tensor,
    channels: tl.constexpr,
    lanes: tl.constexpr,
) -> None:
    """Write inputs from `column` on, (rows, width).

    `pixels_at` says where so many `pixels` are in the planes, `neighbours` where the same places
    are in pictures, `places` how many are looked at `around`. Channels stand `plane` apart, those
    of pictures `picture`, their rows `stride`.
    """
    g = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * lanes
    there = tl.load(count + g)
    if first >= there:
        return
    row, inside = rows_of(pending, g, first, there, capacity, lanes)
    at = tl.load(at_of + row, inside, 0)
    shown = tl.load(tile_of + row, inside, 0) * (channels * picture)
    shown += (tl.load(y_of + row, inside, 0) + MARGIN) * stride
    shown += tl.load(x_of + row, inside, 0) + MARGIN
    into = inputs + row * width + column
    for c in tl.static_range(channels):
        mine = pictures + shown + c * picture
        index = tl.load(scales + c * room + row, inside, 0)
        gain = tl.load(gain_table + index)
        total = at * 0
        for k in range(NEAR):
            total += tl.load(mine + tl.load(near + k), inside, 0).to(tl.int64)
        middle = (total + 2) >> 2
        gap = middle - tl.load(bases + c * room + row, inside, 0)
        busy = at * 0
        for k in range(around):
            d = tl.load(mine + tl.load(places + k), inside, 0).to(tl.int64) - middle
            busy += tl.abs(d)
            tl.store(into + k, limited((d * gain + 512) >> 10).to(tl.float32), inside)
        total = at * 0
        for k in range(pixels):
            value = tl.load(planes + at + c * plane + tl.load(pixels_at + k), inside, 0)
            total += value.to(tl.int64)
            total -= tl.load(mine + tl.load(neighbours + k), inside, 0).to(tl.int64)
        above = total // pixels
        above -= (total - above * pixels < 0).to(tl.int64)  # rounded down, as everywhere
        into += around
        tl.store(into, limited((gap * gain + 512) >> 10).to(tl.float32), inside)
        corrected = limited(((gap + above) * gain + 512) >> 10)
        tl.store(into + 1, corrected.to(tl.float32), inside)
        level = 8 * (index - 12)
        variety = limited(2 * (log2((busy << 6) + 32, log_table) - 144) - level)
        tl.store(into + 2, variety.to(tl.float32), inside)
        into += 3
