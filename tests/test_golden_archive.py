"""The golden archive decodes, with the package and with the reference decoder.

It has a block of colour images of several sizes, in which the network learns, a block of grey ones,
a stored file and a file of its own; one image has metadata. `test_golden.py` says more.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idfzip.codecs.flagship import Learning
from idfzip.coding import turns
from idfzip.container import archive, block, model_file
from idfzip.container import models as registry
from idfzip.container.archive import Archive, Writer
from idfzip.container.effort import Effort
from idfzip.container.idfz import Stored
from idfzip.container.index import Entry
from idfzip.images.picture import Metadata, Picture

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parent.parent
MODELS = [DATA / f"small-{kind}.idfm" for kind in ("rgb", "grey", "learning")]


def load(name):
    path = DATA / f"small-{name}.idfm"
    return model_file.load(path.read_bytes(), str(path))


def pictures(channels):
    """Crops of several sizes of the other golden pictures."""
    with Image.open(DATA / ("learning.png" if channels == 3 else "grey.png")) as image:
        pixels = np.asarray(image).reshape(image.height, image.width, channels)
    cuts = [pixels[y:, x : x + 9 + y] for y in (0, 3, 5) for x in (0, 7)]
    found = [Picture(np.ascontiguousarray(cut)) for cut in cuts]
    found[1] = Picture(found[1].pixels, "TIFF", Metadata(icc=b"a profile", dpi=(300.0, 72.0)))
    return found


def expected():
    """Names and what they hold, in the order of the file."""
    found = [(f"colour/{i}.png", picture) for i, picture in enumerate(pictures(3))]
    found += [(f"grey/{i}.png", picture) for i, picture in enumerate(pictures(1))]
    with Image.open(DATA / "dot.png") as image:
        dot = np.asarray(image)
    return [
        *found,
        ("a file", Stored(b"a file of any kind", "")),
        ("dot.png", Picture(dot.reshape(*dot.shape[:2], -1))),
    ]


def made():
    """The golden archive, anew."""
    writer = Writer(io.BytesIO(), io.BytesIO())
    for channels, name, lead in ((3, "learning", "colour"), (1, "grey", "grey")):
        model = load(name)
        images = [
            block.Image(Entry(f"{lead}/{i}.png", 1_000_000_000 + i, 0o640), picture, 1 << 20)
            for i, picture in enumerate(pictures(channels))
        ]
        row, body, _ = block.encode(images, model, writer.place(model))
        writer.add_block(row, body)
    for name, file in (("a file", "stored"), ("dot.png", "dot")):
        writer.add_file(Entry(name), (DATA / f"{file}.idfz").read_bytes())
    out = io.BytesIO()
    writer.finish(out)
    return out.getvalue()


@pytest.fixture
def shelf(monkeypatch):
    monkeypatch.setattr(block, "ROWS", 48)  # several runs in so few images
    monkeypatch.setattr(registry, "folders", lambda: [DATA])


def chained():
    """The golden archive of a chain, anew: the colour pictures by the bits-back codec."""
    writer = Writer(io.BytesIO(), io.BytesIO())
    model = load("bitswap")
    images = [
        block.Image(Entry(f"{i}.png"), picture, 1 << 20) for i, picture in enumerate(pictures(3))
    ]
    row, body, _ = block.encode(images, model, writer.place(model))
    writer.add_block(row, body)
    out = io.BytesIO()
    writer.finish(out)
    return out.getvalue()


def test_package_makes_and_decodes_the_chain(shelf):
    data = (DATA / "chain.idfz").read_bytes()
    assert chained() == data
    found = list(archive.decoded(Archive(io.BytesIO(data)), None, Effort()))
    for member, picture in zip(found, pictures(3), strict=True):
        np.testing.assert_array_equal(member.found.pixels, picture.pixels)
        assert member.found.metadata == picture.metadata


def test_reference_decoder_decodes_the_chain():
    script = ROOT / "scripts" / "reference_archive.py"
    model = DATA / "small-bitswap.idfm"
    arguments = [sys.executable, "-S", script, DATA / "chain.idfz", model]
    output = subprocess.run(arguments, capture_output=True, check=True).stdout
    whole = b""
    for picture in pictures(3):
        height, width, _ = picture.pixels.shape
        whole += b"P6\n%d %d\n255\n" % (width, height) + picture.pixels.tobytes()
    assert output == whole


def test_it_is_made_again_byte_for_byte(shelf):
    assert made() == (DATA / "archive.idfz").read_bytes()


def test_package_decodes_it(shelf):
    with (DATA / "archive.idfz").open("rb") as file:
        box = Archive(file)
        assert [row.rate for row in box.index.blocks] == [load("learning").codec.learning.rate, 0]
        assert load("learning").codec.learning == Learning(6000, 1, 2)
        found = list(archive.decoded(box, None, Effort(2)))
    assert [member.entry.name for member in found] == [name for name, _ in expected()]
    for member, (_, picture) in zip(found, expected(), strict=True):
        if isinstance(picture, Stored):
            assert member.found == picture
            continue
        np.testing.assert_array_equal(member.found.pixels, picture.pixels)
        assert member.found.metadata == picture.metadata
    assert found[3].entry == Entry("colour/3.png", 1_000_000_003, 0o640)


def test_reference_decoder_decodes_it():
    reference_decodes(DATA / "archive.idfz")


def test_blocks_of_several_states(shelf, monkeypatch, tmp_path):
    monkeypatch.setattr(turns, "SHARE", 40)
    data = made()
    assert len(data) > (DATA / "archive.idfz").stat().st_size
    path = tmp_path / "archive.idfz"
    path.write_bytes(data)
    reference_decodes(path)
    found = list(archive.decoded(Archive(io.BytesIO(data)), None, Effort(2)))
    for member, (_, picture) in zip(found, expected(), strict=True):
        assert isinstance(picture, Stored) or np.array_equal(member.found.pixels, picture.pixels)


def reference_decodes(path):
    script = ROOT / "scripts" / "reference_archive.py"
    arguments = [sys.executable, "-S", script, path, *MODELS]
    output = subprocess.run(arguments, capture_output=True, check=True).stdout
    whole = b""
    for _, picture in expected():
        if isinstance(picture, Stored):
            whole += picture.data
            continue
        height, width, channels = picture.pixels.shape
        whole += b"P%d\n%d %d\n255\n" % (5 if channels == 1 else 6, width, height)
        whole += picture.pixels.tobytes()
    assert output == whole
