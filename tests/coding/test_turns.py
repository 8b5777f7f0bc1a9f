from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.coding import ans, turns
from idfzip.integer.jit import kernel
from idfzip.integer.log2 import STEPS

TOTAL = 1 << 24


@kernel
def read_back(words, place, state, states, turn, i, cumulative, frequency):
    """Return the index of the first symbol whose interval does not hold its quantile, or -1."""
    for k in range(len(cumulative)):
        whose = turn[i]
        quantile = turns.peek(state, i, whose)
        if not cumulative[k] <= quantile < cumulative[k] + frequency[k]:
            return k
        turns.pop(words, place, state, i, whose, cumulative[k], frequency[k])
        turn[i] = (whose + 1) % states[i]
    return -1


def intervals(count, seed=0, most=TOTAL >> 6):
    rng = np.random.default_rng(seed)
    frequency = rng.integers(1, most, count).astype(np.int32)
    return rng.integers(0, TOTAL - frequency + 1).astype(np.int32), frequency


def check_round_trip(words, symbols, states):
    coder = turns.decoder([ans.from_bytes(ans.to_bytes(words))])
    assert coder.states[0] == states
    assert read_back(*coder, 0, *symbols) == -1
    assert turns.is_finished(coder, 0)


@given(
    st.lists(st.tuples(st.integers(1, TOTAL - 255), st.floats(0, 1)), max_size=60),
    st.sampled_from([1, 2, 4, 8, 16, 32, 64]),
)
@settings(deadline=None, max_examples=100)
def test_any_intervals_come_back(parts, states):
    frequency = np.array([f for f, _ in parts], np.int32)
    cumulative = np.array([int(u * (TOTAL - f)) for f, u in parts], np.int32)
    words = turns.push_all(cumulative, frequency, states)
    check_round_trip(words, (cumulative, frequency), states)


@pytest.mark.parametrize(
    ("words", "states"),
    [(10, 1), (4000, 1), (4200, 2), (8300, 4), (16600, 8), (33000, 16), (66000, 32), (140_000, 32)],
)
def test_a_long_stream_has_more_states(words, states):
    symbols = intervals(words, most=TOTAL >> 7)
    symbols[1][:] = 1 << 8  # a word is two symbols
    check_round_trip(
        turns.push_all(*(one.repeat(2) for one in symbols)),
        [one.repeat(2) for one in symbols],
        states,
    )


def test_the_length_is_known_before_anything_is_pushed():
    """Nearly: a step of the logarithm is a sixteenth of a bit."""
    for most in (100, TOTAL >> 6, TOTAL):
        symbols = intervals(5000, most=most)
        words = len(turns.push_all(*symbols, 1))
        assert abs(turns.cost_of(symbols[1]) / STEPS / 32 - words) < 5
    assert turns.cost_of(np.full(99, TOTAL - 255, np.int32)) == 0
    assert turns.cost_of(np.array([1, 2, 4, 0], np.int32)[:3]) == STEPS * (24 + 23 + 22)


def test_one_state_is_the_coder_with_a_symbol_before():
    cumulative, frequency = intervals(50)
    before = np.int32(0), np.int32(TOTAL - 6 * 4096)
    expected = ans.push_all(np.append(before[0], cumulative), np.append(before[1], frequency))
    np.testing.assert_array_equal(turns.push_all(cumulative, frequency, 1), expected)


@pytest.mark.parametrize("states", [2, 8, 64])
def test_a_state_costs_six_bytes_or_so(states):
    symbols = intervals(20_000, states, TOTAL)
    more = 4 * (len(turns.push_all(*symbols, states)) - len(ans.push_all(*symbols)))
    assert 4 * (states - 1) <= more <= 8 * states


def test_no_symbols_take_no_bytes():
    assert len(turns.push_all(*intervals(0))) == 0


def test_states_begin_and_end_where_the_format_says():
    """By hand: value i has state i mod N, which takes the next word of all."""
    symbols = intervals(50)
    rest = [int(word) for word in turns.push_all(*symbols, 4)]
    states = [0, 0, 0, 0]

    def pop(i, c, f):
        quantile = states[i] % TOTAL
        assert c <= quantile < c + f
        states[i] = (states[i] >> 24) * f + quantile - c
        if states[i] < 1 << 32:
            states[i] = states[i] << 32 | rest.pop(0)

    for i in range(4):
        states[i] = rest.pop(0) << 32 | rest.pop(0)
        if i == 0:
            pop(0, TOTAL - 6 * 4096 + 4096, 4096)
    for i, (c, f) in enumerate(zip(*(one.tolist() for one in symbols), strict=True)):
        pop(i % 4, c, f)
    assert (states, rest) == ([1 << 32] * 4, [])


@pytest.mark.parametrize("states", [1, 2, 8])
def test_a_wrong_end_is_seen(states):
    symbols = intervals(99)
    words = turns.push_all(*symbols, states)
    changed = words.copy()
    changed[len(words) // 2] ^= 1
    for wrong in (words[:-1], np.append(words, np.uint32(1)), changed):
        coder = turns.decoder([wrong])
        read_back(*coder, 0, *symbols)
        assert not turns.is_finished(coder, 0)


@pytest.mark.parametrize("states", [1, 4])
def test_a_cut_stream_lacks_words(states):
    cumulative, frequency = intervals(99)
    words = turns.push_all(cumulative, frequency, states)
    for end in range(len(words) + 1):
        coder = turns.decoder([words[:end]])
        known = 0
        while known < 99 and not turns.lacks_words(coder):
            one = slice(known, known + 1)
            assert read_back(*coder, 0, cumulative[one], frequency[one]) == -1
            known += 1
        assert known < 99 or end == len(words)
    assert known == 99 or states == 1


@given(
    st.integers(0, 80), st.lists(st.floats(0, 1), max_size=3), st.sampled_from([1, 2, 8, 64]),
    st.integers(0, 99),
)  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_parts_hold_what_a_decoder_reads(count, cuts, states, seed):
    """After symbols of one state, and those of several, each part is enough for its symbols."""
    cumulative, frequency = intervals(count, seed)
    ends = [*sorted(int(cut * count) for cut in (*cuts, 0.4)), count]
    before = ends[0]
    parts = turns.push_parts(cumulative, frequency, ends, before, states)
    assert len(parts) == len(ends)
    for k, end in enumerate(ends):
        first = ans.decoder([np.concatenate(parts[: k + 1])])
        for i in range(before):
            assert cumulative[i] <= first.peek() < cumulative[i] + frequency[i]
            first.pop(cumulative[i], frequency[i])
        if end == before < count:
            continue
        coder = turns.going_on(first)
        assert coder.states[0] == states
        assert read_back(*coder, 0, cumulative[before:end], frequency[before:end]) == -1
        assert (k < len(ends) - 1) or turns.is_finished(coder, 0)
        assert coder.place[0, 0] == coder.place[0, 1]  # and no more than enough


def test_streams_of_other_numbers_of_states_side_by_side():
    all_symbols = [intervals(n, n) for n in (3, 50, 0, 700)]
    streams = [turns.push_all(*one, n) for one, n in zip(all_symbols, (1, 8, 1, 2), strict=True)]
    coder = turns.decoder(streams)
    assert coder.states.tolist() == [1, 8, 1, 2]
    for i in (1, 3, 0, 2):
        assert turns.is_finished(coder, i) == (i == 2)
        assert read_back(*coder, i, *all_symbols[i]) == -1
        assert turns.is_finished(coder, i)


@pytest.mark.parametrize("words", [[], [7], [0xFFFFFFFF], [1, 0xFFFFFFFF], [0xFFFFFFFF] * 9])
def test_any_words_are_a_stream(words):
    """Damage is no error of the coder's: of 64 states where only some have words."""
    coder = turns.decoder([np.array(words, np.uint32)])
    read_back(*coder, 0, np.zeros(9, np.int32), np.full(9, 1 << 23, np.int32))
    assert 1 <= coder.states[0] <= turns.MAX_STATES
