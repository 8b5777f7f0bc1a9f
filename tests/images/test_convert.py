from __future__ import annotations

import io

import numpy as np
import pytest
from conftest import picture
from PIL import Image
from test_reader import image_of, read, saved

from idfzip.errors import UnsupportedImage
from idfzip.images import convert, writer
from idfzip.images.picture import Picture

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
