from __future__ import annotations

import sys

import numpy as np
import pytest
from conftest import CONTENTS, make_flagship, picture
from doubles import shelf
from PIL import Image

from idfzip.bench import codecs, run, sample
from idfzip.bench.codecs import Codec, Missing
from idfzip.bench.sample import Indexed, Sample
from idfzip.container import idfz, model_file
from idfzip.errors import BenchError, ModelNotFound

pytest.importorskip("imagecodecs", reason="most codecs come with the extra idfzip[bench]")

CLASSICAL = ["jpegxl-9", "jpegxl-7", "jpegls", "avif", "qoi", "webp", "jpeg2000", "png"]
NAMES = ["idfzip", *CLASSICAL]


@pytest.fixture
def listed(tmp_path, monkeypatch):
    monkeypatch.setenv("IDFZIP_MODELS", str(shelf(tmp_path / "shelf")))
    return codecs.listed(codecs.How(1))


def make(kind, content):
    channels = {name: count for count, name in sample.LAYOUTS.items()}
    if kind == "palette":
        indices = picture(content, 13, 22, 1)[..., 0] // 2
        colours = np.random.default_rng(1).integers(0, 256, (256, 4)).astype(np.uint8)
        return Sample("a", colours[indices], Indexed(indices, colours))
    pixels = picture(content, 13, 22, channels[kind.removesuffix(" 16-bit")])
    if kind.endswith("16-bit"):
        pixels = pixels.astype(np.uint16) * 257 ^ 5
    return Sample("a", pixels)


def test_all_are_installed_here_and_say_their_settings(listed):
    assert [codec.name for codec in listed] == NAMES
    assert all(isinstance(codec, Codec) for codec in listed)
    assert all("thread" in codec.settings for codec in listed)
    assert [codec.name for codec in listed if not codec.classical] == ["idfzip"]


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_that_is_said_to_be_held_comes_back(listed, name):
    codec = listed[NAMES.index(name)]
    for kind in sorted(codec.kinds):
        for content in CONTENTS:
            one = make(kind, content)
            assert one.kind == kind
            found = run.difference(codec.decode(codec.encode(one), one.layout), one.pixels)
            assert not found, (kind, content)


def test_alpha_that_is_opaque_and_colours_that_are_invisible_come_back(listed):
    pixels = picture("noise", 20, 20, 4)
    for alpha in (0, 255):
        pixels[..., 3] = alpha
        one = Sample("a", pixels)
        for codec in listed:
            if one.kind in codec.kinds:
                found = codec.decode(codec.encode(one), one.layout)
                assert not run.difference(found, pixels), codec.name


def test_png_keeps_the_palette(listed):
    small = make("palette", "smooth")
    indices = picture("smooth", 90, 90, 1)[..., 0]
    one = Sample("a", small.indexed.colours[indices], Indexed(indices, small.indexed.colours))
    png = listed[-1]
    assert len(png.encode(one)) < len(png.encode(Sample("a", one.pixels)))
    two = np.tile(np.eye(2, dtype=np.uint8), (10, 10))
    few = Sample("a", small.indexed.colours[two], Indexed(two, small.indexed.colours))
    assert len(png.encode(few)) < 130, "colours that are not used are not written"
    assert not run.difference(png.decode(png.encode(few), few.layout), few.pixels)


def test_jpeg_2000_uses_its_colour_transform(listed):
    grey = picture("smooth", 64, 64, 1)
    colour = np.repeat(grey, 3, axis=2)
    jpeg2000 = listed[NAMES.index("jpeg2000")]
    sizes = [len(jpeg2000.encode(Sample("a", pixels))) for pixels in (grey, colour)]
    assert sizes[1] < 1.5 * sizes[0]


def test_without_imagecodecs_it_is_said_how_to_get_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    found = codecs.listed(codecs.How(1))
    assert [codec.name for codec in found] == NAMES
    missing = [codec for codec in found if isinstance(codec, Missing)]
    assert [codec.name for codec in missing] == NAMES[1:6]
    assert all(codec.how == "pip install 'idfzip[bench]'" for codec in missing)


def test_choosing_by_name(listed):
    assert [c.name for c in codecs.choose(listed, ["png", "webp"])] == ["webp", "png"]
    assert codecs.choose(listed, []) == listed
    with pytest.raises(BenchError, match="codec gif is not known: choose from idfzip, jpegxl-9"):
        codecs.choose(listed, ["gif"])


def test_models_of_ones_own_hold_their_channels(listed, tmp_path):
    (codec,) = codecs.with_models([str(tmp_path / "shelf" / "grey.idfm")], codecs.How(1))
    assert codec.name == "idfzip:grey"
    assert codec.kinds == {"grey"}
    with pytest.raises(ModelNotFound, match="model nothing"):
        codecs.with_models(["nothing"], codecs.How(1))


def test_models_of_one_name_are_told_apart(listed, tmp_path):
    files = [tmp_path / "shelf" / "photo.idfm", tmp_path / "other.idfm"]
    files[1].write_bytes(model_file.dump(make_flagship(3, seed=1), "photo"))
    found = codecs.with_models([*map(str, files), "photo"], codecs.How(1))
    hashes = [codec.models[0].short.hex() for codec in found]
    assert [codec.name for codec in found] == [f"idfzip:photo-{h[:8]}" for h in hashes]
    assert len(set(hashes)) == 2


def test_sizes_are_of_whole_files(listed):
    one = make("RGB", "smooth")
    data = listed[0].encode(one)
    found, _ = idfz.decompress(idfz.parse(data), None, codecs.Effort(1))
    assert np.array_equal(found.pixels, one.pixels)
    png = listed[-1].encode(one)
    assert png.startswith(b"\x89PNG")
    assert Image.MAX_IMAGE_PIXELS
