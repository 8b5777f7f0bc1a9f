"""Metadata that a forged file brings along: an error, no traceback and no other picture."""

from __future__ import annotations

import pytest
from conftest import picture

from idfzip.container.region import Region, cropped
from idfzip.errors import UnsupportedImage
from idfzip.images import convert, damage, png, tiff, writer
from idfzip.images.picture import Layout, Metadata, Picture

GREY, COLOUR = picture("smooth", 5, 7, 1), picture("smooth", 5, 7, 3)
TEXT = png.chunk(b"tEXt", b"Title\0it")
FORGED = {
    "no TIFF": Picture(COLOUR, "TIFF", Metadata(tags=b"no tags")),
    "cut tags": Picture(COLOUR, "TIFF", Metadata(tags=tiff.of_tags("<", {})[:-5])),
    "cut chunk": Picture(COLOUR, "PNG", Metadata(chunks=TEXT[:-1])),
    "other pixels": Picture(COLOUR, "PNG", Metadata(chunks=png.chunk(b"IDAT", b"x"))),
    "another end": Picture(COLOUR, "PNG", Metadata(last_chunks=png.chunk(b"IEND", b""))),
    "other sizes": Picture(COLOUR, "PPM", Metadata(head=b"P6 5 7 255\n")),
    "no header": Picture(COLOUR, "PPM", Metadata(head=b"P6 5 x 255\n")),
}
CONVERTED = {
    "no palette": Picture(GREY, "PNG", Metadata(), Layout.PALETTE),
    "odd palette": Picture(GREY, "PNG", Metadata(png.chunk(b"PLTE", b"12")), Layout.PALETTE),
    "short resolution": Picture(COLOUR, "PNG", Metadata(chunks=png.chunk(b"pHYs", b"12"))),
    "profile": Picture(COLOUR, "PNG", Metadata(chunks=png.chunk(b"iCCP", b"name"))),
    "EXIF": Picture(COLOUR, "WEBP", Metadata(exif=b"none")),
}


@pytest.mark.parametrize("found", FORGED.values(), ids=FORGED)
def test_nothing_is_written(found):
    with pytest.raises(UnsupportedImage, match="its metadata are damaged"):
        writer.write(found)


@pytest.mark.parametrize("found", CONVERTED.values(), ids=CONVERTED)
def test_nothing_is_converted(found):
    with pytest.raises(UnsupportedImage, match="its metadata are damaged"):
        convert.converted(found, "TIFF")


def test_a_tiff_without_tags_becomes_others():
    assert convert.converted(Picture(COLOUR, "TIFF"), "PNG").metadata == Metadata()


def test_no_image_of_pillows():
    with pytest.raises(UnsupportedImage, match="its metadata are damaged"):
        writer.to_image(FORGED["cut chunk"])
    whole = Picture(COLOUR, "PPM", Metadata(head=b"P6 7 5\n255\n"))
    assert writer.to_image(whole).tobytes() == COLOUR.tobytes()


def test_no_region():
    with pytest.raises(UnsupportedImage, match="its metadata are damaged"):
        cropped(FORGED["no TIFF"], Region(0, 0, 1, 1))


def test_other_errors_stay():
    with pytest.raises(TypeError), damage.in_metadata():
        raise TypeError
