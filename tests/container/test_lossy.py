from __future__ import annotations

import numpy as np
import pytest
from conftest import picture
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.container import header, idfz, lossy
from idfzip.container import models as installed
from idfzip.container import preview as previews
from idfzip.container.effort import Effort
from idfzip.container.region import Region
from idfzip.errors import ModelError, TileError, UnsupportedImage
from idfzip.images.picture import Layout, Metadata, Picture


def decoded(data, model, **options):
    return idfz.decompress(idfz.parse(data), model, Effort(2), **options)[0]


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(lossy, "TILE", (24, 32))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("levels", [False, True])
def test_a_file_holds_what_was_painted(lossy_models, small_tiles, channels, levels):
    source = Picture(picture("smooth", 50, 70, channels), "PNG", Metadata(icc=b"profile"))
    model = lossy_models[channels]
    found = lossy.compress(source, model, 80, Effort(), levels=levels)
    back = decoded(found.data, model)
    np.testing.assert_array_equal(back.pixels, found.picture.pixels)
    assert back.metadata == source.metadata
    assert (back.kind, back.format) == (source.kind, "PNG")
    file = idfz.parse(found.data)
    assert {tile.codec for tile in file.head.tiles} == {header.VQVAE}
    assert len(file.head.tiles) == 9
    assert file.levels == (3 if levels else 0)
    assert lossy.compress(source, model, 80, Effort(4), levels=levels).data == found.data


def test_alpha_is_kept_as_it_is(lossy_models, monkeypatch, models):
    monkeypatch.setattr("idfzip.container.models.released", lambda content, level=5: [models[1]])
    for layout, channels in ((Layout.RGBA, 4), (Layout.GREY_ALPHA, 2)):
        pixels = picture("smooth", 40, 30, channels)
        source = Picture(pixels, layout=layout, depth=8)
        found = lossy.compress(source, lossy_models[3], 100)
        np.testing.assert_array_equal(found.picture.pixels[..., -1], pixels[..., -1])
        assert not np.array_equal(found.picture.pixels[..., 0], pixels[..., 0])
        monkeypatch.setattr(
            "idfzip.container.models.for_file",
            lambda name, known: next(
                m for m in (models[1], lossy_models[3]) if m.short == name.hash
            ),
        )
        again = decoded(found.data, None)
        np.testing.assert_array_equal(again.pixels, found.picture.pixels)


def test_grey_by_a_model_of_colour(lossy_models):
    source = Picture(picture("smooth", 33, 20, 1))
    found = lossy.compress(source, lossy_models[3], 60)
    assert found.picture.pixels.shape == (33, 20, 1)
    np.testing.assert_array_equal(decoded(found.data, lossy_models[3]).pixels, found.picture.pixels)


def test_regions_previews_and_damage(lossy_models, small_tiles):
    source = Picture(picture("smooth", 60, 70, 3))
    model = lossy_models[3]
    found = lossy.compress(source, model, 100, levels=True)
    part = decoded(found.data, model, part=Region(20, 10, 30, 40))
    np.testing.assert_array_equal(part.pixels, found.picture.pixels[10:50, 20:50])
    start = idfz.begin(found.data)
    few = lossy.compress(source, model, 33)
    shown = previews.preview(idfz.begin(found.data[: previews.through(start, 1)]), [model], False)
    np.testing.assert_array_equal(shown.picture.pixels, few.picture.pixels)
    wrong = bytearray(found.data)
    wrong[-6] ^= 1
    with pytest.raises(TileError, match="1 of 9 tiles are damaged"):
        decoded(bytes(wrong), model)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 99))
def test_more_quality_is_never_fewer_stages(quality):
    from conftest import make_vqvae

    model = make_vqvae(3)
    (few, dear), (more, cheap) = (lossy.plan(model, q) for q in (quality, quality + 1))
    assert 1 <= few <= more <= model.stages
    assert few < more or dear > cheap
    assert lossy.plan(model, 100) == (3, 0)


@pytest.mark.parametrize(
    ("source", "which"),
    [
        (Picture(picture("smooth", 9, 9, 3).astype(np.uint16)), 3),
        (Picture(picture("smooth", 9, 9, 4), layout=Layout.CMYK, depth=8), 3),
    ],
    ids=["deep", "cmyk"],
)
def test_other_kinds_are_refused(lossy_models, source, which):
    with pytest.raises(UnsupportedImage, match="only grey and RGB"):
        lossy.compress(source, lossy_models[which])


def test_other_models_are_refused(lossy_models, models):
    source = Picture(picture("smooth", 9, 9, 3))
    with pytest.raises(ModelError, match="is not lossy"):
        lossy.compress(source, models[3])
    with pytest.raises(ModelError, match="of grey images"):
        lossy.compress(source, lossy_models[1])
    with pytest.raises(ModelError, match="codes with --lossy only"):
        idfz.compress(source, lossy_models[3], Effort())


def test_the_released_model_is_installed():
    model = installed.by_name(installed.LOSSY)
    assert model.architecture.lossy
    assert installed.is_released(model)


def test_a_maximum_that_painted_samples_may_pass_is_refused(lossy_models):
    dark = picture("smooth", 9, 11, 1) >> 4
    for head, fits in ((b"P5\n11 9\n15\n", False), (b"P5 # it\n11 9\n255\n", True)):
        source = Picture(dark, "PPM", Metadata(head=head))
        if fits:
            lossy.compress(source, lossy_models[1], 80)
            continue
        with pytest.raises(UnsupportedImage, match="whose maximum is not 255"):
            lossy.compress(source, lossy_models[1], 80)
