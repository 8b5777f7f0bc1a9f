from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_flagship, make_vqvae, picture
from PIL import Image

from idfzip.cli.main import main
from idfzip.container import model_file
from idfzip.container import models as registry


@pytest.fixture
def place(tmp_path, monkeypatch):
    models = tmp_path / "models"
    models.mkdir()
    looks = make_flagship(3, looks=True)
    for name, codec in (("lossy", make_vqvae(3)), ("photo-first", looks), ("other", looks)):
        (models / f"{name}.idfm").write_bytes(model_file.dump(codec, name))
    monkeypatch.setattr(registry, "folders", lambda: [tmp_path / "none", models])
    Image.fromarray(picture("noise", 20, 24, 3)).save(tmp_path / "a.bmp")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_there_and_back(place):
    packed, source = place / "a.bmp.idfz", place / "a.bmp"
    pixels = picture("smooth", 20, 24, 3)
    Image.fromarray(pixels).save(source)
    done = run("compress", "-v", "--lossy-first", "--quality", 30, source)
    assert done.exit_code == 0, done.stderr
    assert "first a lossy picture of quality 30" in done.stderr
    assert "photo-first" in done.stderr
    (row,) = json.loads(run("info", "--json", packed).stdout)
    assert (row["kind"], row["lossy_first"], row["levels"]) == ("lossless", True, 2)
    assert "a lossy picture first" in run("info", packed).stdout
    assert run("test", packed).exit_code == 0
    shown = place / "shown.png"
    done = run("preview", "--levels", 1, packed, "-o", shown)
    assert done.exit_code == 0, done.stderr
    with Image.open(shown) as image:
        assert image.size == (24, 20)
        assert not np.array_equal(np.asarray(image), pixels)
    done = run("decompress", packed, "--region", "3,4,10,9", "-o", place / "b.bmp")
    assert done.exit_code == 0, done.stderr
    with Image.open(place / "b.bmp") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[4:13, 3:13])


def test_a_model_that_is_named(place):
    for name in ("other", "lossy"):
        out = place / f"{name}.idfz"
        done = run("compress", "-v", "--lossy-first", "-m", name, place / "a.bmp", "-o", out)
        assert done.exit_code == 0, done.stderr
    assert run("compress", "-m", "other", place / "a.bmp").exit_code == 1


def test_a_smaller_source_is_kept(place):
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(place / "flat.png")
    done = run("compress", "--lossy-first", place / "flat.png")
    assert done.exit_code == 0
    assert "the file as it is is smaller" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--quality", "50"], "--quality needs --lossy or --lossy-first"),
        (["--lossy-first", "--lossy"], "--lossy-first does not go with"),
        (["--lossy-first", "--progressive"], "--lossy-first does not go with"),
        (["--lossy-first", "-r", "-o", "all.idfz"], "--lossy-first does not go with archives"),
    ],
)
def test_wrong_usage(place, options, message):
    done = run("compress", *options, place / "a.bmp")
    assert done.exit_code == 2
    assert message in done.stderr


def test_other_kinds_are_refused(place):
    Image.fromarray(np.zeros((20, 20), np.uint16)).save(place / "deep.png")
    done = run("compress", "--lossy-first", place / "deep.png")
    assert done.exit_code == 1
    assert "only grey and RGB of 8 bits" in done.stderr
