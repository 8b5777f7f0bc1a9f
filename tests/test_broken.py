"""Damaged images: an error of one line or the same bytes, never other pixels.

`scripts/broken.py` does this for whole corpora.
"""

from __future__ import annotations

import io

import broken
import pytest
from conftest import picture
from PIL import Image


def saved(form, **options):
    out = io.BytesIO()
    Image.fromarray(picture("smooth", 20, 30, 3)).save(out, form, **options)
    return bytearray(out.getvalue())


def flipped(data, at):
    data[at] ^= 0x10
    return data


MADE = {
    "whole.png": lambda: saved("PNG"),
    "checksum.png": lambda: flipped(saved("PNG"), 60),
    "cut.png": lambda: saved("PNG")[:-30],
    "cut.tif": lambda: saved("TIFF", compression="tiff_lzw")[:-200],
    "tags.tif": lambda: flipped(saved("TIFF"), 4),
    "text.png": lambda: b"no image",
    "cut.webp": lambda: saved("WEBP", lossless=True)[:-100],
    "cut.bmp": lambda: saved("BMP")[:-100],
}


@pytest.fixture(scope="module", autouse=True)
def _kernels(tmp_path_factory):
    broken.warm(tmp_path_factory.mktemp("warm"))


@pytest.mark.parametrize("name", list(MADE))
def test_damage(tmp_path, name):
    (tmp_path / name).write_bytes(MADE[name]())
    place = tmp_path / "place"
    place.mkdir()
    result, wrong, _, megabytes = broken.judge(tmp_path / name, place)
    assert wrong == ""
    assert megabytes < broken.MEGABYTES
    assert (result == "the same pixels") == (name == "whole.png")


def test_what_this_process_holds_does_not_count(tmp_path):
    ballast = b"1" * (700 << 20)
    assert 10 < broken.run(tmp_path, "models")[3] < 600 < len(ballast) >> 20


def test_a_difference_is_told():
    one, other = bytes(saved("PNG")), b"no image"
    assert broken.difference(one, one) == ""
    Image.fromarray(picture("half", 20, 30, 3)).save(out := io.BytesIO(), "PNG")
    assert "other pixels" in broken.difference(one, out.getvalue())
    assert "not an image" in broken.difference(one, other)
