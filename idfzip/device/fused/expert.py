"""The adaptive expert's systems, a lane each (`device.expert.solve`).

The same factors as by columns, since what is taken from an entry is taken in the order of the
columns. Row by row, all of it unrolled, entries stay in a lane's registers from the first to the
last: of 19 unknowns 190 entries and 19 factors, of the 255 registers that a lane has.
"""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.arithmetic import clamped, columns_of, log2
from idfzip.device.fused.rows import SLOTS, rows_of
from idfzip.flows import expert, recursion

ONE = tl.constexpr(recursion.ONE)
PIVOT = tl.constexpr(float(expert.PIVOT))
POWER = tl.constexpr(expert.POWER)
RIDGE = tl.constexpr(float(expert.RELATIVE_RIDGE))

LANES, WARPS = 32, 1
"""Of a program: 10.5 us of a step of 92 tiles of 256 rows on an H100, as of 64 and 2.

With entries in memory, in a loop, it took 190.
"""


@triton.jit  # type: ignore[untyped-decorator]
def solve(
    pending: tl.tensor,
    count: tl.tensor,
    time: tl.tensor,
    at_of: tl.tensor,
    spots: tl.tensor,
    bases: tl.tensor,
    planes: tl.tensor,
    offsets: tl.tensor,
    whose: tl.tensor,
    total: tl.tensor,
    samples: tl.tensor,
    partial: tl.tensor,
    link: tl.tensor,
    energy: tl.tensor,
    table: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    everywhere: tl.tensor,
    limit: tl.tensor,
    ridge: tl.tensor,
    n: tl.constexpr,
    channels: tl.constexpr,
    levels: tl.constexpr,
    lanes: tl.constexpr,
) -> None:
    """Solve the systems of windows `total` (terms, rows), and keep the neighbours as samples.

    `samples` (slots, n + 1 + channels, everywhere) as of `window`. There are at most 2**levels
    neighbours.
    """
    g = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * lanes
    there = tl.load(count + g)
    if first >= there:
        return
    row, inside = rows_of(pending, g, first, there, capacity, lanes)
    at = tl.load(at_of + row, inside, 0)
    m: tl.constexpr = n - channels
    wide = tl.zeros([lanes], tl.int64) + room
    kept = samples + (tl.load(time) % SLOTS) * (n + 1 + channels) * everywhere
    kept += tl.load(spots + row, inside, 0)
    i = tl.arange(0, 2**levels)[None, :]
    both = inside[:, None] & (i < m)
    base = tl.load(bases + tl.load(whose + i, i < m, 0) * room + row[:, None], both, 0)
    value = tl.load(planes + at[:, None] + tl.load(offsets + i, i < m, 0), both, 0).to(tl.int64)
    sample = clamped(value - base, limit).to(samples.dtype.element_ty)
    tl.store(kept[:, None] + i * everywhere, sample, both)
    known = columns_of(sample.to(tl.float32), lanes, levels)
    weight = tl.load(total + (n * (n + 1) // 2) * wide + row, inside, 0).to(tl.int64) + ONE
    amount = log2(weight, table)
    columns = ()
    inverses = ()
    entries = ()
    for i in tl.static_range(n):
        for start in tl.static_range((i * (i + 1) // 2 + 31) // 32 * 32, i * (i + 3) // 2 + 1, 32):
            which = start + tl.arange(0, 32)[None, :]
            some = inside[:, None] & (which < n * (n + 1) // 2)
            block = tl.load(total + which * room + row[:, None], some, 0)
            entries = entries + columns_of(block.to(tl.float32), lanes, 5)
        factors = ()
        for k in tl.static_range(i):
            value = entries[i * (i + 1) // 2 + k]
            for j in tl.static_range(k):
                value = value - factors[j] * columns[k * (k - 1) // 2 + j]
            factors = factors + (value * inverses[k],)
            columns = columns + (value,)
            if k >= m:
                entry = (i - m) * channels + k - m
                tl.store(link + entry * wide + row, factors[k].to(tl.float64), inside)
        value = entries[i * (i + 3) // 2]
        value = value + (value * RIDGE + ridge)
        for j in tl.static_range(i):
            value = value - factors[j] * columns[i * (i - 1) // 2 + j]
        pivot = tl.where(value > PIVOT, value, PIVOT)
        inverses = inverses + (tl.div_rn(pivot * 0 + 1.0, pivot),)
        if i >= m:
            least = tl.where(pivot < POWER, pivot, POWER).to(tl.int64)
            tl.store(energy + (i - m) * wide + row, log2(least, table) - amount, inside)
    factors = ()
    for k in tl.static_range(m):
        value = known[k]
        for j in tl.static_range(k):
            value = value - factors[j] * columns[k * (k - 1) // 2 + j]
        factors = factors + (value * inverses[k],)
    for c in tl.static_range(channels):
        value = wide.to(tl.float32) * 0.0
        for j in tl.static_range(m):
            value = value - factors[j] * columns[(m + c) * (m + c - 1) // 2 + j]
        tl.store(partial + c * wide + row, -value.to(tl.float64), inside)
