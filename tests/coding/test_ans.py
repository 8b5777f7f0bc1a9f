from __future__ import annotations

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.coding import ans
from idfzip.errors import FormatError
from idfzip.integer.jit import kernel

TOTAL = 1 << 24


@kernel
def read_back(words, place, state, cumulative, frequency):
    """Return the index of the first symbol whose interval does not hold its quantile, or -1."""
    for i in range(len(cumulative)):
        quantile = ans.peek(state, 0)
        if not cumulative[i] <= quantile < cumulative[i] + frequency[i]:
            return i
        ans.pop(words, place, state, 0, cumulative[i], frequency[i])
    return -1


def check_round_trip(cumulative, frequency):
    words = ans.push_all(cumulative, frequency)
    coder = ans.decoder([ans.from_bytes(ans.to_bytes(words))])
    assert read_back(coder.words, coder.place, coder.state, cumulative, frequency) == -1
    assert ans.is_finished(coder, 0)
    return words


@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000])
def test_words_are_those_of_constriction(count):
    rng = np.random.default_rng(count)
    sizes = rng.integers(2, 1 << 16, count).astype(np.int32)
    symbols = (rng.random(count) * sizes).astype(np.int32)
    width = TOTAL // sizes
    cumulative = (symbols * width).astype(np.int32)
    frequency = np.where(symbols == sizes - 1, TOTAL - cumulative, width).astype(np.int32)
    words = check_round_trip(cumulative, frequency)
    oracle = constriction.stream.stack.AnsCoder()
    if count:
        oracle.encode_reverse(symbols, constriction.stream.model.Uniform(), sizes)
    np.testing.assert_array_equal(words[::-1], oracle.get_compressed())


@given(st.lists(st.tuples(st.integers(1, TOTAL - 255), st.floats(0, 1)), max_size=60))
@settings(deadline=None, max_examples=60)
def test_any_intervals_come_back(parts):
    frequency = np.array([f for f, _ in parts], np.int32)
    cumulative = np.array([int(u * (TOTAL - f)) for f, u in parts], np.int32)
    check_round_trip(cumulative, frequency)


@pytest.mark.parametrize("frequency", [1, 2, 3, 255, 256, 1 << 12, 1 << 23, TOTAL - 255])
def test_length_is_the_ideal_one(frequency):
    count = 20_000
    frequencies = np.full(count, frequency, np.int32)
    words = check_round_trip(np.zeros(count, np.int32), frequencies)
    ideal = count * np.log2(TOTAL / frequency) / 8
    assert 4 * len(words) <= ideal * 1.0002 + 16


def test_several_streams_are_read_apart():
    rng = np.random.default_rng(1)
    parts = [np.sort(rng.integers(0, TOTAL - 9, n)).astype(np.int32) for n in (3, 50, 0, 7)]
    streams = [ans.push_all(p, np.full(len(p), 9, np.int32)) for p in parts]
    coder = ans.decoder(streams)
    assert [ans.is_finished(coder, i) for i in range(4)] == [False, False, True, False]


@given(st.lists(st.integers(1, 1 << 22), min_size=1, max_size=60), st.integers(0, 60))
@settings(deadline=None, max_examples=60)
def test_a_part_holds_what_its_symbols_need(sizes, end):
    frequency = np.array(sizes, np.int32)
    cumulative = np.full(len(sizes), 77, np.int32)
    end = min(max(end, 1), len(sizes))
    first, second = ans.push_parts(cumulative, frequency, [end, len(sizes)])
    np.testing.assert_array_equal(
        np.concatenate([first, second]), ans.push_all(cumulative, frequency)
    )
    whole = ans.decoder([np.concatenate([first, second])])
    coder = ans.decoder([first])
    for i in range(end):
        assert len(second) == 0 or not ans.is_starved(coder.place, coder.state, 0)
        for one in (whole, coder):
            assert read_back(*one, cumulative[i : i + 1], frequency[i : i + 1]) == -1
    assert whole.place[0, 0] == len(first)
    assert coder.state[0] == whole.state[0]


def test_odd_length_is_refused():
    with pytest.raises(FormatError, match="5 bytes"):
        ans.from_bytes(b"12345")


@kernel
def push_back(words, place, state, cumulative, frequency):
    """Push symbols, the last one first."""
    for i in range(len(cumulative) - 1, -1, -1):
        ans.push(words, place, state, 0, cumulative[i], frequency[i])


@given(
    st.lists(st.integers(0, (1 << 32) - 1), max_size=6),
    st.lists(st.tuples(st.booleans(), st.integers(1, 40), st.integers(2, 1 << 16)), max_size=8),
    st.integers(0, 1000),
)
@settings(deadline=None, max_examples=100)
def test_a_stack_is_that_of_constriction(start, steps, seed):
    """Pops and pushes in any order, also of an empty stack, leave constriction's words."""
    rng = np.random.default_rng(seed)
    first = np.array(start, np.uint32)
    first = first[np.argmax(first != 0) :] if first.any() else first[:0]
    coder = ans.decoder([first])
    oracle = constriction.stream.stack.AnsCoder(np.ascontiguousarray(first[::-1]))
    uniform = constriction.stream.model.Uniform()
    for pops, count, size in steps:
        sizes = np.full(count, size, np.int32)
        width = TOTAL // size
        if pops:
            symbols = oracle.decode(uniform, sizes)
        else:
            symbols = rng.integers(0, size, count).astype(np.int32)
            oracle.encode_reverse(symbols, uniform, sizes)
        cumulative = (symbols * width).astype(np.int32)
        frequency = np.where(symbols == size - 1, TOTAL - cumulative, width).astype(np.int32)
        if pops:
            assert read_back(*coder, cumulative, frequency) == -1
        else:
            coder = ans.with_room(coder, count)
            push_back(*coder, cumulative, frequency)
        np.testing.assert_array_equal(ans.left(coder)[::-1], oracle.get_compressed())
        bits = ans.bits_left(coder)
        assert 32 * len(ans.left(coder)) - 32 <= bits <= 32 * len(ans.left(coder))


@given(
    st.lists(st.integers(0, (1 << 32) - 1), max_size=5),
    st.lists(st.tuples(st.integers(1, TOTAL - 255), st.floats(0, 1)), max_size=40),
)
@settings(deadline=None, max_examples=60)
def test_what_was_pushed_is_popped_and_leaves_the_stack_as_it_was(start, parts):
    frequency = np.array([f for f, _ in parts], np.int32)
    cumulative = np.array([int(u * (TOTAL - f)) for f, u in parts], np.int32)
    words = np.array([1, *start], np.uint32)
    coder = ans.with_room(ans.decoder([words]), len(parts))
    push_back(*coder, cumulative, frequency)
    coder = ans.decoder([ans.left(coder)])
    assert read_back(*coder, cumulative, frequency) == -1
    np.testing.assert_array_equal(ans.left(coder), words)


def test_room_is_made_in_front_of_what_is_there():
    coder = ans.decoder([np.array([1, 2, 3, 4], np.uint32)])
    assert ans.with_room(coder, 2) is coder
    wider = ans.with_room(coder, 100)
    assert wider.place[0, 0] >= 100
    np.testing.assert_array_equal(ans.left(wider), [1, 2, 3, 4])
