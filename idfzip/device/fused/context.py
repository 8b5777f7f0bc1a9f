"""The network's inputs (`device.context.inputs`)."""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.arithmetic import bounded, limited, log2, over, to_sixty_fourths
from idfzip.device.fused.rows import rows_of
from idfzip.flows import recursion

ONE = tl.constexpr(recursion.ONE)

LANES = 64
"""Of a program. [Not measured.]"""


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
) -> None:
    """Write inputs (rows, width) and the indices of scales (C, rows).

    `misses` are the errors of the pixels before, in planes; `neighbours` and `places` say where
    pixels and errors are looked at, `differences` and `errors` how many of each; the first `twice`
    errors count twice for the scale.
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
    for c in tl.static_range(channels):
        base = tl.load(bases + c * wide + row, inside, 0)
        size = tl.load(total + (terms - channels + c) * wide + row, inside, 0).to(tl.int64)
        far = (size << 5) // weight
        near = base * 0
        for i in range(errors):
            miss = tl.load(misses + at + c * plane + tl.load(places + i), inside, 0)
            near += tl.abs(miss.to(tl.int64))
        for i in range(twice):
            miss = tl.load(misses + at + c * plane + tl.load(places + i), inside, 0)
            near += tl.abs(miss.to(tl.int64))
        index = ((log2(near + far + 128, log_table) + 2) >> 2) - 28
        index = tl.minimum(tl.maximum(index, 0), gains - 1)
        gain = tl.load(gain_table + index)
        level = 8 * (index - 12)
        for i in range(differences):
            value = tl.load(planes + at + c * plane + tl.load(neighbours + i), inside, 0)
            scaled = (value.to(tl.int64) - base) * gain + (512 << deep)
            tl.store(into + i, limited(scaled >> (10 + deep)).to(tl.float32), inside)
        into += differences
        for i in range(errors):
            miss = tl.load(misses + at + c * plane + tl.load(places + i), inside, 0)
            tl.store(into + i, over(miss.to(tl.int64), gain, deep).to(tl.float32), inside)
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
