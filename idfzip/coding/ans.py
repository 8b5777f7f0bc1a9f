"""Asymmetric numeral systems (Duda 2013, arXiv:1311.2540), the range variant, stepped in kernels.

A state of 64 bits, words of 32 bits and frequencies that sum to 2**24, exactly constriction's
`AnsCoder`, whose words these are: the tests compare every word. The state lives in a `uint64`
array of one element so that neither numba nor a plain interpreter widens it.

Words are produced by pushing the symbols backwards and are stored reversed, in the order in which
a decoder reads them: a file that was cut holds what is decoded first. A decoder of one stream is
also a stack, onto which symbols can be pushed: bits-back coding does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.errors import FormatError
from idfzip.integer.jit import inlined, kernel

PRECISION = 24
TOTAL = 1 << PRECISION

_MASK = np.uint64(TOTAL - 1)
_PRECISION = np.uint64(PRECISION)
_WORD = np.uint64(32)
LOW = np.uint64(1 << 32)
"""Below it a state takes the next word, if there is one."""
_LOW_WORD = np.uint64(0xFFFFFFFF)
_FULL = np.uint64(64 - PRECISION)

Words = npt.NDArray[np.uint32]


def push_all(cumulative: npt.NDArray[np.int32], frequency: npt.NDArray[np.int32]) -> Words:
    """Code the symbols given by their intervals, in order of decoding, on a fresh state.

    `cumulative` and `frequency` are int32 of shape (n,), with 1 <= frequency and
    cumulative + frequency <= 2**24. Returns uint32 words in the order of decoding.
    """
    return push_parts(cumulative, frequency, [len(frequency)])[0]


def push_parts(
    cumulative: npt.NDArray[np.int32], frequency: npt.NDArray[np.int32], ends: Sequence[int]
) -> list[Words]:
    """Code symbols as `push_all`, and cut the words where a decoder stands after symbols.

    `ends`, rising, are numbers of symbols, the last one all. Part i holds what a decoder reads for
    the symbols below ends[i] and not for those below ends[i - 1].
    """
    marks = np.asarray(ends, np.int64)
    words, cuts = _push(cumulative, frequency, marks)
    return np.split(words, cuts[:-1])


@kernel
def _push(
    cumulative: npt.NDArray[np.int32],
    frequency: npt.NDArray[np.int32],
    marks: npt.NDArray[np.int64],
) -> tuple[Words, npt.NDArray[np.int64]]:
    """Return the words in the order of decoding, and how many precede each mark's next symbol."""
    n = len(frequency)
    words = np.empty(n + 2, np.uint32)
    after = np.zeros(len(marks), np.int64)
    used = 0
    mark = len(marks) - 1
    state = np.zeros(1, np.uint64)
    for i in range(n - 1, -1, -1):
        while mark >= 0 and marks[mark] > i:
            after[mark] = used
            mark -= 1
        used = push_onto(words, used, state, 0, cumulative[i], frequency[i])
    used = flush(words, used, state[0])
    return words[:used][::-1].copy(), used - after


@inlined
def push_onto(
    words: Words,
    used: int,
    state: npt.NDArray[np.uint64],
    i: int,
    cumulative: int,
    frequency: int,
) -> int:
    """Push a symbol onto state `i`, words backwards; return how many words are used then."""
    s, f = state[i], np.uint64(frequency)
    if (s >> _FULL) >= f:
        words[used] = np.uint32(s & _LOW_WORD)
        used += 1
        s = s >> _WORD
    state[i] = ((s // f) << _PRECISION) + np.uint64(cumulative) + s % f
    return used


@inlined
def flush(words: Words, used: int, s: np.uint64) -> int:
    """Write a state, low word first; return how many words are used then."""
    while s != np.uint64(0):
        words[used] = np.uint32(s & _LOW_WORD)
        used += 1
        s = s >> _WORD
    return used


class Coder(NamedTuple):
    """Decoders of several streams; first axis: streams.

    `words` uint32 (total,), all streams one after the other; `place` int64 (streams, 2): next
    word, end of the stream's words; `state` uint64 (streams,).
    """

    words: Words
    place: npt.NDArray[np.int64]
    state: npt.NDArray[np.uint64]

    def one(self, i: int) -> Coder:
        """Return the decoder of stream `i` alone, which moves on as this one does."""
        return Coder(self.words, self.place[i : i + 1], self.state[i : i + 1])

    def is_starved(self) -> bool:
        """Return whether the first stream lacks the word that its next symbol needs."""
        return _is_starved(self)

    def peek(self) -> int:
        """Return the quantile of the first stream's next symbol, as kernels `peek`."""
        return int(self.state[0]) % TOTAL

    def pop(self, cumulative: int, frequency: int) -> None:
        """Remove the first stream's next symbol, as kernels `pop`."""
        _pop(self, cumulative, frequency)


def decoder(streams: Sequence[Words]) -> Coder:
    """Return a decoder at the start of each stream."""
    ends = np.cumsum([len(words) for words in streams])
    place = np.stack([ends - [len(words) for words in streams], ends], axis=1).astype(np.int64)
    words = np.concatenate([*streams, np.zeros(0, np.uint32)])
    coder = Coder(words, place, np.zeros(len(streams), np.uint64))
    _start(coder)
    return coder


@kernel
def _start(coder: Coder) -> None:
    for i in range(len(coder.place)):
        coder.state[i] = begun(coder.words, coder.place, i)


@inlined
def begun(words: Words, place: npt.NDArray[np.int64], i: int) -> np.uint64:
    """Return a state that starts as the next two words of stream `i`, fewer if there are fewer."""
    state = np.zeros(1, np.uint64)
    for _ in range(2):
        if place[i, 0] < place[i, 1]:
            state[0] = (state[0] << _WORD) | np.uint64(words[place[i, 0]])
            place[i, 0] += 1
    return np.uint64(state[0])


def is_finished(coder: Coder, i: int) -> bool:
    """Return whether stream `i` ended just where its symbols did."""
    return bool(coder.state[i] == 0 and coder.place[i, 0] == coder.place[i, 1])


@inlined
def is_starved(place: npt.NDArray[np.int64], state: npt.NDArray[np.uint64], i: int) -> bool:
    """Return whether stream `i` lacks the word that its next symbol needs, if it was cut."""
    return bool(state[i] < LOW and place[i, 0] == place[i, 1])


@inlined
def peek(state: npt.NDArray[np.uint64], i: int) -> int:
    """Return the quantile, 0 to 2**24 - 1, in whose interval stream `i`'s next symbol lies."""
    return int(state[i] & _MASK)


@inlined
def pop(
    words: Words,
    place: npt.NDArray[np.int64],
    state: npt.NDArray[np.uint64],
    i: int,
    cumulative: int,
    frequency: int,
) -> None:
    """Remove the symbol of this interval, which must hold `peek`, and refill the state.

    The arrays are those of a `Coder`.
    """
    state[i] = popped(words, place, i, state[i], cumulative, frequency)


@kernel
def _is_starved(coder: Coder) -> bool:
    return is_starved(coder.place, coder.state, 0)


@kernel
def _pop(coder: Coder, cumulative: int, frequency: int) -> None:
    pop(coder.words, coder.place, coder.state, 0, cumulative, frequency)


@inlined
def popped(
    words: Words,
    place: npt.NDArray[np.int64],
    i: int,
    s: np.uint64,
    cumulative: int,
    frequency: int,
) -> np.uint64:
    """Return a state of stream `i` without the symbol of this interval, refilled."""
    s = (s >> _PRECISION) * np.uint64(frequency) + (s & _MASK) - np.uint64(cumulative)
    if s < LOW and place[i, 0] < place[i, 1]:
        s = (s << _WORD) | np.uint64(words[place[i, 0]])
        place[i, 0] += 1
    return s


@inlined
def push(
    words: Words,
    place: npt.NDArray[np.int64],
    state: npt.NDArray[np.uint64],
    i: int,
    cumulative: int,
    frequency: int,
) -> None:
    """Put the symbol of this interval back: the next one to `peek` at and to `pop`.

    There must be room for a word before the stream's next one; see `with_room`.
    """
    s, f = state[i], np.uint64(frequency)
    if (s >> _FULL) >= f:
        place[i, 0] -= 1
        words[place[i, 0]] = np.uint32(s & _LOW_WORD)
        s = s >> _WORD
    state[i] = ((s // f) << _PRECISION) + np.uint64(cumulative) + s % f


def with_room(coder: Coder, count: int) -> Coder:
    """Return a coder of one stream, a stack, with room to push `count` symbols."""
    if coder.place[0, 0] >= count:
        return coder
    more = max(count, len(coder.words))
    words = np.concatenate([np.zeros(more, np.uint32), coder.words])
    return Coder(words, coder.place + more, coder.state)


def left(coder: Coder) -> Words:
    """Return what is left of a coder's one stream, in words that `decoder` takes."""
    start, end = coder.place[0]
    state = int(coder.state[0])
    head = [word for word in (state >> 32, state & 0xFFFFFFFF) if word or state >> 32]
    return np.concatenate([np.array(head, np.uint32), coder.words[start:end]])


def bits_left(coder: Coder) -> float:
    """Return how many bits are left of a coder's one stream."""
    start, end = coder.place[0]
    return 32.0 * float(end - start) + math.log2(max(int(coder.state[0]), 1))


def to_bytes(words: Words) -> bytes:
    """Return the words as little-endian bytes."""
    return words.astype("<u4").tobytes()


def from_bytes(data: bytes | memoryview) -> Words:
    """Return the words held in `data`; raises FormatError where its length is no multiple of 4."""
    if len(data) % 4:
        raise FormatError(f"coded stream of {len(data)} bytes: not a whole number of words")
    return np.frombuffer(data, "<u4").astype(np.uint32)
