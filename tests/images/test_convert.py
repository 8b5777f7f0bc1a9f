from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from conftest import picture
from PIL import Image
from test_reader import image_of, read, saved

from idfzip.errors import UnsupportedImage
from idfzip.images import convert, png, tiff, writer
from idfzip.images.picture import Kind, Layout, Metadata, Picture

EXIF = Image.Exif()
EXIF[271] = "a maker"
OPTIONS = {"icc_profile": b"profile", "dpi": (300, 300), "exif": EXIF.tobytes()}
HELD = {
    "PNG": {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"},
    "TIFF": {"1", "L", "P", "RGB", "RGBA", "I;16", "CMYK"},
    "PPM": {"1", "L", "RGB", "I;16"},
    "BMP": {"RGB"},
    "WEBP": {"RGB", "RGBA"},
}


@pytest.mark.parametrize("form", list(convert.SUFFIXES))
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_pixels_stay_or_it_is_refused(mode, form):
    image = image_of(mode)
    source = "TIFF" if mode == "CMYK" else "PNG"
    found = read(saved(image, source, **OPTIONS))
    if mode not in HELD[form]:
        with pytest.raises(UnsupportedImage, match=f"{form} does not hold"):
            convert.converted(found, form)
        return
    data = writer.write(convert.converted(found, form))
    with Image.open(io.BytesIO(data)) as again:
        assert again.format == form
        if form != "PPM":  # whose deep grey Pillow has as another mode
            assert again.mode in (mode, f"{mode}B")
        np.testing.assert_array_equal(np.asarray(again), np.asarray(image))
        assert again.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()
        if form not in ("PPM", "BMP"):
            assert again.info["icc_profile"] == b"profile"
            assert again.getexif()[271] == "a maker"
        if form in ("PNG", "TIFF"):
            assert again.info["dpi"] == pytest.approx((300, 300), rel=1e-3)
    back = convert.converted(read(data), source)
    np.testing.assert_array_equal(back.pixels, found.pixels)


def test_what_decides_how_pixels_look_is_not_left_behind():
    clear = read(saved(image_of("P"), "PNG", transparency=3))
    with pytest.raises(UnsupportedImage, match="transparent"):
        convert.converted(clear, "TIFF")
    dark = read(b"P5 3 2 1000 " + bytes(range(12)))
    with pytest.raises(UnsupportedImage, match="maximum"):
        convert.converted(dark, "PNG")


def test_deep_colour_goes_from_png_to_tiff_and_back():
    pixels = picture("smooth", 20, 30, 3).astype(np.uint16) * 100
    found = Picture(pixels)
    tiff = convert.converted(found, "TIFF")
    np.testing.assert_array_equal(convert.converted(tiff, "PNG").pixels, pixels)
    assert writer.write(tiff)[:2] == b"II"


def with_chunks(*chunks):
    made = b"".join(png.chunk(tag, data) for tag, data in chunks)
    return Picture(picture("smooth", 5, 7, 3), "PNG", Metadata(chunks=made))


GAMMA, SRGB_GAMMA = (struct.pack(">I", n) for n in (100000, 45455))


@pytest.mark.parametrize(
    ("chunks", "kept"),
    [
        ([(b"gAMA", SRGB_GAMMA)], True),
        ([(b"sRGB", b"\0"), (b"gAMA", GAMMA)], True),
        ([(b"gAMA", GAMMA), (b"iCCP", b"p\0\0" + zlib.compress(b"profile"))], True),
        ([(b"gAMA", struct.pack(">I", 45000))], True),
        (
            [
                (
                    b"cHRM",
                    struct.pack(
                        ">8I", 31269, 32899, 63999, 33001, 3 * 10**4, 6 * 10**4, 15000, 5999
                    ),
                )
            ],
            True,
        ),
        ([(b"gAMA", GAMMA)], False),
        ([(b"cHRM", bytes(32))], False),
        ([(b"cICP", bytes(4)), (b"sRGB", b"\0")], False),
    ],
)
@pytest.mark.parametrize("form", ["TIFF", "WEBP", "BMP"])
def test_colours_are_those_of_srgb_or_of_a_profile(chunks, kept, form):
    found = with_chunks(*chunks)
    if kept:
        convert.converted(found, form)
        return
    with pytest.raises(UnsupportedImage, match="only PNG holds the chunk"):
        convert.converted(found, form)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", [1, -1])
def test_xmp_is_found_among_texts(packed, order):
    text = b"<x:xmpmeta/>"
    head = b"XML:com.adobe.xmp\0" + bytes([packed, 0]) + b"\0\0"
    texts = [(b"iTXt", head + (zlib.compress(text) if packed else text))]
    texts.append((b"iTXt", b"Title\0\0\0\0\0it"))
    found = convert.converted(with_chunks(*texts[::order]), "WEBP")
    assert found.metadata.xmp == text


@pytest.mark.parametrize("extra", [(0,), (1,)])
def test_alpha_of_another_kind_is_not_taken_for_the_usual_one(extra):
    tags = tiff.needed(Kind(Layout.RGBA, 8), "<") | {
        tiff.EXTRA: tiff.numbers("<", tiff.SHORT, *extra)
    }
    found = Picture(picture("smooth", 5, 7, 4), "TIFF", Metadata(tags=tiff.of_tags("<", tags)))
    with pytest.raises(UnsupportedImage, match="only TIFF holds alpha"):
        convert.converted(found, "PNG")
