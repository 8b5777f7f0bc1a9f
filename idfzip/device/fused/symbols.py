"""Symbols: those that streams hold next, and those of pixels that are known.

A symbol is known only when the one before it in its stream is, so taking them is the one part of a
step whose length grows with a tile's rows. In operators each takes about thirty launches; here a
program walks along its stream, and what lies side by side are the stream's states (see
`coding.turns`) and, for each, the values between which it chooses.
"""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.coding import ans
from idfzip.device.fused.arithmetic import STEPS, log2
from idfzip.device.fused.mixtures import level, placed
from idfzip.device.fused.rows import rows_of
from idfzip.device.room import PROBES
from idfzip.priors import mixture

TOTAL = tl.constexpr(ans.TOTAL)
PRECISION = tl.constexpr(ans.PRECISION)
KEPT = tl.constexpr((1 << (64 - ans.PRECISION)) - 1)
WORD = tl.constexpr((1 << 32) - 1)
DOWN = tl.constexpr(mixture.WEIGHT_BITS + mixture.SIGMOID_BITS)
MEAN = tl.constexpr(mixture.WEIGHT_BITS + 6)
HALF = tl.constexpr(1 << (mixture.WEIGHT_BITS + 5))

ROWS = 64
"""Of a program that notes symbols, and `PROBED` of one that probes. [Not measured.]"""
PROBED = 16


def ways(states: int) -> int:
    """Return between how many values the search of each state chooses at once."""
    return min(PROBES, max(2, 256 // states))


def warps(states: int) -> int:
    """Return of how many warps a program is that takes symbols: one lane for each value."""
    return max(1, states * ways(states) // 32)


def rounds(alphabet: int, ways: int) -> int:
    """Return how often the search chooses."""
    count = 1
    while ways**count < alphabet:
        count += 1
    return count


@triton.jit  # type: ignore[untyped-decorator]
def below(
    value: tl.tensor,
    row: tl.tensor,
    inside: tl.tensor,
    low: tl.tensor,
    weights: tl.tensor,
    means: tl.tensor,
    inverses: tl.tensor,
    sigmoid: tl.tensor,
    alphabet: tl.tensor,
    components: tl.constexpr,
) -> tl.tensor:
    """Return the frequencies of all values below these, all int32: `mixture.cumulative`."""
    mass = (value * 0).to(tl.int64)
    for j in tl.static_range(components):
        mean = tl.load(means + row * components + j, inside, 0)
        inverse = tl.load(inverses + row * components + j, inside, 0)
        weight = tl.load(weights + row * components + j, inside, 0)
        u = placed(64 * value - 32, mean, inverse)
        mass += weight.to(tl.int64) * level(u, sigmoid).to(tl.int64)
    step = value - low
    found = ((mass * (TOTAL - alphabet)) >> DOWN).to(tl.int32) + step
    found = tl.where(step > 0, found, 0)
    return tl.where(step < alphabet, found, TOTAL)


@triton.jit  # type: ignore[untyped-decorator]
def middle(
    row: tl.tensor,
    inside: tl.tensor,
    low: tl.tensor,
    weights: tl.tensor,
    means: tl.tensor,
    alphabet: tl.tensor,
    components: tl.constexpr,
) -> tl.tensor:
    """Return the means of mixtures, rounded: `mixture.middle`."""
    total = (low * 0).to(tl.int64)
    for j in tl.static_range(components):
        mean = tl.load(means + row * components + j, inside, 0)
        weight = tl.load(weights + row * components + j, inside, 0)
        total += weight.to(tl.int64) * mean.to(tl.int64)
    found = ((total + HALF) >> MEAN).to(tl.int32)
    return tl.minimum(tl.maximum(found, low), low + alphabet - 1)


@triton.jit  # type: ignore[untyped-decorator]
def probe(
    pending: tl.tensor,
    count: tl.tensor,
    weights: tl.tensor,
    means: tl.tensor,
    inverses: tl.tensor,
    lows: tl.tensor,
    sigmoid: tl.tensor,
    probes: tl.tensor,
    capacity: tl.tensor,
    alphabet: tl.tensor,
    stride: tl.tensor,
    components: tl.constexpr,
    rows: tl.constexpr,
    ways: tl.constexpr,
) -> None:
    """Write the frequencies below every `stride`-th value, (rows, ways): where searches begin.

    They need no symbol before, so all rows of a step are done at once.
    """
    g = tl.program_id(0).to(tl.int64)
    begin = tl.program_id(1) * rows
    there = tl.load(count + g)
    if begin >= there:
        return
    row, inside = rows_of(pending, g, begin, there, capacity, rows)
    row, inside = row[:, None], inside[:, None]
    low = tl.load(lows + row, inside, 0).to(tl.int32)
    way = tl.arange(0, ways)[None, :]
    value = tl.minimum(low + way * stride, low + alphabet)
    found = below(value, row, inside, low, weights, means, inverses, sigmoid, alphabet, components)
    tl.store(probes + row * ways + way, found, inside)


@triton.jit  # type: ignore[untyped-decorator]
def take(
    pending: tl.tensor,
    count: tl.tensor,
    words: tl.tensor,
    place: tl.tensor,
    end: tl.tensor,
    state: tl.tensor,
    states: tl.tensor,
    turn: tl.tensor,
    weights: tl.tensor,
    means: tl.tensor,
    inverses: tl.tensor,
    lows: tl.tensor,
    sigmoid: tl.tensor,
    probes: tl.tensor,
    pixels: tl.tensor,
    read: tl.tensor,
    capacity: tl.tensor,
    alphabet: tl.tensor,
    components: tl.constexpr,
    rounds: tl.constexpr,
    lanes: tl.constexpr,
    ways: tl.constexpr,
    sharing: tl.constexpr,
    guesses: tl.constexpr,
) -> None:
    """Write the values that a group's stream holds next, `pixels` (rows), and move it on.

    A round takes one of each of its states, the first and the last round of fewer. There is room
    for so many `lanes` of states. The first choice is between `probes`, (rows, ways). So many
    groups are `sharing` a stream, of which one has pixels in a step. With `guesses` a stream gives
    means once it lacks a word, and `read` counts the values that it held.
    """
    g = tl.program_id(0).to(tl.int64)
    there = tl.load(count + g)
    if there == 0:
        return
    stream = g // sharing
    whose = tl.arange(0, lanes).to(tl.int64)
    way = tl.arange(0, ways)[None, :]
    s = tl.load(state + stream * lanes + whose)
    at = tl.load(place + stream)
    last = tl.load(end + stream)
    count_of_states = tl.load(states + stream)
    begin = tl.load(turn + stream)
    stop = begin + there
    held = there * 0
    first = g * capacity + tl.load(pending + g) - begin
    for i in range(0, stop, count_of_states):
        number = i + whose
        inside = (whose < count_of_states) & (number >= begin) & (number < stop)
        row = first + number
        low = tl.load(lows + row, inside, 0).to(tl.int32)
        quantile = (s & (TOTAL - 1)).to(tl.int32)
        value = low
        lower = quantile * 0
        upper = lower + TOTAL
        for r in tl.static_range(rounds):
            stride = ways ** (rounds - 1 - r)
            if r == 0:
                found = tl.load(probes + row[:, None] * ways + way, inside[:, None], 0)
            else:
                tried = tl.minimum(value[:, None] + way * stride, low[:, None] + alphabet)
                found = below(
                    tried, row[:, None], inside[:, None], low[:, None], weights, means, inverses,
                    sigmoid, alphabet, components,
                )  # fmt: skip
            taken = found <= quantile[:, None]
            value += (tl.sum(taken.to(tl.int32), 1) - 1) * stride
            lower = tl.max(tl.where(taken, found, 0), 1)
            upper = tl.minimum(upper, tl.min(tl.where(taken, TOTAL, found), 1))
        popped = ((s >> PRECISION) & KEPT) * (upper - lower) + (quantile - lower)
        hungry = (inside & ((popped >> 32) == 0)).to(tl.int32)
        next_word = at + tl.cumsum(hungry, 0) - hungry
        if guesses:
            starved = (at >= last) & (tl.min(tl.abs(s >> 32), 0) == 0)
            lacking = (hungry > 0) & (next_word >= last)
            known = tl.where(starved, -1, tl.min(tl.where(lacking, whose, lanes), 0))
            guess = middle(row, inside, low, weights, means, alphabet, components)
            shown = tl.where(whose <= known, value, guess)
            tl.store(pixels + row, shown.to(tl.int64), inside)
            inside = inside & (whose <= known)
            held += tl.sum(inside.to(tl.int64), 0)
        else:
            tl.store(pixels + row, value.to(tl.int64), inside)
        fed = (hungry > 0) & (next_word < last)
        word = tl.load(words + next_word, fed, 0).to(tl.int64) & WORD
        s = tl.where(inside, tl.where(fed, (popped << 32) | word, popped), s)
        at += tl.sum(fed.to(tl.int32), 0)
    tl.store(state + stream * lanes + whose, s)
    tl.store(place + stream, at)
    tl.store(turn + stream, stop % count_of_states)
    if guesses:
        tl.store(read + stream, tl.load(read + stream) + held)


@triton.jit  # type: ignore[untyped-decorator]
def note(
    pending: tl.tensor,
    count: tl.tensor,
    coded: tl.tensor,
    tile_of: tl.tensor,
    at_of: tl.tensor,
    truth: tl.tensor,
    weights: tl.tensor,
    means: tl.tensor,
    inverses: tl.tensor,
    lows: tl.tensor,
    sigmoid: tl.tensor,
    pixels: tl.tensor,
    cumulative: tl.tensor,
    frequency: tl.tensor,
    costs: tl.tensor,
    log_table: tl.tensor,
    capacity: tl.tensor,
    alphabet: tl.tensor,
    symbols: tl.tensor,
    offset: tl.tensor,
    c: tl.constexpr,
    channels: tl.constexpr,
    components: tl.constexpr,
    rows: tl.constexpr,
    sharing: tl.constexpr,
    several: tl.constexpr,
) -> None:
    """Write the intervals of the pixels of `truth`, (streams, symbols), where decoding has them.

    `truth` are planes; channel `c` stands `offset` further. `pixels` (rows) are copied from them.
    So many groups are `sharing` a stream, of which one has pixels in a step. What the intervals
    cost (`turns.cost_of`) is added to that of their stream or, of groups with `several` tiles, of
    their tile.
    """
    g = tl.program_id(0).to(tl.int64)
    begin = tl.program_id(1) * rows
    there = tl.load(count + g)
    if begin >= there:
        return
    row, inside = rows_of(pending, g, begin, there, capacity, rows)
    at = tl.load(at_of + row, inside, 0)
    value = tl.load(truth + at + offset, inside, 0).to(tl.int32)
    low = tl.load(lows + row, inside, 0).to(tl.int32)
    tl.store(pixels + row, value.to(tl.int64), inside)
    lower = below(value, row, inside, low, weights, means, inverses, sigmoid, alphabet, components)
    upper = below(
        value + 1, row, inside, low, weights, means, inverses, sigmoid, alphabet, components
    )
    stream = g // sharing
    into = stream * symbols + tl.load(coded + stream) * channels
    into += c * there + begin + tl.arange(0, rows)
    tl.store(cumulative + into, lower, inside)
    tl.store(frequency + into, upper - lower, inside)
    logarithm = log2((upper - lower).to(tl.int64), log_table)
    cost = tl.where(inside, STEPS * PRECISION - logarithm, 0)
    if several:
        tl.atomic_add(costs + tl.load(tile_of + row, inside, 0), cost, inside)
    else:
        tl.atomic_add(costs + stream, tl.sum(cost, 0))
