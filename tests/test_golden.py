"""Golden files decode, with the package and with the reference decoder.

Made once. While the format is at version 0 they may be made again; from version 1 on, never.
`photo.png` is cut from Kodak's image 23, released by Eastman Kodak for unrestricted use; the other
pictures come from `conftest.picture`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idfzip.container import header, idfz, model_file, tiling
from idfzip.container.tiling import Effort

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parent.parent
NAMES = ("photo", "grey", "dot", "saturated", "tiles", "learning")
MODELS = [DATA / f"small-{kind}.idfm" for kind in ("rgb", "grey", "learning")]


def expected(name):
    with Image.open(DATA / f"{name}.png") as image:
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


@pytest.mark.parametrize("name", NAMES)
def test_package_decodes_them(name):
    file = idfz.parse((DATA / f"{name}.idfz").read_bytes())
    path = DATA / f"{file.head.models[0].name}.idfm"
    model = model_file.load(path.read_bytes(), str(path))
    found, _ = idfz.decompress(file, model, Effort(2))
    np.testing.assert_array_equal(found.pixels, expected(name))
    again = idfz.compress(found, model, Effort())
    assert name == "tiles" or again == (DATA / f"{name}.idfz").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_reference_decoder_decodes_them(name):
    script = ROOT / "scripts" / "reference_decoder.py"
    arguments = [sys.executable, "-S", script, DATA / f"{name}.idfz", *MODELS]
    output = subprocess.run(arguments, capture_output=True, check=True).stdout
    pixels = expected(name)
    assert output.endswith(pixels.tobytes())
    assert len(output) - pixels.size < 20


@pytest.fixture(scope="module")
def bipartite():
    """The file of `photo.png` by the bipartite codec."""
    return DATA / "idf.idfz", DATA / "small-idf.idfm"


def test_package_decodes_the_bipartite_one(bipartite):
    data, path = bipartite[0].read_bytes(), bipartite[1]
    model = model_file.load(path.read_bytes(), str(path))
    file = idfz.parse(data)
    assert [tile.codec for tile in file.head.tiles] == [header.IDF]
    found, _ = idfz.decompress(file, model, Effort())
    np.testing.assert_array_equal(found.pixels, expected("photo"))
    assert idfz.compress(found, model, Effort()) == data


def test_reference_decoder_decodes_the_bipartite_one(bipartite):
    script = ROOT / "scripts" / "reference_idf.py"
    arguments = [sys.executable, "-S", script, *bipartite]
    output = subprocess.run(arguments, capture_output=True, check=True).stdout
    assert output.endswith(expected("photo").tobytes())


@pytest.fixture(scope="module")
def progressive():
    """The file of `photo.png` by the progressive codec, in two tiles."""
    return DATA / "lattice.idfz", DATA / "small-lattice.idfm"


def test_package_decodes_the_progressive_one(progressive, monkeypatch):
    data, path = progressive[0].read_bytes(), progressive[1]
    model = model_file.load(path.read_bytes(), str(path))
    file = idfz.parse(data)
    assert [tile.codec for tile in file.head.tiles] == [header.LATTICE] * 2
    found, _ = idfz.decompress(file, model, Effort())
    np.testing.assert_array_equal(found.pixels, expected("photo"))
    monkeypatch.setattr(tiling, "TILE_COLUMNS", 24)
    assert idfz.compress(found, model, Effort(), levels=True) == data


def test_reference_decoder_decodes_the_progressive_one(progressive):
    script = ROOT / "scripts" / "reference_lattice.py"
    arguments = [sys.executable, "-S", script, *progressive]
    output = subprocess.run(arguments, capture_output=True, check=True).stdout
    assert output.endswith(expected("photo").tobytes())


def test_a_stored_file():
    file = idfz.parse((DATA / "stored.idfz").read_bytes())
    assert idfz.decompress(file, None, Effort())[0] == idfz.Stored(b"a file of any kind", "")


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("reference_decoder", 400),
        ("reference_learning", 200),
        ("reference_idf", 400),
        ("reference_lattice", 200),
    ],
)
def test_the_reference_decoders_stay_short_and_alone(name, lines):
    text = (ROOT / "scripts" / f"{name}.py").read_text()
    assert len(text.splitlines()) <= lines
    assert not any(word in text for word in ("import idfzip", "from idfzip", "numba", "numpy"))
