"""The network's inputs (`device.context.inputs`)."""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.arithmetic import bounded, limited, log2, over, to_sixty_fourths
from idfzip.device.fused.rows import rows_of
from idfzip.flows import recursion

ONE = tl.constexpr(recursion.ONE)

LANES, WARPS = 32, 1
"""Of a program: 20 us of a step of 92 tiles of 256 rows on an H100.

Of 2 and 4 warps 43 and 28, of 64 lanes 38 or more. Before planes lay skewed, with a loop over what
is looked at, any took about 41.
"""


@triton.jit  # type: ignore[untyped-decorator]
def gather(
    pending: tl.tensor,
    count: tl.tensor,
    at_of: tl.tensor,
    bases: tl.tensor,
    planes: tl.tensor,
    misses: tl.tensor,
    neighbours: tl.tensor,
    places: tl.tensor,
    total: tl.tensor,
    partial: tl.tensor,
    energy: tl.tensor,
    inputs: tl.tensor,
    scales: tl.tensor,
    log_table: tl.tensor,
    gain_table: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    plane: tl.tensor,
    terms: tl.tensor,
    width: tl.tensor,
    gains: tl.tensor,
    limit: tl.tensor,
    loudest: tl.tensor,
    differences: tl.tensor,
    errors: tl.tensor,
    twice: tl.tensor,
    channels: tl.constexpr,
    deep: tl.constexpr,
    lanes: tl.constexpr,
    most_differences: tl.constexpr,
    most_errors: tl.constexpr,
) -> None:
    """Write inputs (rows, width) and the indices of scales (C, rows).

    `misses` are the errors of the pixels before, in planes; `neighbours` and `places` say where
    pixels and errors are looked at, `differences` and `errors` how many of each; the first `twice`
    errors count twice for the scale. There is room for so many at most, powers of two.
    """
    g = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * lanes
    there = tl.load(count + g)
    if first >= there:
        return
    row, inside = rows_of(pending, g, first, there, capacity, lanes)
    at = tl.load(at_of + row, inside, 0)
    wide = tl.zeros([lanes], tl.int64) + room
    weight = tl.load(total + (terms - 1 - channels) * wide + row, inside, 0).to(tl.int64) + ONE
    into = inputs + row * width
    d = tl.arange(0, most_differences)[:, None]
    e = tl.arange(0, most_errors)[:, None]
    for c in tl.static_range(channels):
        base = tl.load(bases + c * wide + row, inside, 0)
        size = tl.load(total + (terms - channels + c) * wide + row, inside, 0).to(tl.int64)
        far = (size << 5) // weight
        there_too = inside[None, :] & (e < errors)
        at_errors = misses + (at + c * plane)[None, :] + tl.load(places + e, e < errors, 0)
        miss = tl.load(at_errors, there_too, 0).to(tl.int64)
        near = tl.sum(tl.abs(miss) * tl.where(e < twice, 2, 1), 0)
        index = ((log2(near + far + 128, log_table) + 2) >> 2) - 28
        index = tl.minimum(tl.maximum(index, 0), gains - 1)
        gain = tl.load(gain_table + index)
        level = 8 * (index - 12)
        shown = inside[None, :] & (d < differences)
        near_by = planes + (at + c * plane)[None, :]
        value = tl.load(near_by + tl.load(neighbours + d, d < differences, 0), shown, 0)
        scaled = (value.to(tl.int64) - base[None, :]) * gain[None, :] + (512 << deep)
        tl.store(into[None, :] + d, limited(scaled >> (10 + deep)).to(tl.float32), shown)
        into += differences
        told = over(miss, gain[None, :], deep).to(tl.float32)
        tl.store(into[None, :] + e, told, there_too)
        into += errors
        mean = base >> deep
        if c == 0:
            mean -= 128
        left = tl.load(energy + c * wide + row, inside, 0)
        closely = 2 * (log2(near + 32, log_table) - 144) - level
        widely = 2 * (log2(far + 8, log_table) - 144) - level
        tl.store(into, limited(mean).to(tl.float32), inside)
        tl.store(into + 1, limited(closely).to(tl.float32), inside)
        tl.store(into + 2, limited(widely).to(tl.float32), inside)
        tl.store(into + 3, limited(left - level).to(tl.float32), inside)
        tl.store(into + 4, tl.minimum(level, loudest).to(tl.float32), inside)
        into += 5
        if c == 0:
            expected = bounded(tl.load(partial + row, inside, 0.0), limit)
            lead = over(to_sixty_fourths(expected), gain, deep)
            tl.store(into, lead.to(tl.float32), inside)
            into += 1
        tl.store(scales + c * wide + row, index, inside)
