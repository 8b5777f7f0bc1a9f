"""What is packed can be unpacked: files whose metadata would not come back are kept."""

from __future__ import annotations

import io
import struct
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import picture
from PIL import Image

from idfzip.errors import FormatError, UnsupportedImage
from idfzip.images import packing, png, reader, tiff, trial, writer
from idfzip.images.picture import GREY, Picture
from idfzip.images.reader import Unread

PIXELS = bytes(range(3, 9))


def tagged(tags, body=PIXELS, after=0, gap=b""):
    """Return a TIFF of grey of 3x2 with these tags in place of the usual ones.

    `after` is the place of the next picture; `gap` is between the pixels and the tags.
    """
    usual = {
        tiff.WIDTH: (3, "H", 3),
        tiff.HEIGHT: (3, "H", 2),
        tiff.BITS: (3, "H", 8),
        tiff.COMPRESSION: (3, "H", 1),
        tiff.PHOTOMETRIC: (3, "H", 1),
        tiff.OFFSETS: (4, "I", 8),
        tiff.SAMPLES: (3, "H", 1),
        tiff.COUNTS: (4, "I", len(body)),
    }
    made = sorted((usual | tags).items())
    body += gap
    at = 8 + len(body) + len(body) % 2
    out = b"II*\0" + struct.pack("<I", at) + body.ljust(at - 8, b"\0")
    out += struct.pack("<H", len(made))
    values = b""
    for tag, (kind, code, *numbers) in made:
        data = struct.pack(f"<{len(numbers)}{code}", *numbers)
        if len(data) > 4:
            place = at + 2 + 12 * len(made) + 4 + len(values)
            values += data
            data = struct.pack("<I", place)
        out += struct.pack("<HHI", tag, kind, len(numbers)) + data.ljust(4, b"\0")
    return out + struct.pack("<I", after) + values


def test_the_usual_tags_are_read():
    found = trial.read(tagged({}), "a.tif")
    assert found.pixels.tobytes() == PIXELS
    assert trial.read(writer.write(found), "b.tif").pixels.tobytes() == PIXELS


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({tiff.BITS: (8, "h", 8)}, "tag 258 is of type 8"),
        ({tiff.PHOTOMETRIC: (3, "H", 0, 1)}, "tag 262 has 2 numbers"),
        ({tiff.SAMPLES: (9, "i", 1)}, "tag 277 is of type 9"),
        ({tiff.COMPRESSION: (11, "f", 1.0)}, "tag 259 is of type 11"),
    ],
)
def test_tags_that_readers_take_in_different_ways_keep_the_file(tags, reason):
    found = trial.read(tagged(tags), "a.tif")
    assert isinstance(found, Unread)
    assert reason in found.reason


def test_a_next_picture_without_a_size_is_damage():
    """Where Pillow has TypeError."""
    with pytest.raises(UnsupportedImage, match=r"a\.tif: damaged image"):
        reader.read(tagged({}, bytes(6), after=8), "a.tif")


@pytest.mark.parametrize("error", [TypeError, KeyError, IndexError, AttributeError, RuntimeError])
def test_whatever_readers_raise_is_damage(monkeypatch, error):
    def fails(self):
        raise error("a part is missing")

    data = writer.write(Picture(picture("smooth", 4, 5, 1), "PNG"))
    monkeypatch.setattr(Image.Image, "load", fails)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fails)
    found = reader.read(data, "a.png")
    assert isinstance(found, Unread)
    assert "a part is missing" in found.reason


@pytest.mark.parametrize("head", [b"P5\n03 002\n255\n", b"P5 # it\n3\t2 255\n", b"P5\n3 2\n0200\n"])
def test_headers_of_pnm_come_back_as_they_were(head):
    data = head + PIXELS
    found = trial.read(data, "a.pgm")
    assert isinstance(found, Picture)
    assert writer.write(found) == data


@pytest.mark.parametrize("head", [b"P6\n3 2\n255\n", b"P4\n3 2\n", b"P5\n3 2\n255\nmore"])
def test_a_header_of_another_kind_is_not_written(head):
    found = reader.read(b"P5\n3 2\n255\n" + PIXELS, "a.pgm")
    forged = Picture(found.pixels, "PPM", reader.Metadata(head=head))
    with pytest.raises(UnsupportedImage, match="another kind"):
        writer.write(forged)


def test_metadata_beyond_what_is_read_keep_the_file(monkeypatch):
    found = Picture(picture("smooth", 4, 5, 1), "PNG", reader.Metadata(png.chunk(b"idfZ", b"12")))
    data = writer.write(found)
    assert isinstance(trial.read(data, "a.png"), Picture)
    monkeypatch.setattr(reader, "MAX_METADATA", len(found.metadata.chunks) - 1)
    kept = trial.read(data, "a.png")
    assert isinstance(kept, Unread)
    assert "its metadata are over" in kept.reason


def test_what_cannot_be_written_keeps_the_file(monkeypatch):
    data = writer.write(Picture(picture("smooth", 4, 5, 1), "PNG"))

    def fails(picture):
        raise UnsupportedImage("no such file can be written")

    monkeypatch.setattr(writer, "write", fails)
    assert trial.read(data, "a.png") == Unread("PNG", "no such file can be written")


def test_what_comes_back_as_another_picture_keeps_the_file(monkeypatch):
    data = writer.write(Picture(picture("smooth", 4, 5, 1), "PNG"))
    white = writer.write(Picture(np.full((1, 1, 1), 255, np.uint8), "PNG"))
    monkeypatch.setattr(writer, "write", lambda picture: white)
    assert "would not be read as this one is" in trial.read(data, "a.png").reason


def test_samples_of_more_bits_than_are_told_keep_the_file(monkeypatch):
    data = writer.write(Picture(picture("half", 4, 5, 1) > 9, "PNG", depth=1))
    monkeypatch.setattr(reader, "png_pixels", lambda *one: np.full((4, 5), 7, np.uint8))
    assert "more than 1 bits" in reader.read(data, "a.png").reason


def test_samples_of_another_shape_keep_the_file(monkeypatch):
    """Also where they are as many."""
    data = writer.write(Picture(picture("smooth", 3, 5, 3), "PNG"))
    monkeypatch.setattr(reader, "png_pixels", lambda *one: np.zeros((3, 3, 5), np.uint8))
    assert "its pixels are read as (3, 3, 5)" in reader.read(data, "a.png").reason


def test_large_files_of_ones_own_are_unpacked(monkeypatch):
    """How large an image may be was asked before."""
    pixels = picture("smooth", 30, 40, 1)
    data = packing.as_png(pixels, GREY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(packing.unpack(data, "png", GREY, 30, 40), pixels)


def test_what_pillow_would_not_open_is_no_webp(monkeypatch):
    pixels = picture("smooth", 30, 40, 1)
    data = packing.webp(pixels, GREY, {})
    monkeypatch.setattr(packing, "_WEBP_PIXELS", 30 * 40 - 1)
    assert packing.webp(pixels, GREY, {}) is None
    assert 2 * Image.MAX_IMAGE_PIXELS > 1 << 27
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(FormatError, match="exceeds limit of 200 pixels"):
        packing.unpack(data, "webp", GREY, 30, 40)


def test_threads_leave_the_filters_of_warnings_alone(monkeypatch):
    before = list(warnings.filters)
    data = packing.webp(picture("smooth", 3, 4, 1), GREY, {})
    sound = io.BytesIO()
    Image.new("L", (3, 4)).save(sound, "TIFF")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            works = [pool.submit(packing.unpack, data, "webp", GREY, 3, 4) for _ in range(200)]
            works += [pool.submit(reader.read, sound.getvalue(), "a") for _ in range(200)]
            for work in works:
                work.result()
    finally:
        sys.setswitchinterval(interval)
    assert list(warnings.filters) == before


@pytest.mark.parametrize("samples", [3, 4])
@pytest.mark.parametrize("height", [2, 3, 4])
def test_planes_are_not_taken_for_rows(samples, height):
    """Where there are as many rows as channels, (C, H, W) is as large as (H, C, W)."""
    pytest.importorskip("imagecodecs")
    planes = np.random.default_rng(0).integers(0, 1 << 16, (samples, height, 5)).astype("<u2")
    body = planes.tobytes()
    count = 2 * height * 5
    tags = {
        tiff.WIDTH: (3, "H", 5),
        tiff.HEIGHT: (3, "H", height),
        tiff.BITS: (3, "H", *[16] * samples),
        tiff.PHOTOMETRIC: (3, "H", 2),
        tiff.SAMPLES: (3, "H", samples),
        tiff.PLANAR: (3, "H", 2),
        tiff.OFFSETS: (4, "I", *[8 + i * count for i in range(samples)]),
        tiff.COUNTS: (4, "I", *[count] * samples),
    }
    if samples == 4:
        tags[tiff.EXTRA] = (3, "H", 2)
    found = trial.read(tagged(tags, body), "a.tif")
    assert isinstance(found, Picture), found
    np.testing.assert_array_equal(found.pixels, np.moveaxis(planes, 0, 2))


def test_bytes_to_which_no_tag_points_keep_the_file():
    """Some programs' tags hold places, as numbers: what is there would be lost."""
    for data in (tagged({}, PIXELS, gap=b"calibration"), tagged({}, PIXELS) + b"x"):
        found = trial.read(data, "a.tif")
        assert found == Unread("TIFF", "it has bytes to which no tag points")


@pytest.mark.parametrize(
    ("tags", "body", "gap"),
    [
        ({}, PIXELS, bytes(64)),
        (
            {tiff.WIDTH: (3, "H", 1), tiff.HEIGHT: (3, "H", 3), tiff.COUNTS: (4, "I", 3)},
            b"abc",
            b"?",
        ),
        ({tiff.COUNTS: (4, "I", 0)}, PIXELS, b""),
        ({tiff.COUNTS: (4, "I", 4)}, PIXELS, b""),
        (
            {tiff.ROWS: (3, "H", 1), tiff.OFFSETS: (4, "I", 8, 11), tiff.COUNTS: (4, "I", 3, 3)},
            PIXELS,
            b"",
        ),
    ],
    ids=["room", "even places", "no count", "short count", "strips"],
)
def test_gaps_that_writers_leave_are_no_bytes(tags, body, gap):
    """Tifffile aligns pixels with zeros; libtiff skips a byte of whatever was in memory."""
    data = tagged(tags, body, gap=gap)
    for more in (b"", bytes(64)):
        assert not tiff.parse(data + more).is_more(data + more)


def test_a_file_as_tifffile_writes_it_is_coded():
    found = trial.read(tagged({}, PIXELS, gap=bytes(16)) + bytes(9), "a.tif")
    assert isinstance(found, Picture)
    assert found.pixels.tobytes() == PIXELS


@pytest.mark.parametrize("tag", [b"ABCD", b"EXIF"])
def test_chunks_of_webp_that_are_not_known_keep_the_file(tag):
    out = io.BytesIO()
    exif = Image.Exif()
    exif[270] = "it"
    Image.fromarray(picture("smooth", 4, 5, 3)).save(out, "WEBP", lossless=True, exif=exif)
    data = out.getvalue()
    assert isinstance(trial.read(data, "a.webp"), Picture)
    more = tag + struct.pack("<I", 4) + b"text"
    data = data[:4] + struct.pack("<I", len(data) - 8 + len(more)) + data[8:] + more
    assert f"it carries chunks '{tag.decode()}'" in trial.read(data, "a.webp").reason


def test_a_large_text_of_png_is_kept_like_any_other():
    """Pillow refuses to inflate it."""
    text = png.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3 << 20)))
    found = Picture(picture("smooth", 4, 5, 3), "PNG", reader.Metadata(chunks=text))
    data = writer.write(found)
    assert trial.read(data, "a.png").metadata == found.metadata
    assert writer.to_image(found).tobytes() == found.pixels.tobytes()
    later = Picture(found.pixels, "PNG", reader.Metadata(last_chunks=text))
    assert trial.read(writer.write(later), "a.png").metadata == later.metadata


def test_exif_of_webp_that_would_come_back_shorter_keeps_the_file():
    out = io.BytesIO()
    exif = Image.Exif()
    exif[270] = "it"
    Image.fromarray(picture("smooth", 4, 5, 3)).save(out, "WEBP", lossless=True, exif=exif)
    data = out.getvalue()
    at = data.index(b"EXIF") + 4
    (size,) = struct.unpack_from("<I", data, at)
    whole = b"Exif\0\0" + data[at + 4 : at + 4 + size]
    data = data[:at] + struct.pack("<I", len(whole)) + whole + bytes(len(whole) % 2)
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    found = trial.read(data, "a.webp")
    assert (
        isinstance(found, Unread)
        or found.metadata == reader.read(writer.write(found), "b").metadata
    )


@pytest.mark.filterwarnings("error")
def test_warnings_that_are_raised_are_no_tracebacks(monkeypatch):
    data = writer.write(Picture(picture("smooth", 30, 40, 1), "PNG"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert isinstance(reader.read(data, "a.png"), Unread)
