from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import CONTENTS, numbers, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.codecs import flagship
from idfzip.codecs.flagship import STATIC, Learning
from idfzip.errors import ModelError
from idfzip.flows import colour


def planes(content, height, width, channels, seed=0):
    return colour.forward(picture(content, height, width, channels, seed))


@given(
    st.sampled_from(CONTENTS),
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from([1, 3]),
    st.integers(0, 1000),
    st.sampled_from([STATIC, Learning(400, 2), Learning(1 << 14, 0), Learning(900, 1, 3)]),
)
@settings(deadline=None, max_examples=100)
def test_any_picture_comes_back(content, height, width, channels, seed, learning):
    from conftest import make_flagship

    model = make_flagship(channels, learning=learning)
    tile = planes(content, height, width, channels, seed)
    streams = flagship.encode(model, [tile])
    (found,) = flagship.decode(model, streams, [(height, width)])
    np.testing.assert_array_equal(found, tile)


@given(
    st.sampled_from(CONTENTS),
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from([1, 3]),
    st.sampled_from([1, 2, 4, 16, 100, 257, 1024, 4096, 5000, 1 << 14, 65535, 65536]),
    st.integers(0, 1000),
    st.sampled_from([STATIC, Learning(900, 1, 3), Learning(1 << 14, 0)]),
)
@settings(deadline=None, max_examples=100)
def test_any_depth_comes_back(content, height, width, channels, values, seed, learning):
    from conftest import make_flagship

    model = make_flagship(channels, learning=learning)
    tile = colour.forward(numbers(content, height, width, channels, values, seed))
    streams = flagship.encode(model, [tile], alphabet=values)
    (found,) = flagship.decode(model, streams, [(height, width)], alphabet=values)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, tile)


@pytest.mark.parametrize("seen", [0, 3, 5])
def test_heads_that_see_something_else_are_refused(flagships, seen):
    network = flagships[3].network
    last = network.trunk[-1].bias.size
    heads = [
        dataclasses.replace(head, weight=np.zeros((last + seen * c, head.bias.size), np.int16))
        for c, head in enumerate(network.heads)
    ]
    with pytest.raises(ModelError, match=f"head 1: {last + seen} inputs|heads with {seen}"):
        dataclasses.replace(flagships[3], network=dataclasses.replace(network, heads=tuple(heads)))


@pytest.mark.parametrize("values", [0, 65537])
def test_an_alphabet_that_cannot_be_coded_is_refused(flagships, values):
    with pytest.raises(ModelError, match="1 to 65536"):
        flagship.encode(flagships[1], [np.zeros((1, 2, 2), np.int32)], alphabet=values)


@pytest.mark.parametrize("values", [4096, 65536])
def test_deep_tiles_in_lockstep_are_the_same_bytes(flagships, values):
    sizes = [(16, 20), (1, 1), (5, 40), (33, 2)]
    kinds = ("smooth", "noise", "dot", "saturated")
    tiles = [
        colour.forward(numbers(kind, h, w, 3, values))
        for kind, (h, w) in zip(kinds, sizes, strict=True)
    ]
    alone = [flagship.encode(flagships[3], [tile], alphabet=values)[0] for tile in tiles]
    assert flagship.encode(flagships[3], tiles, alphabet=values) == alone
    found = flagship.decode(flagships[3], alone, sizes, alphabet=values)
    assert all(np.array_equal(a, b) for a, b in zip(found, tiles, strict=True))


@pytest.mark.parametrize("values", [4096, 65536])
def test_noise_takes_its_bits_and_little_more(flagships, values):
    """The share that every value keeps costs 0.006 bits at most, a random network the rest."""
    tile = colour.forward(numbers("noise", 64, 64, 1, values))
    (stream,) = flagship.encode(flagships[1], [tile], alphabet=values)
    assert len(stream) * 8 < tile.size * (np.log2(values) + 1)


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


def test_a_network_that_learns_packs_better():
    from conftest import make_flagship

    tile = planes("smooth", 120, 150, 3)
    sizes = [
        len(flagship.encode(make_flagship(3, learning=how), [tile])[0])
        for how in (STATIC, Learning(4000, 2), Learning(4000, 0))
    ]
    assert sizes[1] < 0.98 * sizes[0]
    assert sizes[2] < 0.99 * sizes[1]


def test_tiles_learn_alone():
    from conftest import make_flagship

    model = make_flagship(1, learning=Learning(400, 0))
    tiles = [planes("smooth", 30, 40, 1, seed) for seed in range(3)]
    alone = [flagship.encode(model, [tile])[0] for tile in tiles]
    assert flagship.encode(model, tiles) == alone
    found = flagship.decode(model, alone, [(30, 40)] * 3)
    assert all(np.array_equal(a, b) for a, b in zip(found, tiles, strict=True))


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


@pytest.fixture
def ideal(monkeypatch):
    """Return the ideal bytes of the streams pushed so far, by their intervals."""
    seen = []
    push = flagship.turns.push_all

    def watched(cumulative, frequency, states):
        seen.append(np.log2((1 << 24) / frequency.astype(np.float64)).sum() / 8)
        return push(cumulative, frequency, states)

    monkeypatch.setattr(flagship.turns, "push_all", watched)
    return seen


def megapixel(content):
    rng = np.random.default_rng(0)
    pixels = np.zeros((1024, 1024, 1), np.uint8)
    if content == "half black":
        pixels[512:] = rng.integers(0, 256, (512, 1024, 1))
    if content == "noise in a corner":
        pixels[-100:, -100:] = rng.integers(0, 256, (100, 100, 1))
    if content == "bilevel":
        pixels[:] = np.kron(rng.integers(0, 2, (64, 64)), np.ones((16, 16)))[..., None] * 255
    return pixels


@pytest.mark.parametrize("content", ["constant", "half black", "bilevel", "noise in a corner"])
def test_length_of_a_megapixel_is_near_the_ideal_one(flagships, ideal, content):
    (stream,) = flagship.encode(flagships[1], [colour.forward(megapixel(content))])
    assert len(stream) <= ideal[0] * 1.0006 + 16


def test_length_of_photographs_is_near_the_ideal_one(ideal):
    from pathlib import Path

    from PIL import Image

    from idfzip.container import models

    with Image.open(Path(__file__).parent.parent / "data" / "parrots.png") as image:
        pixels = np.asarray(image)
    for cut in (pixels, pixels[100:132, 100:132]):
        planes = colour.forward(cut)
        (stream,) = flagship.encode(models.usual(3).flagship, [planes])
        assert len(stream) <= ideal[-1] * 1.0008 + 16
