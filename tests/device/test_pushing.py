"""Streams that a device pushes are those of the processor, word for word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fused import device_machine, fused  # noqa: F401

from idfzip.coding import turns

torch = pytest.importorskip("torch")

from idfzip.device import pusher  # noqa: E402

TOTAL = 1 << 24


def intervals(count, seed, least, most):
    """Return intervals of frequencies spread evenly by their logarithms."""
    rng = np.random.default_rng(seed)
    frequency = np.exp(rng.uniform(np.log(least), np.log(most), count)).astype(np.int32)
    return rng.integers(0, TOTAL - frequency + 1).astype(np.int32), frequency


def check(machine, streams, states=()):
    """Compare what streams of these intervals become."""
    counts = [len(frequency) for _, frequency in streams]
    room = np.full((2, len(streams), max(counts) + 3), 7, np.int32)
    for i, one in enumerate(streams):
        room[:, i, : counts[i]] = one
    costs = [turns.cost_of(frequency) for _, frequency in streams]
    found = pusher.push(machine, machine.tensor(room), counts, costs, states)
    for words, one, count in zip(found, streams, states or [0] * len(streams), strict=True):
        np.testing.assert_array_equal(words, turns.push_all(*one, count))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 90), st.integers(0, 999), st.sampled_from([(1, 2), (1, TOTAL - 255),
            (TOTAL >> 1, TOTAL - 255), (TOTAL - 300, TOTAL - 255), (1 << 10, 1 << 20)]),
        ),
        min_size=1, max_size=4,
    ),
    st.data(),
)  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_any_streams(drawn, data):
    states = [data.draw(st.sampled_from([1, 2, 4, 8, 32, 64])) for _ in drawn]
    check(device_machine(), [intervals(n, seed, *most) for n, seed, most in drawn], states)


@pytest.mark.parametrize("share", [turns.SHARE, 5])
def test_as_many_states_as_their_length_allows(fused, monkeypatch, share):  # noqa: F811
    """Of 0, 1 and several states, and with nothing at all."""
    monkeypatch.setattr(turns, "SHARE", share)
    lengths = (0, 1, 31, 32, 33, 64, 400)
    check(fused, [intervals(n, n, 1, TOTAL - 255) for n in lengths])
    check(fused, [intervals(0, 0, 1, 2)])


@pytest.mark.parametrize("states", [1, 2, 8, 32])
@pytest.mark.parametrize("frequency", [1, 2, 65, 127 << 17, TOTAL - 255, TOTAL])
def test_there_is_room_for_all_words(fused, states, frequency):  # noqa: F811
    """The same symbol again and again, whose logarithm may be far off."""
    one = np.full((2, 700), [[TOTAL - frequency], [frequency]], np.int32)
    check(fused, [one, one[:, :9]], [states] * 2)
