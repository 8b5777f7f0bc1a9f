"""Every kind is read as its file has it, and written again."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from conftest import picture
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from idfzip.errors import UnsupportedImage
from idfzip.images import png, reader, tiff, writer
from idfzip.images.picture import Kind, Layout, Metadata, Picture


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def read(data):
    found = reader.read(data, "test")
    assert isinstance(found, Picture), found
    return found


def same_again(found):
    """Write a picture, read it, and compare; return the file's bytes."""
    data = writer.write(found)
    again = read(data)
    np.testing.assert_array_equal(again.pixels, found.pixels)
    assert (again.kind, again.format, again.metadata) == (found.kind, found.format, found.metadata)
    return data


MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK")


def image_of(mode, height=23, width=37):
    rgb = Image.fromarray(picture("smooth", height, width, 3))
    if mode == "I;16":
        return Image.fromarray(picture("smooth", height, width, 1)[..., 0].astype(np.uint16) * 199)
    if mode in ("RGBA", "LA"):
        rgb.putalpha(Image.fromarray(picture("half", height, width, 1)[..., 0]))
    return rgb.convert(mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_modes(form, mode):
    if (form, mode) in (("PNG", "CMYK"), ("TIFF", "LA")):
        pytest.skip("the format has no such images, or Pillow alone does not read them exactly")
    image = image_of(mode)
    found = read(saved(image, form))
    assert found.kind.mode == mode
    data = same_again(found)
    with Image.open(io.BytesIO(data)) as again:
        assert again.mode == mode
        assert again.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()
        np.testing.assert_array_equal(np.asarray(again), np.asarray(image))
    back = writer.to_image(found)
    assert back.mode == mode
    np.testing.assert_array_equal(np.asarray(back), np.asarray(image))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 5), (64, 3)])
def test_kinds_of_png(layout, depth, size):
    kind = Kind(layout, depth)
    if not kind.known or layout == Layout.CMYK:
        assert png.kind(png.MAGIC + bytes(16) + bytes([depth, 5])) is None
        return
    if depth == 16:
        pytest.importorskip("imagecodecs")
    rng = np.random.default_rng(depth)
    shape = (*size, layout.channels)
    pixels = rng.integers(0, 1 << depth, shape).astype(np.uint16 if depth == 16 else np.uint8)
    palette = png.chunk(b"PLTE", bytes(3 << depth)) if layout == Layout.PALETTE else b""
    found = Picture(pixels, "PNG", Metadata(chunks=palette), layout, depth)
    same_again(found)


@pytest.mark.parametrize("layout", [Layout.GREY, Layout.GREY_ALPHA, Layout.RGB, Layout.RGBA])
def test_16_bit_tiff_has_all_its_bits(layout):
    imagecodecs = pytest.importorskip("imagecodecs")
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 1 << 16, (30, 41, layout.channels)).astype(np.uint16)
    found = Picture(pixels, "TIFF", Metadata(tags=needed(Kind(layout, 16))))
    if layout == Layout.GREY_ALPHA:  # which Pillow does not open
        assert "does not know" in reader.read(writer.write(found), "x").reason
        return
    data = same_again(found)
    array = imagecodecs.tiff_decode(data).reshape(pixels.shape)
    np.testing.assert_array_equal(array, pixels)


def needed(kind):
    return tiff.of_tags(">", tiff.needed(kind, ">"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_kept_and_not_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = image_of("RGB")
    for form in ("TIFF", "PNG", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {}
        found = read(saved(image, form, exif=exif, **options))
        np.testing.assert_array_equal(found.pixels, np.asarray(image))
        with Image.open(io.BytesIO(same_again(found))) as again:
            assert again.getexif()[0x0112] == orientation


@pytest.mark.parametrize("order", ["<", ">"])
def test_metadata_of_tiff(order):
    text, long, unknown = 2, tiff.LONG, tiff.UNDEFINED
    directory = tiff.needed(Kind(Layout.RGB, 8), order) | {
        270: tiff.Value(text, b"a description\0"),
        tiff.XMP: tiff.Value(tiff.BYTE, b"<xmp/>"),
        tiff.ICC: tiff.Value(unknown, b"profile"),
        tiff.EXIF: tiff.Value(long, b"", {0x9286: tiff.Value(unknown, b"comment")}),
        tiff.GPS: tiff.Value(long, b"", {1: tiff.Value(text, b"N\0")}),
    }
    metadata = Metadata(tags=tiff.of_tags(order, directory))
    data = same_again(Picture(picture("smooth", 9, 8, 3), "TIFF", metadata))
    with Image.open(io.BytesIO(data)) as again:
        assert again.info["icc_profile"] == b"profile"
        assert again.tag_v2[tiff.XMP] == b"<xmp/>"
        found = again.getexif()
        assert found[270] == "a description"
        assert found.get_ifd(tiff.EXIF)[0x9286] == b"comment"
        assert found.get_ifd(tiff.GPS)[1] == "N"


def test_a_transparent_colour_and_chunks_of_png():
    text = PngInfo()
    text.add_text("Title", "a title")
    text.add_itxt("XML:com.adobe.xmp", "<xmp/>")
    text.add(b"gAMA", (45455).to_bytes(4, "big"))
    image = image_of("P")
    options = {"transparency": bytes(range(40)), "pnginfo": text, "dpi": (72, 72)}
    source = saved(image, "PNG", **options)
    with Image.open(io.BytesIO(source)) as before:
        info = dict(before.info)
    with Image.open(io.BytesIO(same_again(read(source)))) as again:
        assert again.info == info


@pytest.mark.parametrize(
    "data",
    [
        b"P4 9 2\n\x12\x80\x34\x00",
        b"P5\n# a comment\n3 2\n100\n" + bytes(range(6)),
        b"P5 3 2 1000 " + bytes(range(12)),
        b"P6\n1 2\n255\n" + bytes(range(6)),
        b"P6\n1 2\n65535\n" + bytes(range(12)),
    ],
)
def test_portable_maps_come_back_byte_for_byte(data):
    assert same_again(read(data)) == data


@pytest.mark.parametrize("data", [b"P5 3 2 255 " + bytes(5), b"P6 1 1 255 " + bytes(4)])
def test_cut_and_long_portable_maps_are_kept(data):
    assert "cut, or bytes follow" in reader.read(data, "x").reason


def with_rows(rows, width=4, height=4):
    head = b"".join(n.to_bytes(4, "big") for n in (width, height)) + b"\x08\x00\x00\x00\x00"
    parts = (b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")
    return png.MAGIC + b"".join(png.chunk(tag, data) for tag, data in parts)


def test_damaged_rows_of_png_are_not_forgiven():
    good = zlib.compress(bytes(20))
    assert isinstance(reader.read(with_rows(good), "x"), Picture)
    wrong_checksum = good[:-1] + bytes([good[-1] ^ 1])
    for rows in (zlib.compress(bytes(21)), zlib.compress(bytes(19)), good + b"x", wrong_checksum):
        found = reader.read(with_rows(rows), "x")
        assert not isinstance(found, Picture), found
        assert "pixels" in found.reason
    twice = with_rows(good).replace(
        png.chunk(b"IEND", b""), png.chunk(b"tEXt", b"") + with_rows(good)[33:]
    )
    assert "not in one place" in reader.read(twice, "x").reason


@pytest.mark.parametrize("mode", ["F", "I"])
def test_32_bit_tiffs_are_kept(mode):
    assert "has no model" in reader.read(saved(Image.new(mode, (9, 9)), "TIFF"), "x").reason


def test_extreme_shapes_and_limits():
    long = Picture(np.arange(100_000, dtype=np.uint32).astype(np.uint8).reshape(1, -1, 1))
    for found in (long, Picture(np.ascontiguousarray(long.pixels.swapaxes(0, 1)))):
        same_again(found)
    assert "is over 99999 pixels" in reader.read(writer.write(long), "x", 99_999).reason


def test_what_is_no_image_is_refused():
    with pytest.raises(UnsupportedImage, match="x: not an image"):
        reader.read(b"text", "x")


def test_arrays_alone_hold_deep_colour():
    with pytest.raises(UnsupportedImage, match="as_array=True"):
        writer.to_image(Picture(np.zeros((2, 2, 3), np.uint16)))


@pytest.mark.parametrize("form", ["BMP", "WEBP", "TIFF"])
def test_bytes_after_the_end_are_kept(form):
    options = {"lossless": True} if form == "WEBP" else {}
    data = saved(image_of("RGB"), form, **options)
    read(data)
    assert isinstance(reader.read(data + bytes(2), "x"), Picture) == (form != "WEBP")
    for more in (b"x", bytes(36)):
        found = reader.read(data + more, "x")
        if form == "TIFF" and not any(more):  # writers leave room
            assert isinstance(found, Picture)
        else:
            assert ("no tag points" if form == "TIFF" else "bytes follow its") in found.reason


@pytest.mark.parametrize("dots", [0, 3000])
def test_the_resolution_of_a_bmp(dots):
    data = bytearray(saved(image_of("RGB"), "BMP"))
    data[38:46] = struct.pack("<II", dots, dots)
    assert writer.write(read(bytes(data))) == bytes(data)
