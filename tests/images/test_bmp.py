"""Bitmaps come back byte for byte, whatever their headers tell."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from conftest import picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from idfzip.container.region import Region, cropped
from idfzip.errors import UnsupportedImage
from idfzip.images import bmp, convert, reader, trial, writer
from idfzip.images.picture import Metadata, Picture
from idfzip.images.reader import Unread

SRGB, MINE = 0x73524742, 0x4D424544


def made(height=5, width=7, more=b"", upwards=True, gap=b"", resolution=(0, 0), told=True):
    """Return a file whose header goes on with `more`; `gap` precedes the pixels."""
    pixels = picture("smooth", height, width, 3)
    lines = np.zeros((height, -(-3 * width // 4) * 4), np.uint8)
    lines[:, : 3 * width] = pixels[:, :, ::-1].reshape(height, -1)
    body = (lines[::-1] if upwards else lines).tobytes()
    start = 54 + len(more) + len(gap)
    size = len(body) if told else 0
    head = struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start)
    rows = height if upwards else -height
    head += struct.pack("<IiiHHII", 40 + len(more), width, rows, 1, 24, 0, size)
    head += struct.pack("<iiII", *resolution, 0, 0)
    return head + more + gap + body, pixels


def colours(kind, profile=0, gamma=0):
    """Return the rest of a header of form 5, which such a profile follows."""
    masks, calibrated = bytes(16), bytes(36) + struct.pack("<3I", gamma, 0, 0)
    rest = struct.pack("<IIII", 4, 124, profile, 0)
    return masks + struct.pack("<I", kind) + calibrated + rest


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
    st.binary(max_size=20),
    st.tuples(st.integers(-9, 99999), st.integers(-9, 99999)),
)
def test_files_come_back_byte_for_byte(height, width, upwards, told, gap, resolution):
    data, pixels = made(height, width, b"", upwards, gap, resolution, told)
    found = trial.read(data, "a.bmp")
    assert isinstance(found, Picture)
    np.testing.assert_array_equal(found.pixels, pixels)
    assert writer.write(found) == data


@pytest.mark.parametrize(
    ("more", "gap"),
    [(b"", b""), (colours(SRGB), b""), (colours(MINE, 9), b"a profile"), (bytes(68), b"")],
)
def test_later_headers_come_back_byte_for_byte(more, gap):
    data, pixels = made(more=more, gap=gap)
    found = trial.read(data, "a.bmp")
    assert writer.write(found) == data
    part = cropped(found, Region(1, 2, 3, 2))
    with Image.open(io.BytesIO(writer.write(part))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[2:4, 1:4])
    again = convert.converted(found, "PNG")
    assert bool(again.metadata.chunks) == bool(gap)


@pytest.mark.parametrize("upwards", [True, False])
def test_a_region_has_its_rows_in_the_same_order(upwards):
    data, pixels = made(upwards=upwards, told=False)
    part = writer.write(cropped(trial.read(data, "a.bmp"), Region(1, 2, 3, 2)))
    assert struct.unpack_from("<i", part, 22)[0] == (2 if upwards else -2)
    assert struct.unpack_from("<I", part, 34)[0] == 0
    with Image.open(io.BytesIO(part)) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[2:4, 1:4])


@pytest.mark.parametrize("more", [colours(0, gamma=1 << 15), colours(0x4C494E4B), colours(MINE)])
def test_colours_that_no_other_file_tells_so_are_not_converted(more):
    """Calibrated; by a profile elsewhere; by one that is not there."""
    found = trial.read(made(more=more)[0], "a.bmp")
    with pytest.raises(UnsupportedImage, match="only BMP holds colours"):
        convert.converted(found, "PNG")


def test_the_usual_header_takes_nothing():
    for resolution in ((0, 0), (2835, 2836)):
        found = reader.read(made(resolution=resolution)[0], "a.bmp")
        assert found.metadata.head == b""
    assert convert.converted(found, "PNG").metadata.chunks
    image = io.BytesIO()
    Image.fromarray(picture("smooth", 5, 7, 3)).save(image, "BMP", dpi=(72, 96))
    assert reader.read(image.getvalue(), "a.bmp").metadata.head == b""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data + b"more", "bytes follow its pixels"),
        (lambda data: data[:-4], "its pixels are cut"),
        (lambda data: data[:28] + b"\x20" + data[29:], "32 bits a pixel"),
        (lambda data: data[:10] + b"\x35" + data[11:], "its pixels are cut"),
    ],
)
def test_what_would_be_lost_keeps_the_file(change, reason):
    data = change(made()[0])
    assert reason in bmp.read(data)
    assert isinstance(trial.read(data, "a.bmp"), Unread)


USUAL = made()[0][:54]
FORGED = [b"BM", USUAL[:53], made(4, 7)[0][:54], made(5, 8)[0][:54], USUAL + b"x", b"P6 7 5 255\n"]


@pytest.mark.parametrize("head", FORGED)
def test_a_forged_header_is_not_written(head):
    with pytest.raises(UnsupportedImage, match="its metadata are damaged"):
        writer.write(Picture(picture("smooth", 5, 7, 3), "BMP", Metadata(head=head)))


@pytest.mark.parametrize("change", [lambda data: data[:-1] + b"x", lambda data: data[:-3]])
def test_what_fills_up_rows_becomes_zero(change):
    data, pixels = made()
    found = trial.read(change(data), "a.bmp")
    np.testing.assert_array_equal(found.pixels, pixels)
    assert writer.write(found) == data
