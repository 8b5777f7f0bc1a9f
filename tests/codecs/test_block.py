from __future__ import annotations

import numpy as np
import pytest
from conftest import CONTENTS, make_flagship, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.codecs import block, flagship
from idfzip.codecs.flagship import STATIC, Learning
from idfzip.flows import colour

SIZES = st.tuples(st.integers(1, 16), st.integers(1, 16))


def make_tiles(content, sizes, channels):
    pictures = (picture(content, *size, channels, i) for i, size in enumerate(sizes))
    return [colour.forward(pixels) for pixels in pictures]


@given(
    st.sampled_from(CONTENTS),
    st.lists(SIZES, min_size=1, max_size=7),
    st.integers(1, 7),
    st.sampled_from([1, 3]),
    st.sampled_from([STATIC, Learning(400, 2), Learning(1 << 14, 0), Learning(900, 1, 3)]),
)
@settings(deadline=None, max_examples=60)
def test_any_block_comes_back(content, sizes, lockstep, channels, learning):
    model = make_flagship(channels, learning=learning)
    tiles = make_tiles(content, sizes, channels)
    coded = block.encode(model, tiles, min(lockstep, len(tiles)))
    found = block.decode(model, coded.stream, sizes, min(lockstep, len(tiles)))
    for planes, tile in zip(found, tiles, strict=True):
        np.testing.assert_array_equal(planes, tile)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_stream_takes_its_ideal_length_and_a_few_bytes(channels):
    model = make_flagship(channels)
    tiles = make_tiles("smooth", [(12, 9)] * 40, channels)
    coded = block.encode(model, tiles, 8)
    ideal = sum(coded.bits) / 8
    assert ideal < len(coded.stream) < ideal + 12
    alone = flagship.encode(model, tiles)
    for bits, stream in zip(coded.bits, alone, strict=True):
        assert bits / 8 < len(stream) < bits / 8 + 12


def test_a_network_goes_on_learning_from_image_to_image():
    model = make_flagship(3, learning=Learning(4000, 0))
    tiles = make_tiles("smooth", [(24, 24)] * 12, 3)
    bits = block.encode(model, tiles, 1).bits
    alone = block.encode(model, tiles[-1:], 1).bits
    assert bits[-1] < 0.98 * alone[0]


def test_the_runs_before_the_damage_are_whole():
    model = make_flagship(3, learning=Learning(400, 2))
    tiles = make_tiles("smooth", [(10, 10)] * 8, 3)
    stream = bytearray(block.encode(model, tiles, 2).stream)
    stream[len(stream) // 2] ^= 1
    found = block.decode(model, bytes(stream), [(10, 10)] * 8, 2)
    same = [np.array_equal(a, b) for a, b in zip(found, tiles, strict=True)]
    assert all(same[:2])
    assert not any(same[-2:])
