from __future__ import annotations

import numpy as np
import pytest
from conftest import make_conv
from hypothesis import given
from hypothesis import strategies as st

from idfzip.errors import ModelError
from idfzip.integer import stack
from idfzip.integer.conv import Conv
from idfzip.integer.stack import Block, Stack


def make(rng, wide=60):
    """Return a stack with every kind of block, and a shortcut."""
    return Stack(
        (
            Block((make_conv(9, 3 * 16, 12, rng, wide),), squeeze=4),
            Block((make_conv(9, 12, 12, rng, wide), make_conv(1, 12, 12, rng)), residual=True),
            Block((make_conv(1, 48, 16, rng), make_conv(9, 16, 8, rng)), squeeze=2, spread=2),
            Block((make_conv(9, 2, 2, rng), make_conv(9, 2, 12, rng)), spread=2),
        ),
        make_conv(1, 192, 48, rng),
    )


@pytest.mark.parametrize("extreme", [False, True])
def test_kernels_give_what_plain_integers_give(extreme):
    rng = np.random.default_rng(1)
    net = make(rng, 1000)
    values = rng.integers(-511, 512, (16, 40, 3)).astype(np.int32)
    if extreme:
        values = rng.choice([-511, 511], values.shape).astype(np.int32)
    found = net.sums(values)
    assert found.shape == (8, 20, 3)
    np.testing.assert_array_equal(found, net.plain_sums(values.astype(np.int64)))
    assert np.abs(found).max() > 1 << 12
    assert np.abs(net.values(values)).max() <= 511


def test_sides_and_shares():
    net = make(np.random.default_rng(0))
    assert (net.inputs, net.outputs, net.squeezed, net.spread) == (3, 3, 8, 4)
    assert [share for _, share in net.shares()] == [1 / 16] * 3 + [1 / 64] * 2 + [1 / 16] * 2 + [
        1 / 64
    ]


@given(st.sampled_from(stack.SIDES), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))
def test_squares_come_back(side, rows, columns, channels):
    shape = (rows * side, columns * side, channels)
    values = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    deep = stack.space_to_depth(values, side)
    assert deep.shape == (rows, columns, channels * side**2)
    np.testing.assert_array_equal(deep[0, 0, :channels], values[0, 0])
    np.testing.assert_array_equal(stack.depth_to_space(deep, side), values)


def test_rounding():
    sums = np.array([-131072, -385, -384, -129, -128, 127, 128, 131072], np.int32)
    assert stack.rounded(sums).tolist() == [-511, -2, -1, -1, 0, 0, 1, 511]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (lambda c: (Block((c(9, 4, 6), c(9, 4, 4))),), "4 inputs after"),
        (lambda c: (Block((c(9, 4, 6),), residual=True),), "from 4 to 6"),
        (lambda c: (Block((c(9, 4, 6),), spread=2),), "not in squares"),
        (lambda c: (Block((c(9, 4, 4),), squeeze=3),), "squares of 3"),
        (lambda c: (Block(()),), "0 layers"),
        (lambda c: (), "0 blocks"),
        (lambda c: (Block((c(9, 4, 4),), residual=True),), "residual or none"),
        (lambda c: (Block((c(9, 4, 6),)), Block((c(9, 4, 6),))), "after 6 outputs"),
    ],
)
def test_what_does_not_fit_is_refused(blocks, message):
    rng = np.random.default_rng(0)
    with pytest.raises(ModelError, match=message):
        Stack(blocks(lambda taps, i, o: make_conv(taps, i, o, rng)))


def test_a_shortcut_of_another_shape_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ModelError, match="shortcut of shape"):
        Stack((Block((make_conv(9, 16, 8, rng),), squeeze=2),), make_conv(1, 4, 8, rng))


def test_sums_with_a_shortcut_stay_in_reach():
    """Each of both is in reach alone; of rounded sums it would wrap."""
    weight = np.full((1, 2050, 1), 1023, np.int16)
    layer = Conv(weight, np.zeros(1, np.int32))
    assert layer.reach.max() < 1 << 30 < 2 * layer.reach.max()
    Stack((Block((layer,)),))
    with pytest.raises(ModelError, match="sums may reach"):
        Stack((Block((layer,)),), layer)


def test_squares_of_many_blocks_are_counted_exactly():
    rng = np.random.default_rng(0)
    block = Block((make_conv(1, 64, 64, rng),), squeeze=8, spread=1)
    chain = [block, *[Block((make_conv(1, 64 * 64, 64, rng, 1),), squeeze=8)] * 2]
    assert Stack(tuple(chain)).squeezed == 512
    object.__setattr__(deep := Stack(tuple(chain)), "blocks", (block,) * 22)
    assert deep.squeezed == 8**22
