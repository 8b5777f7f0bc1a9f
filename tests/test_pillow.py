from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from conftest import make_flagship, picture
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

import idfzip
import idfzip.pillow
from idfzip.container import idfz, model_file
from idfzip.container import models as registry

MODELS = Path(__file__).parent.parent / "models"


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    for channels, name in ((3, "photo"), (1, "grey")):
        (tmp_path / f"{name}.idfm").write_bytes(model_file.dump(make_flagship(channels), name))
    monkeypatch.setattr(registry, "folders", lambda: [tmp_path, MODELS])


def make_image(channels=3, content="smooth"):
    pixels = picture(content, 30, 41, channels)
    return Image.fromarray(pixels if channels == 3 else pixels[..., 0])


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_saved_and_opened(tmp_path, channels):
    image = make_image(channels)
    path = tmp_path / "a.idfz"
    image.save(path)
    with Image.open(path) as found:
        assert (found.format, found.mode, found.size) == ("IDFZ", image.mode, image.size)
        assert found.get_format_mimetype() == "image/x-idfz"
        np.testing.assert_array_equal(np.asarray(found), np.asarray(image))
        assert found.getpixel((3, 4)) == image.getpixel((3, 4))


@pytest.mark.parametrize("mode", ["P", "LA", "RGBA", "1"])
def test_other_kinds_come_back_as_well(mode):
    image = make_image().convert(mode)
    file = io.BytesIO()
    image.save(file, "IDFZ")
    found = Image.open(file)
    assert (found.mode, found.size) == (mode, image.size)
    found.load()
    assert found.mode == mode
    assert found.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


def test_opening_decodes_no_pixels(monkeypatch):
    file = io.BytesIO(idfzip.compress(make_image()))
    monkeypatch.setattr(idfzip.pillow.api, "decompress", pytest.fail)
    assert Image.open(file).size == (41, 30)


def test_a_file_of_a_missing_model_can_be_opened_and_says_so_when_loaded(monkeypatch):
    data = idfzip.compress(make_image())
    monkeypatch.setattr(registry, "folders", lambda: [])
    image = Image.open(io.BytesIO(data))
    assert image.size == (41, 30)
    with pytest.raises(OSError, match="not installed"):
        image.load()


def test_metadata_are_there_before_the_pixels(tmp_path):
    text = PngInfo()
    text.add_text("Title", "a title")
    exif = Image.Exif()
    exif[0x010E] = "a description"
    file = io.BytesIO()
    make_image().save(file, "PNG", dpi=(300, 300), icc_profile=b"p", exif=exif, pnginfo=text)
    image = Image.open(file)
    image.load()
    image.save(tmp_path / "b.idfz")
    found = Image.open(io.BytesIO((tmp_path / "b.idfz").read_bytes()))
    assert found.info["icc_profile"] == b"p"
    assert found.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert found.getexif()[0x010E] == "a description"
    make_image().save(tmp_path / "c.idfz", icc_profile=b"q", exif=exif, dpi=(72, 72))
    again = Image.open(io.BytesIO((tmp_path / "c.idfz").read_bytes()))
    assert again.info["icc_profile"] == b"q"
    assert again.getexif()[0x010E] == "a description"


def test_the_model_is_an_option(tmp_path):
    other = model_file.dump(make_flagship(3, seed=5), "other")
    (tmp_path / "other.idfm").write_bytes(other)
    file = io.BytesIO()
    make_image().save(file, "IDFZ", model="other", threads=1)
    assert file.getvalue() == idfzip.compress(make_image(), model="other")
    with pytest.raises(idfzip.IdfzipError, match="codes grey"):
        make_image().save(io.BytesIO(), "IDFZ", model="grey")


def test_progressive_is_an_option(tmp_path):
    image = make_image()
    image.save(tmp_path / "a.idfz", progressive=True)
    assert idfz.parse((tmp_path / "a.idfz").read_bytes()).levels == 6
    with Image.open(tmp_path / "a.idfz") as back:
        assert back.tobytes() == image.tobytes()


def test_large_images_are_bombs_as_elsewhere(monkeypatch):
    data = idfzip.compress(make_image())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))


def test_what_is_not_opened():
    data = idfzip.compress(make_image())
    many = idfzip.pack({"a": make_image()})
    for bad in (data[:3], data[:20], data[:-1], data + b"x", b"\x8aIDZ" + data[5:], many):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(bad))
    damaged = bytearray(data)
    damaged[-20] ^= 1
    with pytest.raises(OSError, match="damaged"):
        Image.open(io.BytesIO(damaged)).load()
    stored = bytearray(idfzip.compress(make_image().convert("RGBA")))
    stored[-20] ^= 1
    with pytest.raises(OSError, match="damaged"):
        Image.open(io.BytesIO(stored)).load()


def test_a_closed_image_is_told_as_pillow_does(tmp_path):
    path = tmp_path / "x.idfz"
    make_image().save(path)
    with Image.open(path) as image:
        pass
    with pytest.raises(ValueError, match="closed image"):
        image.load()
