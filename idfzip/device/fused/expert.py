"""The adaptive expert's systems, a lane each (`device.expert.solve`).

The same factors as by columns, since what is taken from an entry is taken in the order of the
columns: row by row an entry stays in a register until it is done.
"""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.arithmetic import clamped, log2
from idfzip.device.fused.rows import rows_of
from idfzip.flows import expert, recursion

ONE = tl.constexpr(recursion.ONE)
PIVOT = tl.constexpr(float(expert.PIVOT))
POWER = tl.constexpr(expert.POWER)
RIDGE = tl.constexpr(float(expert.RELATIVE_RIDGE))

LANES, WARPS = 32, 1
"""Of a program: a lane a thread, which alone reads again what it has written."""


@triton.jit  # type: ignore[untyped-decorator]
def solve(
    pending: tl.tensor,
    count: tl.tensor,
    at_of: tl.tensor,
    bases: tl.tensor,
    planes: tl.tensor,
    offsets: tl.tensor,
    whose: tl.tensor,
    total: tl.tensor,
    samples: tl.tensor,
    columns: tl.tensor,
    factors: tl.tensor,
    inverses: tl.tensor,
    partial: tl.tensor,
    link: tl.tensor,
    energy: tl.tensor,
    table: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    limit: tl.tensor,
    ridge: tl.tensor,
    n: tl.tensor,
    channels: tl.tensor,
    lanes: tl.constexpr,
) -> None:
    """Solve the systems of windows `total` (terms, rows), and keep the neighbours as samples.

    `columns` (n * n, rows), `factors` and `inverses` (n, rows) are room, float32.
    """
    g = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * lanes
    there = tl.load(count + g)
    if first >= there:
        return
    row, inside = rows_of(pending, g, first, there, capacity, lanes)
    at = tl.load(at_of + row, inside, 0)
    m = n - channels
    wide = tl.zeros([lanes], tl.int64) + room
    for i in range(m):
        base = tl.load(bases + tl.load(whose + i) * wide + row, inside, 0)
        value = tl.load(planes + at + tl.load(offsets + i), inside, 0).to(tl.int64)
        known = clamped(value - base, limit)
        tl.store(samples + i * wide + row, known.to(samples.dtype.element_ty), inside)
    weight = tl.load(total + (n * (n + 1) // 2) * wide + row, inside, 0).to(tl.int64) + ONE
    amount = log2(weight, table)
    for i in range(n + 1):
        ends = tl.minimum(i + 1, n)
        for k in range(ends):
            if i < n:
                term = tl.load(total + (i * (i + 1) // 2 + k) * wide + row, inside, 0)
                value = term.to(tl.float32)
                steps = k
            else:
                own = inside & (at * 0 + k < m)
                value = tl.load(samples + k * wide + row, own, 0).to(tl.float32)
                steps = tl.minimum(k, m)
            if i == k:
                value = value + (value * RIDGE + ridge)
            for j in range(steps):
                factor = tl.load(factors + j * wide + row, inside, 0.0)
                column = tl.load(columns + (k * n + j) * wide + row, inside, 0.0)
                value = value - factor * column
            if i == k:
                pivot = tl.where(value > PIVOT, value, PIVOT)
                tl.store(inverses + k * wide + row, tl.div_rn(pivot * 0 + 1.0, pivot), inside)
                if k >= m:
                    least = tl.where(pivot < POWER, pivot, POWER).to(tl.int64)
                    found = log2(least, table) - amount
                    tl.store(energy + (k - m) * wide + row, found, inside)
            else:
                inverse = tl.load(inverses + k * wide + row, inside, 0.0)
                factor = value * inverse
                tl.store(factors + k * wide + row, factor, inside)
                if i < n:
                    tl.store(columns + (i * n + k) * wide + row, value, inside)
                    if k >= m:
                        entry = (i - m) * channels + k - m
                        tl.store(link + entry * wide + row, factor.to(tl.float64), inside)
            if (i == n) & (k >= m):
                tl.store(partial + (k - m) * wide + row, -value.to(tl.float64), inside)
