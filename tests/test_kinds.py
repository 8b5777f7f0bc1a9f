"""The script that makes the README's table of kinds."""

from __future__ import annotations

import json

import kinds
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import picture
from PIL import Image

from idfzip.images.picture import Layout, Metadata, Picture


def test_a_folder_of_kinds(tmp_path):
    pytest.importorskip("imagecodecs", reason="it comes with the extra idfzip[bench]")
    folder = tmp_path / "images"
    folder.mkdir()
    grey = Image.fromarray(picture("smooth", 20, 30, 1)[..., 0])
    grey.save(folder / "a.png")
    grey.save(folder / "b.png")
    grey.quantize(9).save(folder / "c.png")
    grey.save(folder / "d.jpg")
    (folder / "e.png").write_bytes(b"text")
    readme, results = tmp_path / "README.md", tmp_path / "kinds.json"
    readme.write_text("before\n<!-- kinds -->\nold\n<!-- end of kinds -->\nafter\n")
    done = CliRunner().invoke(
        kinds.main, [f"set={folder}", "--results", str(results), "--readme", str(readme)]
    )
    assert done.exit_code == 0, done.output
    assert "e.png: not an image" in done.output
    rows = json.loads(results.read_text())["set"]
    assert [(row["kind"], row["files"]) for row in rows] == [
        ("grey", 2),
        ("palette 4-bit", 1),
        ("JPEG: JPEG files are kept as they are", 1),
    ]
    assert rows[0]["idfzip"] < rows[0]["source"]
    assert rows[2]["source"] < rows[2]["idfzip"] < rows[2]["source"] + 40
    text = readme.read_text()
    assert "old" not in text
    cells = [str(rows[0][key]) for key in ("source", "idfzip", "png")]
    assert f"| {' | '.join(cells)} |  | {rows[0]['webp']} |" in text


def test_pixels_as_other_codecs_take_them():
    bits = Picture(np.eye(3, dtype=np.uint8)[..., None], layout=Layout.GREY, depth=1)
    assert kinds.colours(bits).pixels.max() == 255
    deep = np.full((2, 2, 1), 65535, np.uint16)
    np.testing.assert_array_equal(kinds.colours(Picture(deep)).pixels, deep)
    assert kinds.colours(Picture(np.zeros((2, 2, 4), np.uint8), layout=Layout.CMYK)) is None
    indices = Picture(np.zeros((2, 2, 1), np.uint8), "TIFF", Metadata(), Layout.PALETTE)
    assert kinds.colours(indices) is None


def test_bilevel_images_by_codecs_for_them():
    page = Picture(np.zeros((64, 64, 1), np.uint8), layout=Layout.GREY, depth=1)
    page.pixels[10:50, 20:40] = 1
    found = kinds.bilevel(page)
    assert 60 < found["png"] < 150
    assert 0 < found["ccitt-g4"] < 64 * 8
