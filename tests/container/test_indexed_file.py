from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.container import idfz, indexed_file, model_file, models, palette
from idfzip.container.effort import Effort
from idfzip.errors import FormatError, ModelError
from idfzip.images import png
from idfzip.images.picture import Layout, Metadata, Picture


@pytest.fixture(scope="module")
def model():
    return models.by_name("indexed")


def picture(entries, depth, transparent=0, extra=(), seed=0):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, entries, (9, 14, 1)).astype(np.uint8)
    chunks = [png.chunk(b"PLTE", rng.integers(0, 256, 3 * entries).astype(np.uint8).tobytes())]
    if transparent:
        chunks.append(
            png.chunk(b"tRNS", rng.integers(0, 256, transparent).astype(np.uint8).tobytes())
        )
    for place, tag in extra:
        chunks.insert(place, png.chunk(tag, b"abc"))
    return Picture(pixels, "PNG", Metadata(b"".join(chunks)), Layout.PALETTE, depth)


@given(
    st.sampled_from([(1, 1), (2, 1), (3, 2), (16, 4), (100, 8), (256, 8)]),
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([b"tEXt", b"gAMA"])), max_size=3),
)
@settings(deadline=None, max_examples=30)
def test_pictures_and_palettes_come_back(sizes, transparent, extra):
    source = picture(*sizes, min(transparent, sizes[0]), extra)
    data = idfz.compress(source, None, Effort())
    found, failed = idfz.decompress(idfz.parse(data), None, Effort())
    assert failed == []
    assert found.metadata == source.metadata
    np.testing.assert_array_equal(found.pixels, source.pixels)


def test_an_index_outside_of_the_palette_comes_back():
    source = picture(5, 8)
    source.pixels[3, 4] = 77
    found, _ = idfz.decompress(idfz.parse(idfz.compress(source, None, Effort())), None, Effort())
    np.testing.assert_array_equal(found.pixels, source.pixels)


@pytest.mark.parametrize(
    "chunks",
    [
        b"",
        png.chunk(b"PLTE", bytes(4)),
        png.chunk(b"PLTE", b""),
        png.chunk(b"PLTE", bytes(3)) * 2,
        png.chunk(b"PLTE", bytes(3)) + png.chunk(b"tRNS", bytes(2)),
        png.chunk(b"PLTE", bytes(3)) + png.chunk(b"tRNS", b""),
    ],
)
def test_palettes_that_cannot_be_coded_stay_where_they_are(chunks):
    assert palette.take(Metadata(chunks)) == (None, Metadata(chunks))


def test_damaged_palettes_are_refused(model):
    taken, _ = palette.take(picture(9, 4).metadata)
    section = palette.pack(taken, model.codec)
    for data in (b"\0" + section.data[1:], section.data + bytes(4), section.data[:2]):
        with pytest.raises(FormatError):
            palette.unpack(replace(section, data=data), model.codec)


def test_a_model_comes_back(model):
    again = model_file.load(model_file.dump(model.codec, "indexed"), "memory")
    assert again.identity == model.identity
    assert again.architecture.name == "indexed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tables.squash", 1 << 33),
        ("tables.rates", 0),
        ("tables.histories", 256),
        ("bilevel.reaches", 8),
        ("bilevel.counters", -1),
        ("bilevel.near", (1 << 23) + 1),
        ("bilevel.corrections", 1 << 16),
        ("categories.surroundings", 9),
        ("categories.maps", 1 << 22),
        ("categories.stage", -(1 << 23) - 1),
        ("palettes.maps", -1),
    ],
)
def test_values_out_of_range_are_refused(model, name, value):
    tensors = indexed_file.to_tensors(model.codec)
    tensors[name] = tensors[name].copy()
    tensors[name].reshape(-1)[0] = value
    with pytest.raises(ModelError):
        indexed_file.from_tensors(tensors, {"channels": 1})


@pytest.mark.parametrize("name", ["palettes.histories", "categories.traits", "bilevel.known"])
def test_tensors_of_other_shapes_are_refused(model, name):
    tensors = indexed_file.to_tensors(model.codec)
    tensors[name] = tensors[name][:-1]
    with pytest.raises(ModelError):
        indexed_file.from_tensors(tensors, {"channels": 1})


def test_the_self_test_notices_another_state(model):
    weights = model.codec.categories.learned.stage + 4000
    learned = model.codec.categories.learned._replace(stage=weights)
    other = replace(model.codec, categories=replace(model.codec.categories, learned=learned))
    found = indexed_file.measured_sums(other, model.test)
    assert not np.array_equal(found, model.test["test.sums"])
    assert struct.calcsize("<i") * len(found) > 100
