"""Values on a stack: what is pushed comes back, what is popped can be put back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.codecs import bits_back
from idfzip.codecs.bins import BINS, DRAWN, PIXELS
from idfzip.coding import ans
from idfzip.flows import context
from idfzip.priors import mixture, mixtures

TABLES = mixture.tables(context.SCALES)


def stack(words):
    return ans.decoder([np.array([1, *words], np.uint32)])


def random_sums(rng, shape, reach):
    return rng.integers(-reach, reach + 1, shape).astype(np.int32)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([BINS, DRAWN, PIXELS]),
    st.tuples(st.integers(1, 3), st.integers(1, 70), st.sampled_from([1, 3])),
    st.sampled_from([1, 2, 5]),
    st.sampled_from([0, 1 << 10, 1 << 15, 1 << 20, (1 << 30) - 1]),
    st.integers(0, 1 << 30),
)
def test_values_come_back_and_leave_the_stack_as_it_was(kind, shape, k, reach, seed):
    rng = np.random.default_rng(seed)
    room = mixtures.mixtures(k)
    sums = random_sums(rng, (*shape[:2], shape[2] * (2 if k == 1 else 3 * k)), reach)
    values = rng.integers(0, kind.alphabet, shape).astype(np.int32) + kind.low
    if kind.relative:
        values[..., 1:] -= values[..., :1]
    words = rng.integers(0, 1 << 32, 5, dtype=np.uint32)
    coder = ans.with_room(stack(words), values.size)
    bits_back.push(sums, values, kind, TABLES, room, coder)
    found = np.zeros_like(values)
    assert bits_back.pop(sums, found, kind, TABLES, room, coder, True)
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(ans.left(coder), [1, *words])


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([BINS, DRAWN, PIXELS]),
    st.integers(0, 60),
    st.sampled_from([1, 3]),
    st.integers(0, 1 << 30),
)
def test_what_is_drawn_can_be_put_back(kind, count, k, seed):
    """Also what an empty stack gives; with `safely`, such a stack is left at once."""
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 1 << 32, count, dtype=np.uint32)
    shape, room = (3, 11, 3), mixtures.mixtures(k)
    sums = random_sums(rng, (*shape[:2], shape[2] * (2 if k == 1 else 3 * k)), 1 << 15)
    coder, values = stack(words), np.zeros(shape, np.int32)
    assert bits_back.pop(sums, values, kind, TABLES, room, coder, False)
    coder = ans.with_room(coder, values.size)
    bits_back.push(sums, values, kind, TABLES, room, coder)
    np.testing.assert_array_equal(ans.left(coder), [1, *words])
    assert not bits_back.pop(sums, values, kind, TABLES, room, stack([]), True)


def test_draws_from_what_is_not_random_look_random():
    """On a stack of zeros latents have the spread of their logistic, about its mean."""
    sums = np.zeros((40, 40, 2), np.int32)
    sums[..., 0] = 1 << 14  # one activation: 64 bins; the scale is 32 bins
    coder, values = stack([0] * 2000), np.zeros((40, 40, 1), np.int32)
    room = mixtures.mixtures(1)
    assert bits_back.pop(sums, values, DRAWN, TABLES, room, coder, True)
    assert values.mean() == pytest.approx(64, abs=3)
    assert values.std() == pytest.approx(32 * np.pi / np.sqrt(3), rel=0.05)
    bits_back.pop(sums, values, BINS, TABLES, room, stack([0] * 2000), True)
    assert (values[1:] == BINS.low).all()


@pytest.mark.parametrize("flags", [[], [True], [False], [True, False, True, True, False]])
def test_flags_come_back(flags):
    coder = ans.with_room(stack([7, 8]), len(flags))
    for flag in flags:
        bits_back.push_flag(flag, coder)
    assert [bits_back.pop_flag(coder) for _ in flags] == flags[::-1]
    np.testing.assert_array_equal(ans.left(coder), [1, 7, 8])
