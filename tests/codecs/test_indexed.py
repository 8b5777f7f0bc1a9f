from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.codecs import indexed
from idfzip.container import models
from idfzip.errors import FormatError, ModelError, UnsupportedImage


@pytest.fixture(scope="module")
def model():
    return models.by_name("indexed").codec


def plane(height, width, alphabet, kind, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.integers(0, alphabet, (1, height, width)).astype(np.int32)
    if kind == "flat":
        return np.full((1, height, width), alphabet - 1, np.int32)
    y, x = np.mgrid[:height, :width]
    return ((x // 3 + y // 2 + (rng.random((height, width)) < 0.05)) % alphabet)[None].astype(
        np.int32
    )


def back(model, values, alphabet):
    (stream,) = indexed.encode(model, [values], alphabet=alphabet)
    (found,) = indexed.decode(model, [stream], [values.shape[1:]], alphabet=alphabet)
    np.testing.assert_array_equal(found, values)
    return stream


@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from([1, 2, 3, 4, 15, 16, 200, 256]),
    st.sampled_from(["noise", "flat", "blocks"]),
    st.sampled_from([None, 3, 4]),
)
@settings(deadline=None, max_examples=60)
def test_planes_come_back(model, height, width, alphabet, kind, channels):
    if channels:
        colours = np.random.default_rng(alphabet).integers(0, 256, (alphabet, channels))
        model = model.with_palette(colours.astype(np.uint8))
    back(model, plane(height, width, alphabet, kind), alphabet)


def test_one_value_costs_nothing(model):
    assert back(model, np.zeros((1, 7, 9), np.int32), 1) == b""


def test_a_flat_plane_costs_a_few_bytes(model):
    assert len(back(model, plane(300, 200, 2, "flat"), 2)) <= 12
    assert len(back(model, plane(300, 200, 200, "flat"), 200)) <= 24


def test_noise_costs_hardly_more_than_its_entropy(model):
    assert len(back(model, plane(100, 100, 2, "noise"), 2)) < 1.15 * 10_000 / 8
    assert len(back(model, plane(60, 60, 256, "noise"), 256)) < 1.2 * 3600


def test_tiles_are_coded_each_alone(model):
    tiles = [plane(9, 11, 5, "blocks", seed) for seed in range(3)]
    seen = []
    together = indexed.encode(model, tiles, seen.append, 5)
    assert together == [indexed.encode(model, [tile], alphabet=5)[0] for tile in tiles]
    assert seen == [99, 99, 99]


@pytest.mark.parametrize("wrong", [-1, 4, 300])
@pytest.mark.parametrize("alphabet", [1, 2, 4])
def test_an_index_outside_of_the_palette_is_refused(model, wrong, alphabet):
    values = np.zeros((1, 3, 3), np.int32)
    values[0, 1, 1] = wrong
    with pytest.raises(UnsupportedImage, match=f"index {wrong} is outside of the {alphabet}"):
        indexed.encode(model, [values], alphabet=alphabet)


@pytest.mark.parametrize("alphabet", [0, 257])
def test_alphabets_that_cannot_be_are_refused(model, alphabet):
    with pytest.raises(ModelError, match="1 to 256"):
        indexed.encode(model, [], alphabet=alphabet)


def test_a_palette_of_another_alphabet_is_refused(model):
    other = model.with_palette(np.zeros((3, 3), np.uint8))
    with pytest.raises(ModelError, match="palette of shape"):
        indexed.encode(other, [], alphabet=4)


@pytest.mark.parametrize("alphabet", [2, 7])
def test_damaged_streams_do_no_harm(model, alphabet):
    values = plane(20, 20, alphabet, "noise")
    (stream,) = indexed.encode(model, [values], alphabet=alphabet)
    for broken in (stream[:-4], stream + bytes(4), bytes(len(stream)), b"\xff" * len(stream)):
        (found,) = indexed.decode(model, [broken], [(20, 20)], alphabet=alphabet)
        assert found is None or not np.array_equal(found, values)


@given(st.integers(1, 256), st.sampled_from([3, 4]), st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_palettes_come_back(model, entries, channels, seed):
    palette = np.random.default_rng(seed).integers(0, 256, (entries, channels)).astype(np.uint8)
    for colours in (palette, np.sort(palette, axis=0)):
        stream = indexed.encode_palette(model, colours)
        found = indexed.decode_palette(model, stream, entries, channels)
        np.testing.assert_array_equal(found, colours)
        assert len(stream) < 1.25 * colours.size + 12


def test_damaged_palettes_are_refused(model):
    stream = indexed.encode_palette(model, np.zeros((5, 3), np.uint8))
    with pytest.raises(FormatError, match="does not end"):
        indexed.decode_palette(model, stream + bytes(4), 5, 3)
    with pytest.raises(FormatError, match="0 entries"):
        indexed.decode_palette(model, stream, 0, 3)
