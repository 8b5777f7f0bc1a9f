"""Pushing: streams of symbols that are known, as `coding.turns` makes them of the same intervals.

A state is what it was before the symbol that comes after; so a stream is one program, whose lanes
are its states, and a round takes a symbol of each. Only the finished words leave the device.
"""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.coding import ans

PRECISION = tl.constexpr(ans.PRECISION)
FULL = tl.constexpr(64 - ans.PRECISION)
WORD = tl.constexpr((1 << 32) - 1)

LANES = 32
"""Least lanes of a program: those of a warp."""


@triton.jit  # type: ignore[untyped-decorator]
def pushed(s: tl.tensor, lower: tl.tensor, share: tl.tensor, inverse: tl.tensor) -> tl.tensor:
    """Return states, which have room, with a symbol more: (s // share << 24) + lower + s % share.

    `inverse` is 1 / share in doubles. What they give for a quotient below 2**40 is one off at most,
    as the rest tells: so it is exact however they round.
    """
    quotient = (s.to(tl.float64) * inverse).to(tl.int64)
    rest = s.to(tl.int64, bitcast=True) - quotient * share
    more = (rest >= share).to(tl.int64) - (rest < 0).to(tl.int64)
    found = ((quotient + more) << PRECISION) + lower + (rest - more * share)
    return found.to(tl.uint64, bitcast=True)


@triton.jit  # type: ignore[untyped-decorator]
def write(words: tl.tensor, at: tl.tensor, s: tl.tensor, which: tl.tensor) -> None:
    """Write the low words of those states `which` have one to write."""
    tl.store(words + at, (s & WORD).to(tl.uint32).to(tl.int32, bitcast=True), which)


@triton.jit  # type: ignore[untyped-decorator]
def push(
    cumulative: tl.tensor,
    frequency: tl.tensor,
    plan: tl.tensor,
    words: tl.tensor,
    used: tl.tensor,
    symbols: tl.tensor,
    streams: tl.tensor,
    lanes: tl.constexpr,
) -> None:
    """Write the words of a stream, of intervals (streams, symbols), and how many are `used`.

    `plan` (5, streams): how many symbols a stream has, its states, the interval that says so, and
    where its words end. They are written backwards from there, the last one first.
    """
    g = tl.program_id(0).to(tl.int64)
    count = tl.load(plan + g).to(tl.int32)
    states = tl.load(plan + streams + g).to(tl.int32)
    lower = tl.load(plan + 2 * streams + g)
    share = tl.load(plan + 3 * streams + g)
    end = tl.load(plan + 4 * streams + g)
    whose = tl.arange(0, lanes)
    there = whose < states
    start = (states > 1).to(tl.uint64) << 32
    s = (whose * 0).to(tl.uint64) + start
    at = end
    lowers, shares = cumulative + g * symbols, frequency + g * symbols
    number = (tl.maximum(count - 1, 0) & -states) + whose
    inside = there & (number < count)
    low = tl.load(lowers + number, inside, 0).to(tl.int64)
    size = tl.load(shares + number, inside, 1).to(tl.int64)
    for _ in range(0, count, states):
        number -= states
        next_inside = there & (number >= 0)
        next_low = tl.load(lowers + number, next_inside, 0)
        next_size = tl.load(shares + number, next_inside, 1)
        inverse = 1.0 / size.to(tl.float64)
        full = inside & ((s >> FULL).to(tl.int64) >= size)
        writes = full.to(tl.int32)
        write(words, at - tl.cumsum(writes, 0, reverse=True), s, full)
        at -= tl.sum(writes, 0)
        s = tl.where(inside, pushed(tl.where(full, s >> 32, s), low, size, inverse), s)
        inside, low, size = next_inside, next_low.to(tl.int64), next_size.to(tl.int64)
    others = there & (whose > 0)
    behind = at - 2 * (states - whose).to(tl.int64)
    write(words, behind + 1, s, others)
    write(words, behind, s >> 32, others)
    at -= 2 * (states - 1)
    first = whose == 0
    full = first & ((s >> FULL).to(tl.int64) >= share)
    at -= tl.sum(full.to(tl.int32), 0)
    write(words, at + whose, s, full)
    s = tl.where(full, s >> 32, s)
    size = (whose * 0).to(tl.int64) + share
    s = pushed(tl.where(first, s, s & 0), lower, size, 1.0 / size.to(tl.float64))
    for _ in tl.static_range(2):
        full = first & (s != 0)
        at -= tl.sum(full.to(tl.int32), 0)
        write(words, at + whose, s, full)
        s = s >> 32
    tl.store(used + g, end - at)
