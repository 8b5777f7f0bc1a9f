from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import CONTENTS, make_flagship, make_vqvae, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.container import header, idfz, lossy, model_file
from idfzip.container import models as installed
from idfzip.container import preview as previews
from idfzip.container.effort import Effort
from idfzip.container.region import Region
from idfzip.errors import FormatError, ModelError, TileError, UnsupportedImage
from idfzip.images.picture import Layout, Metadata, Picture


def loaded(codec, name):
    return model_file.load(model_file.dump(codec, name), "test")


PAINTER = loaded(make_vqvae(3), "painter")
RESTS = {
    1: loaded(make_flagship(1), "grey"),
    3: loaded(make_flagship(3, looks=True), "looks"),
}
LAYOUTS = {1: Layout.GREY, 2: Layout.GREY_ALPHA, 3: Layout.RGB, 4: Layout.RGBA}


@pytest.fixture(autouse=True)
def few_models(monkeypatch):
    """Let these models be all that are installed, and tiles be small."""
    known = (PAINTER, *RESTS.values())
    monkeypatch.setattr(
        installed, "for_file", lambda name, _=(): next(m for m in known if m.short == name.hash)
    )
    monkeypatch.setattr(installed, "released", lambda content, level=5: [RESTS[1]])
    monkeypatch.setattr(lossy, "FIRST_TILE", (12, 16))


def coded(source, quality=80, **options):
    rest = RESTS[3 if source.kind.layout in (Layout.RGB, Layout.RGBA) else 1]
    return lossy.compress_first(source, PAINTER, rest, quality, **options)


def decoded(data, **options):
    return idfz.decompress(idfz.parse(data), None, Effort(2), **options)[0]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(CONTENTS),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(1, 4),
    st.integers(1, 100),
)
def test_pixels_come_back(content, height, width, channels, quality):
    source = Picture(picture(content, height, width, channels), layout=LAYOUTS[channels], depth=8)
    np.testing.assert_array_equal(decoded(coded(source, quality)).pixels, source.pixels)


def test_what_a_file_holds():
    source = Picture(picture("smooth", 20, 30, 3), "PNG", Metadata(icc=b"profile"))
    data = coded(source)
    assert decoded(data).metadata == source.metadata
    file = idfz.parse(data)
    assert {tile.codec for tile in file.head.tiles} == {header.LOSSY_FIRST}
    assert len(file.head.tiles) == 4
    assert file.levels == 2
    row, named = file.head.tiles[0], file.head.models
    assert (named[row.model].name, named[row.painter].name) == ("looks", "painter")
    assert coded(source, effort=Effort(3)) == data
    assert len(coded(source, embed=True)) > len(data)


def test_the_first_part_shows_the_lossy_picture(monkeypatch):
    source = Picture(picture("smooth", 20, 30, 4), layout=Layout.RGBA, depth=8)
    data = coded(source)
    monkeypatch.setattr(lossy, "TILE", lossy.FIRST_TILE)
    painted = lossy.compress(source, PAINTER, 80).picture.pixels
    needed = idfz.needed_models(idfz.parse(data), None)
    first = previews.through(idfz.begin(data), 1)
    shown = previews.preview(idfz.begin(data[:first]), needed, False).picture.pixels
    assert (shown[..., :3] != painted[..., :3]).mean() < 0.05
    assert (shown[..., 3] == 255).all()
    whole = previews.preview(idfz.begin(data), needed, False)
    assert whole.share == 1
    np.testing.assert_array_equal(whole.picture.pixels, source.pixels)
    drawn = previews.preview(idfz.begin(data[: first + 40]), needed, True).picture.pixels
    assert drawn.shape == source.pixels.shape


def test_regions_and_damage():
    source = Picture(picture("smooth", 20, 30, 3))
    data = coded(source)
    part = decoded(data, part=Region(5, 3, 12, 9))
    np.testing.assert_array_equal(part.pixels, source.pixels[3:12, 5:17])
    wrong = bytearray(data)
    wrong[-6] ^= 1
    with pytest.raises(TileError, match="1 of 4 tiles are damaged"):
        decoded(bytes(wrong))
    with pytest.raises(FormatError, match="file is cut"):
        idfz.parse(data[:-8])


def test_grey_tells_its_models_apart():
    """Alpha and the rest of grey have the same model, which is named once."""
    source = Picture(picture("smooth", 9, 9, 2), layout=Layout.GREY_ALPHA, depth=8)
    head = idfz.parse(coded(source)).head
    assert [model.name for model in head.models] == ["grey", "painter"]
    assert [tile.painter for tile in head.tiles] == [0, 1]


def test_models_that_do_not_fit_are_refused():
    source = Picture(picture("smooth", 9, 9, 3))
    with pytest.raises(ModelError, match="is not lossy"):
        lossy.compress_first(source, RESTS[1], RESTS[3])
    with pytest.raises(ModelError, match="grey does not code"):
        lossy.compress_first(source, PAINTER, RESTS[1])
    with pytest.raises(ModelError, match="painter does not code"):
        lossy.compress_first(source, PAINTER, PAINTER)
    with pytest.raises(ModelError, match="codes with --lossy-first only"):
        idfz.compress(source, RESTS[3], Effort())
    with pytest.raises(UnsupportedImage, match="only grey and RGB"):
        coded(Picture(picture("smooth", 9, 9, 3).astype(np.uint16)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"painter": 0}, "are not of the codec"),
        ({"painter": 2}, "painted by model 2, 2 are named"),
        ({"codec": header.FLAGSHIP}, "painted by model 1, 2 are named"),
        ({"codec": header.FLAGSHIP, "painter": 0}, "codes 3 channels"),
        ({"codec": 8}, "codec 8 is not known"),
    ],
)
def test_forged_rows_are_refused(change, message):
    data = coded(Picture(picture("smooth", 9, 9, 3)))
    file = idfz.parse(data)
    tiles = tuple(dataclasses.replace(tile, **change) for tile in file.head.tiles)
    forged = header.pack(dataclasses.replace(file.head, tiles=tiles))

    def read():
        head = header.unpack(forged, len(file.streams))
        idfz.decompress(dataclasses.replace(file, head=head), None, Effort())

    with pytest.raises(FormatError, match=message):
        read()


def test_the_released_model_looks():
    model = installed.by_name(installed.FIRST[lossy.Content.COLOUR][1])
    assert model.codec.looks
    assert installed.is_released(model)
