"""PngSuite (Willem van Schaik): every valid file comes back, no damaged one as other pixels.

A few of its files are in `tests/data/pngsuite`; the whole set is tested where `$IDFZIP_DATA`, or
`../shared/data` beside this checkout, has a folder `pngsuite`. Its licence lets anyone use, copy,
modify and distribute it for any purpose without fee.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from conftest import make_flagship
from PIL import Image

from idfzip.container import choice, idfz, model_file
from idfzip.container import models as registry
from idfzip.container.effort import Effort
from idfzip.container.groups import Content
from idfzip.errors import UnsupportedImage
from idfzip.images import png, reader, writer
from idfzip.images.picture import Picture

ROOT = Path(__file__).parent.parent
HERE = ROOT / "tests" / "data" / "pngsuite"
WHOLE = Path(os.environ.get("IDFZIP_DATA", ROOT.parent / "shared" / "data")) / "pngsuite"
VALID = 161
"""Files of the set whose names do not begin with x, the mark of damaged ones."""


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Small models in place of the released ones."""
    for channels in (1, 3):
        file = tmp_path / f"small{channels}.idfm"
        file.write_bytes(model_file.dump(make_flagship(channels), file.stem))
    known = {Content.GREY: ["small1"], Content.COLOUR: ["small3"], Content.INDEX: []}
    monkeypatch.setattr(registry, "folders", lambda: [tmp_path])
    monkeypatch.setattr(registry, "RELEASED", known)


def check(file, level):
    """Return what became of a file, having compared it."""
    data = file.read_bytes()
    try:
        found = reader.read(data, file.name)
    except UnsupportedImage:
        return "refused"
    if not isinstance(found, Picture):
        return "kept"
    packed = choice.smallest(found, None, None, Effort(), level).data
    back, _ = idfz.decompress(idfz.parse(packed), None, Effort())
    written = writer.write(back)
    np.testing.assert_array_equal(back.pixels, found.pixels)
    assert png.kind(written) == png.kind(data)
    assert png.other_chunks(written) == png.other_chunks(data)
    with Image.open(io.BytesIO(data)) as one, Image.open(io.BytesIO(written)) as two:
        one.load(), two.load()
        assert (one.mode, one.size) == (two.mode, two.size)
        assert one.getpalette() == two.getpalette()
        assert {k: v for k, v in one.info.items() if k != "interlace"} == {
            k: v for k, v in two.info.items() if k != "interlace"
        }
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))
    return "coded"


def outcomes(folder):
    files = sorted(folder.glob("*.png"))
    return {file.name: check(file, 1 + i % 9) for i, file in enumerate(files)}


def test_a_few_files():
    found = outcomes(HERE)
    assert len(found) >= 12
    for name, outcome in found.items():
        assert (outcome == "coded") != name.startswith("x"), name


def test_the_whole_set():
    if not WHOLE.is_dir():
        pytest.skip(f"no PngSuite in {WHOLE} ($IDFZIP_DATA names another place)")
    pytest.importorskip("imagecodecs", reason="16-bit colour is read by the extra idfzip[deep]")
    found = outcomes(WHOLE)
    damaged = {name for name in found if name.startswith("x")}
    valid = {name: o for name, o in found.items() if name not in {*damaged, "PngSuite.png"}}
    interlaced = {"basi2c16.png", "basi4a16.png", "basi6a16.png", "bgai4a16.png"}
    assert len(valid) == VALID
    assert {name for name, outcome in valid.items() if outcome != "coded"} == interlaced
    assert "coded" not in {found[name] for name in damaged}
