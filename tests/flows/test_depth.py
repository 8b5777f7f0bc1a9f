from __future__ import annotations

import numpy as np
import pytest
from conftest import numbers, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from idfzip.flows import depth

samples = arrays.arrays(
    np.uint16,
    st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3])),
    elements=st.integers(0, 65535),
)


@given(samples, st.sampled_from([1, 2, 16, 255, 257]))
@settings(deadline=None, max_examples=100)
def test_samples_come_back_from_every_ladder(pixels, step):
    pixels = pixels // step * step
    for ladder in (depth.used(pixels), depth.fit(pixels)):
        found = ladder.forward(pixels)
        assert found.max() < len(ladder)
        assert found.min() >= 0
        np.testing.assert_array_equal(ladder.inverse(found), pixels)
    assert len(depth.used(pixels)) == len(np.unique(pixels))


@pytest.mark.parametrize("step", [1, 2, 16, 257])
@pytest.mark.parametrize("offset", [0, 96, 300])
def test_unused_bits_and_offsets_are_found(step, offset):
    pixels = numbers("smooth", 40, 40, 1, 200)
    found = depth.fit(pixels * step + offset)
    assert found.is_even
    assert found.step == step
    assert found.values[0] == pixels.min() * step + offset
    assert len(found) == pixels.max() - pixels.min() + 1


def test_eight_bits_are_as_good_as_sixteen():
    pixels = picture("noise", 30, 30, 3)
    ladder = depth.fit(pixels)
    np.testing.assert_array_equal(ladder.values, np.arange(256))
    np.testing.assert_array_equal(ladder.forward(pixels), pixels)


def test_a_curve_of_sixteen_bits_is_listed():
    pixels = picture("smooth", 120, 120, 1)
    curved = np.round((pixels / 255) ** 0.45 * 65535).astype(np.uint16)
    ladder = depth.fit(curved)
    assert not ladder.is_even
    assert len(ladder) == len(np.unique(pixels))
    np.testing.assert_array_equal(ladder.forward(curved), pixels - pixels.min())


def test_a_smooth_picture_is_not_listed():
    pixels = numbers("smooth", 120, 120, 1, 65536)
    assert len(np.unique(pixels)) < 14400
    assert depth.fit(pixels).is_even


@pytest.mark.parametrize("scale", [0.5, 3, 40])
def test_bits_are_about_those_of_a_geometric_distribution(scale):
    rng = np.random.default_rng(1)
    p = np.exp(-1 / scale)
    steps = rng.geometric(1 - p, 8192) - rng.geometric(1 - p, 8192)
    column = (30000 + steps.cumsum()).astype(np.uint16).reshape(-1, 1, 1)
    k = np.arange(-9000, 9001)
    share = (1 - p) / (1 + p) * p ** np.abs(k)
    entropy = -(share * np.log2(np.maximum(share, 1e-300))).sum()
    assert depth.bits(column) / 8192 == pytest.approx(entropy, abs=0.3)
