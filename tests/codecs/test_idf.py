from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import CONTENTS, make_idf, make_net, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.codecs import idf
from idfzip.errors import ModelError
from idfzip.flows import colour, permutation


def planes(content, height, width, channels, seed=0):
    return colour.forward(picture(content, height, width, channels, seed))


@given(
    st.sampled_from(CONTENTS),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 3]),
    st.sampled_from(permutation.KINDS),
    st.integers(1, 3),
    st.integers(0, 1000),
)
@settings(deadline=None, max_examples=60)
def test_any_picture_comes_back(content, height, width, channels, kind, levels, seed):
    model = make_idf(channels, kind, levels, seed)
    tile = planes(content, height, width, channels, seed)
    streams = idf.encode(model, [tile])
    (found,) = idf.decode(model, streams, [(height, width)])
    np.testing.assert_array_equal(found, tile)


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_are_independent_and_progress_is_told(channels):
    model = make_idf(channels)
    sizes = [(16, 20), (1, 1), (5, 40), (7, 7)]
    tiles = [planes("smooth", h, w, channels, i) for i, (h, w) in enumerate(sizes)]
    told = []
    together = idf.encode(model, tiles, told.append)
    assert together == [idf.encode(model, [tile])[0] for tile in tiles]
    for found, tile in zip(idf.decode(model, together, sizes, told.append), tiles, strict=True):
        np.testing.assert_array_equal(found, tile)
    assert told == [h * w for h, w in sizes] * 2


def test_values_wrap_and_sides_repeat():
    model = make_idf(3)
    pixels = np.array([[[255, 0, 7], [0, 255, 0]]], np.uint8)
    values = idf.to_values(model, colour.forward(pixels))
    assert values.shape == (4, 4, 3)
    assert values[0, 0].tolist() == [-128, -1, 7]
    assert values[0, 1].tolist() == [127, 1, 1]
    assert (values[:, 1:] == values[0, 1]).all()
    back = colour.inverse(idf.to_planes(values, 1, 2))
    np.testing.assert_array_equal(back, pixels)


def test_damage_is_none_or_other_planes_never_an_exception():
    model = make_idf(3)
    tile = planes("smooth", 12, 12, 3)
    (stream,) = idf.encode(model, [tile])
    for at in range(0, len(stream), 7):
        broken = bytearray(stream)
        broken[at] ^= 0x40
        (found,) = idf.decode(model, [bytes(broken)], [(12, 12)])
        assert found is None or not np.array_equal(found, tile)
    (found,) = idf.decode(model, [b""], [(12, 12)])
    assert found is None or found.shape == tile.shape


def test_parts_that_do_not_fit_are_refused():
    model = make_idf(3)
    rng = np.random.default_rng(0)
    changes = {
        "no levels": {"levels": ()},
        "conditional priors": {"conditions": ()},
        "prior 0": {"conditions": (make_net(6, 30, rng),)},
        "last level": {"constants": model.constants[:20]},
        "no mixtures": {"constants": model.constants[:, :0]},
        "out of range": {"constants": model.constants + np.int32(1 << 30)},
        "level 1": {"levels": (model.levels[0],) * 3, "conditions": model.conditions * 2},
    }
    for message, change in changes.items():
        with pytest.raises(ModelError, match=message):
            dataclasses.replace(model, **change)


def test_operations_are_those_of_a_pixel():
    model = make_idf(1, levels=1)
    assert model.operations == -(-sum(net.operations for net in model.nets) // 4)


def test_other_alphabets_are_refused():
    model = make_idf(1)
    with pytest.raises(ModelError, match="4096 values"):
        idf.encode(model, [np.zeros((1, 4, 4), np.int32)], alphabet=4096)
    with pytest.raises(ModelError, match="4096 values"):
        idf.decode(model, [b""], [(4, 4)], alphabet=4096)
