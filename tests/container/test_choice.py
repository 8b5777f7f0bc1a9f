from __future__ import annotations

import numpy as np
import pytest
from conftest import CONTENTS, picture
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from idfzip.container import choice, groups, idfz, model_file, raw, tiling
from idfzip.container import models as registry
from idfzip.container.effort import Effort
from idfzip.container.groups import Content
from idfzip.container.plan import plan
from idfzip.errors import FormatError, IdfzipError
from idfzip.images.picture import Kind, Layout, Metadata, Picture

KINDS = [Kind(layout, d) for layout in Layout for d in (1, 2, 4, 8, 16) if Kind(layout, d).known]


@pytest.fixture(autouse=True)
def small(models, monkeypatch, tmp_path):
    """Small models in place of the released ones."""
    for channels, model in models.items():
        file = tmp_path / f"small{channels}.idfm"
        file.write_bytes(model_file.dump(model.codec, model.name))
    monkeypatch.setattr(registry, "folders", lambda: [tmp_path])
    known = {Content.GREY: [models[1]], Content.COLOUR: [models[3]], Content.INDEX: []}
    monkeypatch.setattr(registry, "released", lambda content, level=5: known[content])


def make(kind, content, height, width, seed=0):
    pixels = picture(content, height, width, kind.layout.channels, seed).astype(np.uint16)
    if kind.depth == 16:
        pixels = pixels * 256 + picture(content, height, width, 1, seed + 1)
    if kind.depth < 8:
        pixels >>= 8 - kind.depth
    dtype = np.uint16 if kind.depth == 16 else np.uint8
    form = "TIFF" if kind.layout == Layout.CMYK else "PNG"
    return Picture(pixels.astype(dtype), form, Metadata(), kind.layout, kind.depth)


def comes_back(found, data):
    back, failed = idfz.decompress(idfz.parse(data), None, Effort())
    assert failed == []
    assert back.pixels.dtype == found.pixels.dtype
    np.testing.assert_array_equal(back.pixels, found.pixels)
    assert (back.kind, back.metadata) == (found.kind, found.metadata)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the same for all examples
)
@given(
    kind=st.sampled_from(KINDS),
    content=st.sampled_from(CONTENTS),
    height=st.sampled_from([1, 2, 9, 33]),
    width=st.sampled_from([1, 3, 40]),
    level=st.integers(1, 9),
)
@example(Kind(Layout.PALETTE, 8), "noise", 33, 3, 1)  # WebP wins by less than telling so takes
def test_every_kind_size_and_content_comes_back(kind, content, height, width, level):
    found = make(kind, content, height, width)
    chosen = choice.smallest(found, None, None, Effort(), level)
    comes_back(found, chosen.data)
    bits = height * width * kind.layout.channels * kind.depth
    assert len(chosen.data) <= bits // 8 + 80
    others = [size for name, size in chosen.sizes.items() if name != chosen.winner]
    assert len(chosen.data) <= min(others, default=len(chosen.data))
    for packing, data in packings(found).items():
        comes_back(found, idfz.pack(found, packing, data))


def packings(found):
    from idfzip.images import packing

    webp = packing.webp(found.pixels, found.kind, packing.THOROUGH)
    tried = {"webp": webp, "png": packing.as_png(found.pixels, found.kind)}
    return {name: data for name, data in tried.items() if data is not None}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_tiles_threads_and_damage(monkeypatch, kind):
    monkeypatch.setattr(tiling, "TILE_ROWS", 10)
    monkeypatch.setattr(tiling, "TILE_COLUMNS", 16)
    monkeypatch.setattr(tiling, "INDEXED", (10, 16))
    monkeypatch.setattr(tiling, "BILEVEL", (10, 16))
    found = make(kind, "smooth", 23, 35)
    data = idfz.compress(found, None, Effort(1, 1))
    assert idfz.compress(found, None, Effort(3, 2)) == data
    back, _ = idfz.decompress(idfz.parse(data), None, Effort(2, 3))
    np.testing.assert_array_equal(back.pixels, found.pixels)
    broken = bytearray(data)
    broken[-1] ^= 0x80
    back, failed = idfz.decompress(idfz.parse(bytes(broken)), None, Effort(), salvage=True)
    count = len(idfz.parse(data).head.tiles)
    assert failed == [count - 1]
    np.testing.assert_array_equal(back.pixels[:16], found.pixels[:16])


def test_a_constant_alpha_costs_next_to_nothing():
    pixels = picture("smooth", 60, 80, 3)
    alone = idfz.compress(Picture(pixels), None, Effort())
    opaque = np.concatenate([pixels, np.full((60, 80, 1), 255, np.uint8)], axis=2)
    assert len(idfz.compress(Picture(opaque), None, Effort())) <= len(alone) + 24


def test_colour_under_a_clear_alpha_is_kept():
    pixels = np.concatenate([picture("noise", 20, 30, 3), np.zeros((20, 30, 1), np.uint8)], axis=2)
    for level in (1, 5, 9):
        found = Picture(pixels)
        comes_back(found, choice.smallest(found, None, None, Effort(), level).data)


def test_twelve_bits_in_sixteen_count_as_twelve():
    pixels = np.random.default_rng(0).integers(0, 1 << 12, (40, 50, 1)).astype(np.uint16) * 16
    part = plan(Picture(pixels), None, 5)[0]
    assert part.ladder.step == 16
    assert len(raw.pack(part.ladder.forward(pixels), len(part.ladder))) == pixels.size * 12 // 8


def test_indices_that_are_not_used_are_left_out():
    pixels = np.array([[[3], [200], [3]]], np.uint8)
    (group,) = groups.of(Kind(Layout.PALETTE, 8))
    assert groups.ladder(group, pixels, 8).values.tolist() == [3, 200]


def test_the_source_is_kept_where_it_is_smallest():
    found = Picture(picture("noise", 40, 40, 3))
    chosen = choice.smallest(found, b"source", None, Effort())
    assert chosen.winner == "source"
    file = idfz.parse(chosen.data)
    assert idfz.decompress(file, None, Effort())[0].data == b"source"
    assert file.sizes["source"] < file.sizes["models"]


def test_flat_shares():
    assert choice.flat_share(np.zeros((5, 1, 3), np.uint8)) == 1
    assert choice.flat_share(np.zeros((1, 1, 3), np.uint8)) == 0
    assert choice.flat_share(np.array([[[0], [0], [1]]], np.uint8)) == 0.5


@pytest.mark.parametrize("alphabet", [1, 2, 3, 16, 200, 256, 257, 4096, 65536])
def test_raw_numbers_come_back(alphabet):
    numbers = np.random.default_rng(1).integers(0, alphabet, (5, 7, 3))
    data = raw.pack(numbers.astype(np.uint16), alphabet)
    assert len(data) == -(-numbers.size * (alphabet - 1).bit_length() // 8)
    np.testing.assert_array_equal(raw.unpack(data, alphabet, (5, 7, 3)), numbers)
    assert raw.unpack(data + b"x", alphabet, (5, 7, 3)) is None


@pytest.mark.parametrize("shape", [(1, 100_000), (100_000, 1)])
def test_extreme_shapes(shape):
    pixels = picture("smooth", 400, 250, 1).reshape(*shape, 1)
    data = idfz.compress(Picture(pixels), None, Effort(2))
    assert len(data) < pixels.size
    comes_back(Picture(pixels), data)


@pytest.mark.parametrize("layout", [Layout.RGBA, Layout.PALETTE])
@pytest.mark.parametrize("packing", ["", "webp", "png"])
def test_every_flipped_byte_of_other_kinds_is_noticed(layout, packing):
    found = make(Kind(layout, 8), "smooth", 7, 6)
    data = idfz.compress(found, None, Effort())
    if packing:
        data = idfz.pack(found, packing, packings(found)[packing], {"models": len(data)})
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x11
        try:
            back, _ = idfz.decompress(idfz.parse(bytes(broken)), None, Effort())
        except IdfzipError:
            continue
        np.testing.assert_array_equal(back.pixels, found.pixels)  # bytes that no decoder looks at
        assert packing, f"byte {at} was flipped unnoticed"


def test_a_packed_file_of_another_size_or_kind_is_refused():
    found = make(Kind(Layout.GREY, 8), "smooth", 7, 6)
    other = make(Kind(Layout.GREY, 8), "smooth", 7, 5)
    deep = make(Kind(Layout.GREY, 16), "smooth", 7, 6)
    for wrong, message in ((other, "image of 5x7"), (deep, "another kind")):
        data = idfz.pack(found, "png", packings(wrong)["png"])
        with pytest.raises(FormatError, match=message):
            idfz.decompress(idfz.parse(data), None, Effort())
