from __future__ import annotations

import numpy as np
import pytest
from conftest import make_conv
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.errors import ModelError
from idfzip.integer import conv, grid
from idfzip.integer.conv import Conv


def both(layer, values):
    """Return the kernels' sums and those of plain integers."""
    height, width, inputs = values.shape
    room = conv.plane(height, width, inputs)
    room[:, :width] = values
    return conv.sums(layer, room, width), conv.plain_sums(layer, values.astype(np.int64))


@given(
    st.sampled_from([1, 9]),
    st.integers(1, 20),
    st.integers(1, 40),
    st.integers(1, 20),
    st.integers(1, 40),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_sums_are_those_of_plain_integers(taps, height, width, inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    layer = make_conv(taps, inputs, outputs, rng, grid.WEIGHT_LIMIT)
    values = rng.integers(-conv.LIMIT, conv.LIMIT + 1, (height, width, inputs))
    found, plain = both(layer, values)
    np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_beyond_float32_are_split_and_exact(sign):
    """The largest sums there are: every product of one sign and size, far above 2**24."""
    weight = np.full((9, 100, 3), sign * grid.WEIGHT_LIMIT, np.int16)
    weight[0, 0] = 1
    layer = Conv(weight, np.array([1, -1, 5], np.int32))
    assert len(layer.parts) > 3
    found, plain = both(layer, np.full((4, 5, 100), conv.LIMIT))
    assert np.abs(plain).max() > 16 * grid.EXACT
    np.testing.assert_array_equal(found, plain)


def test_parts_keep_every_product_below_the_limit():
    rng = np.random.default_rng(0)
    layer = make_conv(9, 300, 7, rng, grid.WEIGHT_LIMIT)
    assert sum(len(part.weight) for part in layer.parts) == 300
    assert sum(part.weight.nbytes for part in layer.parts) == layer.memory
    for part in layer.parts:
        assert (np.abs(part.weight.astype(np.float64)).sum(0) * conv.LIMIT).max() < grid.EXACT


def test_a_sum_that_could_leave_int32_is_refused():
    with pytest.raises(ModelError, match="sums may reach"):
        Conv(np.full((9, 1000, 1), 1000, np.int16), np.zeros(1, np.int32))


@pytest.mark.parametrize(
    ("weight", "bias"),
    [((4, 2, 2), 2), ((9, 0, 2), 2), ((9, 2, 0), 0), ((9, 2, 3), 2)],
    ids=str,
)
def test_shapes_that_do_not_fit_are_refused(weight, bias):
    with pytest.raises(ModelError, match="shape"):
        Conv(np.ones(weight, np.int16), np.zeros(bias, np.int32))


def test_activations_are_shifted_leaked_and_clamped():
    sums = np.array([0, 127, 128, -128, -129, 2560, -2560, 1 << 20, -(1 << 20)], np.int32)
    values = conv.plane(1, 1, 10)
    conv.activate(sums.reshape(1, 1, -1), values, 1)
    assert values[0, 0].tolist() == [0, 0, 0, 1, 0, -1, 10, -2, 511, -511]
    assert not values[0, 1:].any()
