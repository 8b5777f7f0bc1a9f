"""Golden files decode, with the package and with the reference decoder.

Made once. While the format is at version 0 they may be made again; from version 1 on, never.
`photo.png` is cut from Kodak's image 23, released by Eastman Kodak for unrestricted use; the other
pictures come from `conftest.picture`.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idfzip.codecs import flagship
from idfzip.coding import turns
from idfzip.container import header, idfz, lossy, model_file, models, tiling
from idfzip.container.effort import Effort
from idfzip.images.picture import Layout

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parent.parent
NAMES = (
    "photo",
    "parrot",
    "grey",
    "dot",
    "saturated",
    "tiles",
    "learning",
    "turns",
    "rgba",
    "deep",
    "palette",
)
"""`saturated` and `palette` are raw tiles of few values, `dot` is coded with an alphabet of two,
`rgba` has two groups of planes and a list of values, `deep` is 12 bits in 16; `parrot`, from the
same Kodak image, needs systems solved in singles: in doubles some of its means are others; `turns`
is `learning` again, in a stream of eight states."""

MODELS = [DATA / f"small-{kind}.idfm" for kind in ("rgb", "grey", "learning")]


def expected(name):
    with Image.open(DATA / f"{'learning' if name == 'turns' else name}.png") as image:
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


@pytest.mark.parametrize("name", NAMES)
def test_package_decodes_them(name, monkeypatch):
    file = idfz.parse((DATA / f"{name}.idfz").read_bytes())
    monkeypatch.setattr(models, "folders", lambda: [DATA])
    found, _ = idfz.decompress(file, None, Effort(2))
    np.testing.assert_array_equal(found.pixels, expected(name))
    known = [models.by_name(model.name) for model in file.head.models]
    monkeypatch.setattr(models, "released", lambda content, level: known)
    monkeypatch.setattr(turns, "SHARE", 32 if name == "turns" else turns.SHARE)
    again = idfz.compress(found, None, Effort())
    assert name == "tiles" or again == (DATA / f"{name}.idfz").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_reference_decoder_decodes_them(name):
    script = ROOT / "scripts" / "reference_decoder.py"
    arguments = [sys.executable, "-S", script, DATA / f"{name}.idfz", *MODELS]
    output = subprocess.run(arguments, capture_output=True, check=True).stdout
    pixels = expected(name)
    body = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    assert output.endswith(body)
    assert len(output) - len(body) < 70


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


@pytest.mark.parametrize("name", ["sprite", "page"])
def test_those_of_categories(name):
    """`sprite` is of Dungeon Crawl Stone Soup (CC0), `page` of `scripts/render_pages.py`."""
    data = (DATA / f"{name}.idfz").read_bytes()
    file = idfz.parse(data)
    assert [tile.codec for tile in file.head.tiles] == [header.INDEXED]
    found, _ = idfz.decompress(file, None, Effort())
    np.testing.assert_array_equal(found.pixels, expected(name))
    assert idfz.compress(found, None, Effort()) == data
    script, model = ROOT / "scripts" / "reference_indexed.py", ROOT / "models" / "indexed.idfm"
    arguments = [sys.executable, "-S", script, DATA / f"{name}.idfz", model]
    output = subprocess.run(arguments, capture_output=True, check=True).stdout
    assert output.endswith(expected(name).astype(np.uint8).tobytes())


def test_a_packed_one():
    data = (DATA / "packed.idfz").read_bytes()
    found, _ = idfz.decompress(idfz.parse(data), None, Effort())
    np.testing.assert_array_equal(found.pixels, expected("palette"))
    assert (found.kind.layout, found.kind.depth) == (Layout.PALETTE, 4)
    script = ROOT / "scripts" / "reference_decoder.py"
    arguments = [sys.executable, "-S", script, DATA / "packed.idfz"]
    output = subprocess.run(arguments, capture_output=True, check=True).stdout
    with Image.open(io.BytesIO(output)) as image:
        np.testing.assert_array_equal(np.asarray(image) // 17, expected("palette")[..., 0])


def test_a_deep_tile():
    """A stream of 12 bits, and what the package and the reference decoder make of it."""
    import reference_decoder
    import reference_tile

    held = np.load(DATA / "deep.npz")
    planes, values = held["planes"], int(held["values"])
    height, width = planes.shape[1:]
    data = (DATA / "small-learning.idfm").read_bytes()
    model = model_file.load(data, "small").flagship
    (stream,) = flagship.encode(model, [planes], alphabet=values)
    assert stream == held["stream"].tobytes()
    (found,) = flagship.decode(model, [stream], [(height, width)], alphabet=values)
    np.testing.assert_array_equal(found, planes)
    plain = reference_tile.TileDecoder(
        reference_decoder.Model(data), height, width, stream, values
    ).decode()
    np.testing.assert_array_equal([plane.rows for plane in plain], planes)


@pytest.fixture(scope="module")
def progressive():
    """The file of `photo.png` by the progressive codec, in two tiles, of 4 and 2 states."""
    return DATA / "lattice.idfz", DATA / "small-lattice.idfm"


def test_package_decodes_the_progressive_one(progressive, monkeypatch):
    data, path = progressive[0].read_bytes(), progressive[1]
    model = model_file.load(path.read_bytes(), str(path))
    file = idfz.parse(data)
    assert [tile.codec for tile in file.head.tiles] == [header.LATTICE] * 2
    found, _ = idfz.decompress(file, model, Effort())
    np.testing.assert_array_equal(found.pixels, expected("photo"))
    monkeypatch.setattr(tiling, "TILE_COLUMNS", 24)
    monkeypatch.setattr(turns, "SHARE", 29)
    assert idfz.compress(found, model, Effort(), progressive=True) == data


def test_reference_decoder_decodes_the_progressive_one(progressive):
    script = ROOT / "scripts" / "reference_lattice.py"
    arguments = [sys.executable, "-S", script, *progressive]
    output = subprocess.run(arguments, capture_output=True, check=True).stdout
    assert output.endswith(expected("photo").tobytes())


@pytest.fixture(scope="module")
def lossy_file():
    """What a lossy model of random weights paints of `photo.png`."""
    return DATA / "lossy.idfz", DATA / "small-lossy.idfm"


def test_package_decodes_the_lossy_one(lossy_file):
    data, path = lossy_file[0].read_bytes(), lossy_file[1]
    model = model_file.load(path.read_bytes(), str(path))
    file = idfz.parse(data)
    assert [tile.codec for tile in file.head.tiles] == [header.VQVAE]
    found, _ = idfz.decompress(file, model, Effort())
    np.testing.assert_array_equal(found.pixels, expected("lossy"))
    source = idfz.decompress(
        idfz.parse((DATA / "idf.idfz").read_bytes()),
        models.open_file(DATA / "small-idf.idfm"),
        Effort(),
    )[0]
    again = lossy.compress(source, model, 80)
    assert again.data == data
    np.testing.assert_array_equal(again.picture.pixels, found.pixels)


def test_reference_decoder_decodes_the_lossy_one(lossy_file):
    script = ROOT / "scripts" / "reference_vq.py"
    arguments = [sys.executable, "-S", script, *lossy_file]
    output = subprocess.run(arguments, capture_output=True, check=True).stdout
    assert output.endswith(expected("lossy").tobytes())


@pytest.fixture(scope="module")
def lossy_first_file():
    """`photo.png` after a lossy picture of it, in two tiles, by models of random weights.

    Each tile has 4 states after its codes.
    """
    return DATA / "first.idfz", DATA / "small-first.idfm", DATA / "small-lossy.idfm"


def test_package_decodes_the_lossy_first_one(lossy_first_file, monkeypatch):
    data = lossy_first_file[0].read_bytes()
    rest, painter = map(models.open_file, lossy_first_file[1:])
    file = idfz.parse(data)
    assert [tile.codec for tile in file.head.tiles] == [header.LOSSY_FIRST] * 2
    monkeypatch.setattr(models, "folders", lambda: [DATA])
    found, _ = idfz.decompress(file, None, Effort())
    np.testing.assert_array_equal(found.pixels, expected("photo"))
    monkeypatch.setattr(lossy, "FIRST_TILE", (16, 32))
    monkeypatch.setattr(turns, "SHARE", 30)
    assert lossy.compress_first(found, painter, rest, 60) == data


def test_reference_decoder_decodes_the_lossy_first_one(lossy_first_file):
    script = ROOT / "scripts" / "reference_lossy_first.py"
    arguments = [sys.executable, "-S", script, *lossy_first_file]
    output = subprocess.run(arguments, capture_output=True, check=True).stdout
    assert output.endswith(expected("photo").tobytes())


@pytest.fixture(scope="module")
def bits_back():
    """The file of `learning.png`, two squares, by a bits-back model of random weights."""
    return DATA / "bitswap.idfz", DATA / "small-bitswap.idfm"


def test_package_decodes_the_one_of_bits_back(bits_back):
    data, path = bits_back[0].read_bytes(), bits_back[1]
    model = model_file.load(path.read_bytes(), str(path))
    file = idfz.parse(data)
    assert [tile.codec for tile in file.head.tiles] == [header.BITSWAP]
    found, _ = idfz.decompress(file, model, Effort())
    np.testing.assert_array_equal(found.pixels, expected("learning"))
    assert idfz.compress(found, model, Effort()) == data


def test_reference_decoder_decodes_the_one_of_bits_back(bits_back):
    script = ROOT / "scripts" / "reference_bitswap.py"
    arguments = [sys.executable, "-S", script, *bits_back]
    output = subprocess.run(arguments, capture_output=True, check=True).stdout
    assert output.endswith(expected("learning").tobytes())


def test_a_stored_file():
    file = idfz.parse((DATA / "stored.idfz").read_bytes())
    assert idfz.decompress(file, None, Effort())[0] == idfz.Stored(b"a file of any kind", "")


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("reference_decoder", 400),
        ("reference_tile", 400),
        ("reference_learning", 200),
        ("reference_idf", 400),
        ("reference_archive", 200),
        ("reference_indexed", 400),
        ("reference_lattice", 200),
        ("reference_vq", 400),
        ("reference_lossy_first", 100),
        ("reference_bitswap", 200),
    ],
)
def test_the_reference_decoders_stay_short_and_alone(name, lines):
    text = (ROOT / "scripts" / f"{name}.py").read_text()
    assert len(text.splitlines()) <= lines
    assert not any(word in text for word in ("import idfzip", "from idfzip", "numba", "numpy"))
