from __future__ import annotations

import numpy as np
import pytest
from conftest import CONTENTS, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.codecs import flagship
from idfzip.flows import colour


def planes(content, height, width, channels, seed=0):
    return colour.forward(picture(content, height, width, channels, seed))


@given(
    st.sampled_from(CONTENTS),
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from([1, 3]),
    st.integers(0, 1000),
)
@settings(deadline=None, max_examples=60)
def test_any_picture_comes_back(content, height, width, channels, seed):
    from conftest import make_flagship

    model = make_flagship(channels)
    tile = planes(content, height, width, channels, seed)
    streams = flagship.encode(model, [tile])
    (found,) = flagship.decode(model, streams, [(height, width)])
    np.testing.assert_array_equal(found, tile)


@pytest.mark.parametrize("channels", [1, 3])
def test_lockstep_does_not_change_a_byte(flagships, channels):
    model = flagships[channels]
    sizes = [(16, 20), (1, 1), (20, 16), (5, 40), (16, 20), (33, 2), (7, 7)]
    tiles = [planes("smooth", h, w, channels, i) for i, (h, w) in enumerate(sizes)]
    alone = [flagship.encode(model, [tile])[0] for tile in tiles]
    assert flagship.encode(model, tiles) == alone
    assert flagship.encode(model, tiles[:2]) == alone[:2]
    for found, tile in zip(flagship.decode(model, alone, sizes), tiles, strict=True):
        np.testing.assert_array_equal(found, tile)


def test_chunks_of_encoding_do_not_change_a_byte(flagships, monkeypatch):
    tile = planes("smooth", 40, 50, 3)
    whole = flagship.encode(flagships[3], [tile])
    monkeypatch.setattr(flagship, "CHUNK", 1)
    monkeypatch.setattr(flagship, "STEPS", 1)
    assert flagship.encode(flagships[3], [tile]) == whole


def test_damage_is_none_or_other_planes_never_an_exception(flagships):
    tile = planes("smooth", 12, 12, 3)
    (stream,) = flagship.encode(flagships[3], [tile])
    for at in range(0, len(stream), 7):
        broken = bytearray(stream)
        broken[at] ^= 0x40
        (found,) = flagship.decode(flagships[3], [bytes(broken)], [(12, 12)])
        assert found is None or not np.array_equal(found, tile)
    (found,) = flagship.decode(flagships[3], [b""], [(12, 12)])
    assert found is None or found.shape == tile.shape


def test_length_is_near_the_ideal_one(flagships, monkeypatch):
    seen = []
    push = flagship.ans.push_all
    monkeypatch.setattr(
        flagship.ans, "push_all", lambda c, f: seen.append(f.astype(np.float64)) or push(c, f)
    )
    for content in CONTENTS:
        tile = planes(content, 96, 96, 3)
        (stream,) = flagship.encode(flagships[3], [tile])
        ideal = np.log2((1 << 24) / seen[-1]).sum() / 8
        assert len(stream) <= ideal * 1.0002 + 16, content
