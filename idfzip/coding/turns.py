"""Streams of several states, which take turns symbol by symbol and share the words.

So many symbols in a row are then independent of each other but for their words' places (Giesen
2014, arXiv:1402.3392), which is worth much where lanes would wait for each other, as on a GPU: a
step of a tile of 256 rows has some 500 symbols. A processor's kernels take as long either way. A
state costs six bytes: the two tiles of Kodak's first image, 216 kB each, took 0.009, 0.021, 0.045,
0.084% more with 4, 8, 16, 32 states than with one (`scripts/states.py`). So a stream has as many as
its length allows, which is counted before anything is pushed, in whole numbers (`cost_of`), so that
whoever pushes takes as many. It says how many: the first symbol, of state 0, which comes before the
other states. Six tiles of progressive files, 192 kB each, took 0.04% more with 4, 0.05% with 8:
half of it in one whose last values are the least ones, which a state that begins at 0 has for
nothing.

A state alone begins at 0, so that short streams are short; several begin at 2**32, or none would
know whose the last words are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.coding import ans
from idfzip.coding.ans import LOW, PRECISION, TOTAL, Words, begun, flush, popped, push_onto
from idfzip.integer.jit import inlined, kernel
from idfzip.integer.log2 import STEPS, log2, log2_table

MOST = 32
"""Most states that an encoder takes."""

SHARE = 1 << 11
"""Words of a stream for each of its states, which so cost at most 0.08%."""

MAX_STATES = 64
"""Most states of any stream."""

TABLE = log2_table()
"""Of the logarithm by which a stream's length is counted."""

_FREQUENCY = 1 << 12
"""Of each number of states but one, which has the rest, from 0 on."""

_ONE = TOTAL - (MAX_STATES.bit_length() - 1) * _FREQUENCY


def push_all(
    cumulative: npt.NDArray[np.int32], frequency: npt.NDArray[np.int32], states: int = 0
) -> Words:
    """Code symbols as `ans.push_all`, on so many states or, with 0, as their length allows."""
    return push_parts(cumulative, frequency, [len(frequency)], 0, states)[0]


def push_parts(
    cumulative: npt.NDArray[np.int32],
    frequency: npt.NDArray[np.int32],
    ends: Sequence[int],
    before: int = 0,
    states: int = 0,
) -> list[Words]:
    """Code symbols as `ans.push_parts`, on so many `states`, a power of two up to `MAX_STATES`.

    The first symbols, so many as are `before`, are those of one state; only then is the number of
    states said. With 0 there are as many as the length allows.
    """
    states = states or states_of(cost_of(frequency))
    marks = np.asarray(ends, np.int64)
    words, cuts = _push(cumulative, frequency, marks, before, states, *interval(states))
    return np.split(words, cuts[:-1])


def cost_of(frequency: npt.NDArray[np.int32]) -> int:
    """Return about how many bits symbols take, in `STEPS` to one: the same number everywhere.

    By a logarithm of whole numbers, whose sums are the same in any order, on any device. What takes
    less than half a step is free.
    """
    return int(_cost(frequency, TABLE))


@kernel
def _cost(frequency: npt.NDArray[np.int32], table: npt.NDArray[np.int32]) -> int:
    total = 0
    for one in frequency:
        total += STEPS * PRECISION - log2(one, table)
    return total


def states_of(cost: int) -> int:
    """Return how many states a stream of symbols of this cost has, a power of two."""
    return 1 << min(max(cost // (32 * STEPS) // SHARE, 1), MOST).bit_length() - 1


def interval(states: int) -> tuple[int, int]:
    """Return the interval of a number of states: cumulative frequency and frequency."""
    if states == 1:
        return 0, _ONE
    return _ONE + (states.bit_length() - 2) * _FREQUENCY, _FREQUENCY


@kernel
def _push(
    cumulative: npt.NDArray[np.int32],
    frequency: npt.NDArray[np.int32],
    marks: npt.NDArray[np.int64],
    before: int,
    states: int,
    lower: int,
    share: int,
) -> tuple[Words, npt.NDArray[np.int64]]:
    """Return the words in the order of decoding, and how many precede each mark's next symbol."""
    n = len(frequency)
    words = np.empty(n + 2 * states + 1, np.uint32)
    after = np.zeros(len(marks), np.int64)
    used = 0
    mark = len(marks) - 1
    state = np.zeros(states, np.uint64)
    if states > 1:
        state[:] = LOW
    for i in range(n, -1, -1):  # symbols from i on are those of what is written
        if i < n:
            turn = (i - before) & (states - 1) if i >= before else 0
            used = push_onto(words, used, state, turn, cumulative[i], frequency[i])
        if i == before:
            for turn in range(states - 1, 0, -1):
                used = flush(words, used, state[turn])
            used = push_onto(words, used, state, 0, lower, share)
        while mark >= 0 and marks[mark] == i:
            after[mark] = used
            mark -= 1
    used = flush(words, used, state[0])
    return words[:used][::-1].copy(), used - after


class Turns(NamedTuple):
    """Decoders of several streams; first axis: streams.

    `words` uint32 (total,), all streams one after the other; `place` int64 (streams, 2): next
    word, end of the stream's words; `state` uint64 (streams, most states), those that are none
    2**32; `states` int64 (streams,): how many there are; `turn` int64 (streams,): which of them has
    the next symbol.
    """

    words: Words
    place: npt.NDArray[np.int64]
    state: npt.NDArray[np.uint64]
    states: npt.NDArray[np.int64]
    turn: npt.NDArray[np.int64]

    def one(self, i: int) -> Turns:
        """Return the decoder of stream `i` alone, which moves on as this one does."""
        words, place, state, states, turn = self
        mine = slice(i, i + 1)
        return Turns(words, place[mine], state[mine], states[mine], turn[mine])


def decoder(streams: Sequence[Words]) -> Turns:
    """Return a decoder at the start of each stream."""
    return going_on(ans.decoder(streams))


def going_on(coder: ans.Coder) -> Turns:
    """Return decoders of what follows where those of one state stand, which are not used again."""
    words, place, state = coder
    states = np.array([_states(int(s)) for s in state], np.int64)
    found = np.full((len(state), int(states.max(initial=1))), LOW)
    found[:, 0] = state
    turns = Turns(words, place.copy(), found, states, np.zeros(len(state), np.int64))
    for stream, count in enumerate(states.tolist()):
        _start(turns, stream, *interval(count))
    return turns


def _states(state: int) -> int:
    """Return how many states the first symbol says that a stream has."""
    quantile = state % TOTAL
    return 1 if quantile < _ONE else 2 << (quantile - _ONE) // _FREQUENCY


@kernel
def _start(turns: Turns, stream: int, lower: int, share: int) -> None:
    words, place, state, states, _ = turns
    pop(words, place, state, stream, 0, lower, share)
    for turn in range(1, states[stream]):
        state[stream, turn] = begun(words, place, stream)


def is_finished(turns: Turns, i: int) -> bool:
    """Return whether stream `i` ended just where its symbols did."""
    last = 0 if turns.states[i] == 1 else LOW
    used = turns.state[i, : turns.states[i]]
    return bool(turns.place[i, 0] == turns.place[i, 1] and (used == last).all())


def lacks_words(turns: Turns) -> bool:
    """Return whether a stream lacks a word that one of its states needs, if it was cut."""
    low = (turns.state < LOW).any(1)
    return bool((low & (turns.place[:, 0] == turns.place[:, 1])).any())


@inlined
def is_starved(place: npt.NDArray[np.int64], state: npt.NDArray[np.uint64], i: int) -> bool:
    """Return whether stream `i` lacks a word that one of its states needs, if it was cut.

    Nothing that follows is then known: what its other states hold is in order only up to that one.
    """
    if place[i, 0] < place[i, 1]:
        return False
    lacking = False
    for turn in range(state.shape[1]):
        lacking = lacking or state[i, turn] < LOW
    return lacking


@inlined
def peek(state: npt.NDArray[np.uint64], i: int, turn: int) -> int:
    """Return the quantile, 0 to 2**24 - 1, in whose interval stream `i`'s next symbol lies."""
    return int(state[i, turn] & np.uint64(TOTAL - 1))


@inlined
def pop(
    words: Words,
    place: npt.NDArray[np.int64],
    state: npt.NDArray[np.uint64],
    i: int,
    turn: int,
    cumulative: int,
    frequency: int,
) -> None:
    """Remove the symbol of this interval, which must hold `peek`, and refill the state.

    The arrays are those of `Turns`; whose turn is next is the caller's to say.
    """
    state[i, turn] = popped(words, place, i, state[i, turn], cumulative, frequency)
