from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.integer import logistic
from idfzip.priors import adaptive

TABLES = logistic.expand(logistic.squash_table())


def test_the_logistic_function_and_its_inverse_agree():
    logits = np.arange(-logistic.REACH, logistic.REACH + 1)
    exact = 65536 / (1 + np.exp(-logits / 256))
    assert np.abs(TABLES.squash - exact).max() < 8
    assert (np.diff(TABLES.squash) >= 0).all()
    chances = np.arange(TABLES.squash[0], TABLES.squash[-1] + 1)
    found = TABLES.stretch[chances].astype(np.int64) + logistic.REACH
    assert (TABLES.squash[found] >= chances).all()
    assert (TABLES.squash[np.maximum(found - 1, 0)] < chances)[1:].all()


@given(st.lists(st.integers(0, 1), max_size=300), st.integers(1, 255))
@settings(deadline=None)
def test_counters_stay_in_range_and_follow(bits, limit):
    rates = adaptive.rate_table()
    counter = adaptive.FRESH
    for bit in bits:
        before = counter >> 10
        counter = adaptive.moved(counter, bit, rates, limit)
        assert 0 <= counter < 1 << 31
        assert counter & 1023 <= limit
        assert counter >> 10 >= before if bit else counter >> 10 <= before


def test_a_counter_begins_as_a_mean():
    counter = adaptive.FRESH
    for bit in (1, 1, 1, 0):
        counter = adaptive.moved(counter, bit, adaptive.rate_table(), 255)
    assert abs(adaptive.chance(counter) / 65536 - 3.25 / 4.5) < 0.01


def test_histories_count_and_forget():
    table = adaptive.history_table()
    assert table.min() >= 0
    assert table.max() <= 255
    history = 0
    for bit in (1, 1, 1, 1, 1, 0):
        history = int(table[history, bit])
    assert divmod(history, 16) == (1, 3)


def test_learning_makes_what_came_likelier():
    inputs = np.array([300, -200, 256])
    weights = np.array([20000, 20000, 0], np.int32)
    before = adaptive.mixed(inputs, weights)
    error = (1 << 16) - int(TABLES.squash[before + logistic.REACH])
    adaptive.learn(inputs, weights, error * 6)
    assert adaptive.mixed(inputs, weights) > before


def test_corrections_begin_by_correcting_nothing():
    row = adaptive.first_corrections(TABLES.squash, 1)[0]
    for logit in range(-logistic.REACH, logistic.REACH + 1, 7):
        chance = int(TABLES.squash[logit + logistic.REACH])
        assert abs(adaptive.corrected(logit, row) - chance) < 1300
    adaptive.correct(0, row, 1)
    assert adaptive.corrected(0, row) > 32768 + 400
