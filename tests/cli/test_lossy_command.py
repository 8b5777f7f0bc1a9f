from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_vqvae, picture
from PIL import Image

from idfzip.cli.main import main
from idfzip.container import model_file


@pytest.fixture
def place(tmp_path):
    (tmp_path / "tiny.idfm").write_bytes(model_file.dump(make_vqvae(3), "tiny"))
    pixels = picture("noise", 60, 80, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_there_and_back(place):
    packed, model = place / "a.png.idfz", place / "tiny.idfm"
    done = run("compress", "--lossy", "--quality", 70, "-m", model, place / "a.png")
    assert done.exit_code == 0, done.stderr
    assert "lossy, quality 70" in done.stderr
    assert "bits per pixel" in done.stderr
    (row,) = json.loads(run("info", "--json", packed).stdout)
    assert row["kind"] == "lossy"
    assert row["bpp"] == pytest.approx(8 * packed.stat().st_size / 4800, abs=1e-4)
    assert "lossy PNG" in run("info", packed).stdout
    before = (place / "a.png").read_bytes()
    assert run("decompress", "-m", model, packed, "-o", place / "b.png").exit_code == 0
    assert (place / "a.png").read_bytes() == before
    with Image.open(place / "b.png") as image:
        assert image.size == (80, 60)


def test_qualities_and_previews(place):
    model, sizes = place / "tiny.idfm", []
    for quality in (1, 100):
        out = place / f"{quality}.idfz"
        options = "--lossy", "--progressive", "--quality", quality, "-m", model
        assert run("compress", *options, place / "a.png", "-o", out).exit_code == 0
        sizes.append(out.stat().st_size)
    assert sizes[0] < sizes[1]
    shown = place / "shown.png"
    done = run("preview", "--levels", 1, "-m", model, place / "100.idfz", "-o", shown)
    assert done.exit_code == 0, done.stderr


def test_a_smaller_source_is_kept(place):
    Image.fromarray(np.zeros((128, 128, 3), np.uint8)).save(place / "flat.png")
    options = "--lossy", "--quality", 100, "-m", place / "tiny.idfm"
    done = run("compress", *options, place / "flat.png")
    assert done.exit_code == 0
    assert "the file as it is is smaller" in done.stderr
    assert run("decompress", place / "flat.png.idfz", "-o", place / "back.png").exit_code == 0
    assert (place / "back.png").read_bytes() == (place / "flat.png").read_bytes()


def test_nothing_is_lost_unless_asked(place):
    done = run("compress", "-m", place / "tiny.idfm", place / "a.png")
    assert done.exit_code == 1
    assert "model tiny is lossy: it codes with --lossy only" in done.stderr
    assert not (place / "a.png.idfz").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--quality", "50"], "--quality needs --lossy or --lossy-first"),
        (["--lossy", "--quality", "0"], "Invalid value for '--quality'"),
        (["--lossy", "-r", "-o", "all.idfz"], "does not go with archives"),
    ],
)
def test_wrong_usage(place, options, message):
    done = run("compress", *options, place / "a.png")
    assert done.exit_code == 2
    assert message in done.stderr


def test_damage_is_caught(place):
    packed, model = place / "a.png.idfz", place / "tiny.idfm"
    assert run("compress", "--lossy", "-m", model, place / "a.png").exit_code == 0
    wrong = bytearray(packed.read_bytes())
    wrong[-5] ^= 16
    packed.write_bytes(wrong)
    done = run("decompress", "-m", model, packed, "-o", place / "b.png")
    assert done.exit_code == 1
    assert "damaged" in done.stderr
    assert not (place / "b.png").exists()


def test_sixteen_bits_are_refused(place):
    Image.fromarray(picture("noise", 20, 20, 1)[..., 0].astype(np.uint16)).save(place / "deep.png")
    done = run("compress", "--lossy", "-m", place / "tiny.idfm", place / "deep.png")
    assert done.exit_code == 1
    assert "only grey and RGB of 8 bits" in done.stderr


def test_samples(place):
    out = place / "samples.png"
    done = run("sample", "-m", place / "tiny.idfm", "-n", 2, "--size", "24x24", "-o", out)
    assert done.exit_code == 0, done.stderr
    assert out.exists()
