from __future__ import annotations

import zlib

import numpy as np
import pytest
from conftest import picture
from PIL import Image

from idfzip.bench import sample
from idfzip.bench.sample import LeftOut
from idfzip.errors import BenchError
from idfzip.images import reader

RNG = np.random.default_rng(0)


@pytest.fixture
def imagecodecs():
    return pytest.importorskip("imagecodecs", reason="it comes with the extra idfzip[bench]")


def noise(channels, dtype=np.uint8):
    top = np.iinfo(dtype).max
    return RNG.integers(0, top + 1, (9, 7, channels)).astype(dtype)


@pytest.mark.parametrize(("channels", "kind"), sample.LAYOUTS.items())
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_layouts_of_eight_bits(tmp_path, channels, kind, suffix):
    pixels = noise(channels)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(tmp_path / f"a.{suffix}")
    (found,) = sample.read(tmp_path / f"a.{suffix}")
    assert found.kind == found.layout == kind
    assert np.array_equal(found.pixels, pixels)
    assert found.count == 63


@pytest.mark.parametrize(("channels", "layout"), sample.LAYOUTS.items())
def test_sixteen_bits_keep_their_low_bits(imagecodecs, tmp_path, channels, layout):
    pixels = noise(channels, np.uint16)
    squeezed = pixels[..., 0] if channels == 1 else pixels
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(squeezed))
    (found,) = sample.read(tmp_path / "a.png")
    assert found.kind == f"{layout} 16-bit"
    assert np.array_equal(found.pixels, pixels)


def test_sixteen_bit_colour_that_is_interlaced_is_left_out(imagecodecs, tmp_path):
    """The library at hand would read it wrongly, with no more than a line on standard error."""
    data = bytearray(imagecodecs.png_encode(noise(3, np.uint16)[:1, :1]))  # one pass, one pixel
    data[28] = 1
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data)
    assert "interlaced" in sample.read(tmp_path / "a.png").reason


def test_sixteen_bit_colour_without_imagecodecs_is_left_out(imagecodecs, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(noise(3, np.uint16)))
    monkeypatch.setattr(reader, "_here", lambda: False)
    found = sample.read(tmp_path / "a.png")
    assert isinstance(found, LeftOut)
    assert "pip install 'idfzip[deep]'" in found.reason


@pytest.mark.parametrize("clear", [None, 3, bytes(range(200))])
def test_palettes_are_their_colours(tmp_path, clear):
    image = Image.fromarray(noise(3)).quantize(40)
    options = {} if clear is None else {"transparency": clear}
    image.save(tmp_path / "a.png", **options)
    (found,) = sample.read(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as again:
        expected = np.asarray(again.convert("RGB" if clear is None else "RGBA"))
    assert found.kind == "palette"
    assert found.layout == ("RGB" if clear is None else "RGBA")
    assert np.array_equal(found.pixels, expected)


def test_what_lost_something_already_is_left_out(tmp_path):
    image = Image.fromarray(noise(3))
    image.save(tmp_path / "a.jpg")
    image.save(tmp_path / "b.webp")
    image.save(tmp_path / "c.tif", compression="jpeg")
    image.convert("CMYK").save(tmp_path / "d.tif")
    image.convert("1").save(tmp_path / "e.png")
    for file, word in zip("abcde", ("JPEG", "lossy", "lossy", "CMYK", "bilevel"), strict=True):
        found = sample.read(next(tmp_path.glob(f"{file}.*")))
        assert isinstance(found, LeftOut), file
        assert word in found.reason
        assert not found.damaged
    image.save(tmp_path / "f.webp", lossless=True)
    assert len(sample.read(tmp_path / "f.webp")) == 1


def test_damaged_files_are_told_apart(tmp_path):
    Image.fromarray(noise(3)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    flipped = bytearray(whole)
    flipped[60] ^= 1
    for data in (whole[:-30], bytes(flipped), b"", b"no image", whole[:20]):
        (tmp_path / "a.png").write_bytes(data)
        found = sample.read(tmp_path / "a.png")
        assert isinstance(found, LeftOut)
        assert found.damaged
        assert found.reason
        assert "\n" not in found.reason


def test_mosaics_are_cut_row_by_row(tmp_path):
    pixels = picture("noise", 21, 30, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = sample.read(tmp_path / "a.png", 10)
    assert len(found) == 6
    assert np.array_equal(found[4].pixels, pixels[10:20, 10:20])
    assert len({one.name for one in found}) == 6
    assert "smaller than a tile" in sample.read(tmp_path / "a.png", 22).reason


def test_folders_give_images_only_and_each_once(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "notes.txt").write_text("text")
    for name in ("deep/b.PNG", "a.png"):
        (tmp_path / name).write_bytes(b"")
    found = sample.files([tmp_path, tmp_path / "a.png", tmp_path / "notes.txt"])
    assert [file.name for file in found] == ["a.png", "b.PNG", "notes.txt"]
    with pytest.raises(BenchError, match="absent: no such file or folder"):
        sample.files([tmp_path / "absent"])
