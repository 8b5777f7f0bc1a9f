"""The symbols that streams hold next.

A symbol is known only when the one before it in its stream is, so taking them is the one part of a
step whose length grows with a tile's rows. In operators each takes about thirty launches; here a
program walks along its stream, and what lies side by side are the stream's states (see
`coding.turns`) and, for each, the values between which it chooses.
"""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.coding import ans
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

PROBED = 16
"""Of one that probes: 12 us of a step of 92 tiles of 256 rows on an H100, of 8 or 32 14."""
LANES, EACH = 512, 64
"""Values that a program which takes symbols looks at together, of all states, and of each warp.

41 us of a step of 92 tiles of 256 rows on an H100, all three channels, with 32 states. 256 values,
32 a warp, take 46; half the warps 43 and 60, a quarter 52 and 84. Of 8 states, what a round reads
asked for in it, it took 137.
"""


def ways(states: int) -> int:
    """Return between how many values the search of each state chooses at once."""
    return min(PROBES, max(2, LANES // states))


def warps(states: int) -> int:
    """Return of how many warps a program is that takes symbols."""
    return max(1, states * ways(states) // EACH)


def rounds(alphabet: int, ways: int) -> int:
    """Return how often the search chooses."""
    count = 1
    while ways**count < alphabet:
        count += 1
    return count


@triton.jit  # type: ignore[untyped-decorator]
def mixtures_of(
    row: tl.tensor,
    inside: tl.tensor,
    weights: tl.tensor,
    means: tl.tensor,
    inverses: tl.tensor,
    components: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """Return the weight, mean and inverse scale of each component of rows' mixtures."""
    found = ()
    for j in tl.static_range(components):
        found = found + (
            tl.load(weights + row * components + j, inside, 0),
            tl.load(means + row * components + j, inside, 0),
            tl.load(inverses + row * components + j, inside, 0),
        )
    return found


@triton.jit  # type: ignore[untyped-decorator]
def below(
    value: tl.tensor,
    low: tl.tensor,
    mixtures: tl.tensor,
    sigmoid: tl.tensor,
    alphabet: tl.tensor,
    components: tl.constexpr,
) -> tl.tensor:
    """Return the frequencies of all values below these, all int32: `mixture.cumulative`.

    `mixtures` are those of `mixtures_of`, of shapes that values' shape has room for.
    """
    mass = (value * 0).to(tl.int64)
    for j in tl.static_range(components):
        u = placed(64 * value - 32, mixtures[3 * j + 1], mixtures[3 * j + 2])
        mass += mixtures[3 * j].to(tl.int64) * level(u, sigmoid).to(tl.int64)
    step = value - low
    found = ((mass * (TOTAL - alphabet)) >> DOWN).to(tl.int32) + step
    found = tl.where(step > 0, found, 0)
    return tl.where(step < alphabet, found, TOTAL)


@triton.jit  # type: ignore[untyped-decorator]
def middle(
    low: tl.tensor,
    mixtures: tl.tensor,
    alphabet: tl.tensor,
    components: tl.constexpr,
) -> tl.tensor:
    """Return the means of mixtures, rounded: `mixture.middle`."""
    total = (low * 0).to(tl.int64)
    for j in tl.static_range(components):
        total += mixtures[3 * j].to(tl.int64) * mixtures[3 * j + 1].to(tl.int64)
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
    mixtures = mixtures_of(row, inside, weights, means, inverses, components)
    found = below(value, low, mixtures, sigmoid, alphabet, components)
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
    inside = (whose < count_of_states) & (whose >= begin) & (whose < stop)
    row = (first + whose)[:, None]
    low = tl.load(lows + row, inside[:, None], 0).to(tl.int32)
    probed = tl.load(probes + row * ways + way, inside[:, None], 0)
    mixtures = mixtures_of(row, inside[:, None], weights, means, inverses, components)
    for i in range(0, stop, count_of_states):
        ahead = tl.load(words + at + whose, at + whose < last, 0)
        # What the next round needs of memory is on its way while this one is searched for.
        number = i + count_of_states + whose
        soon = (whose < count_of_states) & (number < stop)
        next_row = (first + number)[:, None]
        next_low = tl.load(lows + next_row, soon[:, None], 0).to(tl.int32)
        next_probed = tl.load(probes + next_row * ways + way, soon[:, None], 0)
        next_mixtures = mixtures_of(next_row, soon[:, None], weights, means, inverses, components)
        quantile = (s & (TOTAL - 1)).to(tl.int32)
        least = low
        found = probed
        lower = quantile * 0
        upper = lower + TOTAL
        for r in tl.static_range(rounds):
            if r > 0:
                tried = tl.minimum(least + way * ways ** (rounds - 1 - r), low + alphabet)
                found = below(tried, low, mixtures, sigmoid, alphabet, components)
            taken = found <= quantile[:, None]
            # The frequencies grow with the values, so the last that is taken has the most.
            chosen = tl.max(tl.where(taken, found * ways + way, 0), 1)
            upper = tl.minimum(upper, tl.min(tl.where(taken, TOTAL, found), 1))
            lower = chosen // ways
            least += (chosen % ways)[:, None] * ways ** (rounds - 1 - r)
        popped = ((s >> PRECISION) & KEPT) * (upper - lower) + (quantile - lower)
        hungry = (inside & ((popped >> 32) == 0)).to(tl.int32)
        next_word = at + tl.cumsum(hungry, 0) - hungry
        if guesses:
            starved = (at >= last) & (tl.min(tl.abs(s >> 32), 0) == 0)
            lacking = (hungry > 0) & (next_word >= last)
            known = tl.where(starved, -1, tl.min(tl.where(lacking, whose, lanes), 0))
            guess = middle(low, mixtures, alphabet, components)
            shown = tl.where((whose <= known)[:, None], least, guess)
            tl.store(pixels + row, shown.to(tl.int64), inside[:, None])
            inside = inside & (whose <= known)
            held += tl.sum(inside.to(tl.int64), 0)
        else:
            tl.store(pixels + row, least.to(tl.int64), inside[:, None])
        fed = (hungry > 0) & (next_word < last)
        word = tl.gather(ahead, (next_word - at).to(tl.int32), 0).to(tl.int64) & WORD
        s = tl.where(inside, tl.where(fed, (popped << 32) | word, popped), s)
        at += tl.sum(fed.to(tl.int32), 0)
        inside, row, low, probed, mixtures = soon, next_row, next_low, next_probed, next_mixtures
    tl.store(state + stream * lanes + whose, s)
    tl.store(place + stream, at)
    tl.store(turn + stream, stop % count_of_states)
    if guesses:
        tl.store(read + stream, tl.load(read + stream) + held)
