from __future__ import annotations

import numpy as np
import pytest
from conftest import make_design, numbers, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.flows import autoregressive as flow
from idfzip.flows import colour, context
from idfzip.flows.alphabet import BYTES, alphabet


@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from([1, 3]),
    st.sampled_from([1, 300, 4000]),
    st.sampled_from([BYTES, alphabet(4096), alphabet(65536)]),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=60)
def test_inverse_of_forward_is_the_identity(height, width, channels, size, one, seed):
    rng = np.random.default_rng(seed)
    planes = rng.integers(-size, size + 1, (channels, height, width)).astype(np.int32)
    planes <<= one.deep // 2
    design = make_design(channels)
    residuals = flow.forward(design, planes, one)
    np.testing.assert_array_equal(flow.inverse(design, residuals, one), planes)


@pytest.mark.parametrize("channels", [1, 3])
def test_forward_takes_a_gradient_away(channels):
    y, x = np.mgrid[0:48, 0:64]
    pixels = np.repeat((2 * x + y)[..., None], channels, 2).astype(np.uint8)
    planes = colour.forward(pixels)
    residuals = flow.forward(make_design(channels), planes)
    assert np.abs(residuals[:, 8:40, 8:56]).mean() < 0.1 * np.abs(np.diff(planes)).mean()


def all_inputs(design, planes, one=BYTES):
    """Return for every pixel the inputs that a coder would have before it."""
    channels, height, width = planes.shape
    sizes = [(height, width)]
    batch = flow.begin(design, sizes, channels, alphabet=one)
    seen = flow.record(height, channels)
    residuals = np.zeros_like(planes)
    inputs = np.zeros((height, width, batch.inputs.shape[1]))
    scales = np.zeros((height, width, channels))
    for t in range(flow.steps(sizes)):
        count = flow.advance(design, batch, t, 0, True)
        first = max(0, (t - width + 2) >> 1)
        for row in range(count):
            inputs[first + row, t - 2 * (first + row)] = batch.inputs[row]
            scales[first + row, t - 2 * (first + row)] = batch.scales[row]
        flow.exchange(batch, 0, t, planes, residuals, False, np.zeros((channels, height)), seen, 0)
    return np.concatenate([inputs, scales], axis=2)


@pytest.mark.parametrize("values", [256, 4096, 65536])
@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 9), (9, 1), (4, 3)])
def test_no_context_sees_its_own_or_a_later_pixel(height, width, values):
    design, one = make_design(3), alphabet(values)
    planes = np.random.default_rng(0).integers(0, values, (3, height, width)).astype(np.int32)
    before = all_inputs(design, planes, one)
    moved = 0
    for y in range(height):
        for x in range(width):
            changed = planes.copy()
            changed[:, y, x] += 37 << one.deep
            differs = (all_inputs(design, changed, one) != before).any(axis=2)
            order = np.add.outer(2 * np.arange(height), np.arange(width))
            assert not differs[order <= 2 * y + x].any(), (y, x)
            moved += differs.sum()
    assert moved > 0 or height * width == 1


@pytest.mark.parametrize("values", [256, 4096, 65536])
def test_inputs_are_whole_and_limited(values):
    planes = colour.forward(numbers("dot", 20, 20, 3, values))
    inputs = all_inputs(make_design(3), planes, alphabet(values))[:, :, :-3]
    assert (inputs == np.round(inputs)).all()
    assert np.abs(inputs).max() == context.LIMIT


def test_a_deep_picture_looks_like_a_shallow_one():
    """What the network sees is over the local scale: 16 times the steps change little but that."""
    planes = colour.forward(picture("half", 24, 24, 1))
    shallow = all_inputs(make_design(1), planes)
    deep = all_inputs(make_design(1), planes << 4, alphabet(4096))
    scales = deep[12:, :, -1] - shallow[12:, :, -1]
    assert np.abs(scales - 16).max() <= 1  # four octaves
    near = slice(0, len(make_design(1).neighbours))
    close = np.abs(deep[12:, :, near] - shallow[12:, :, near])
    assert close.mean() < 10
