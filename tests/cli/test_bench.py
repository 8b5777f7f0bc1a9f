from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import picture
from doubles import double, flip, images, shelf, stop
from PIL import Image

from idfzip.bench import codecs
from idfzip.cli.main import main

BASE = ("--codec", "png", "--codec", "idfzip")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of images, with small models in place of the released ones."""
    monkeypatch.setenv("IDFZIP_MODELS", str(shelf(tmp_path / "shelf")))
    monkeypatch.chdir(tmp_path)
    return images(tmp_path / "images")


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["bench", *map(str, arguments), "-T", "1"])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def with_double(monkeypatch, one):
    listed = codecs.listed
    monkeypatch.setattr(codecs, "listed", lambda *how: [*listed(*how), one])


def test_a_comparison_in_all_forms(folder):
    outputs = ("--json", "a.json", "--csv", "a.csv")
    found = run(folder, *BASE, "--repeat", 2, "--per-image", *outputs)
    rows = json.loads(Path("a.json").read_text())["codecs"]
    assert {row["codec"] for row in rows} == {"png", "idfzip"}
    assert all(row["images"] == 3 and row["bpd"] > 0 for row in rows)
    with open("a.csv") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["bpd"]) for line in lines] == [row["bpd"] for row in rows]
    assert all(f"{row['bpd']:.4f}" in found.stdout for row in rows)
    assert "bpd of each image" in found.stdout
    with_peak = [row for row in rows if row["peak_mb"] is not None]
    assert len(with_peak) == (2 if Path("/proc/self/clear_refs").exists() else 0)


def test_models_of_ones_own_are_compared_as_well(folder):
    found = run(folder, *BASE, "-m", "shelf/photo.idfm", "-m", "grey", "--repeat", 1)
    assert "idfzip:photo" in found.stdout
    assert "idfzip:grey does not hold images of kind RGB: not compared" in found.stdout


def test_a_codec_that_flips_a_pixel_is_an_error(folder, monkeypatch):
    with_double(monkeypatch, double("broken", decode=flip))
    found = run(folder, "--codec", "png", "--codec", "broken", "--repeat", 1, code=1)
    line = next(line for line in found.stdout.splitlines() if line.startswith("broken"))
    assert line.split() == ["broken", "error", "-", "-", "-", "-", "-", "-", "3", "3"]
    assert "FAILED broken: " in found.stdout


def test_an_unreadable_image_is_reported(folder):
    (folder / "torn.png").write_bytes((folder / "0.png").read_bytes()[:-20])
    found = run(folder, "--codec", "png", "--repeat", 1, code=1)
    assert "torn.png: it is cut" in found.stdout


def test_what_is_not_compared_is_no_failure(folder):
    (folder / "notes.txt").write_text("text")
    Image.fromarray(picture("smooth", 20, 20, 3)).save(folder / "photo.jpg")
    Image.new("I;16", (20, 20), 700).save(folder / "deep.png")
    found = run("images", *BASE, "--codec", "webp", "--repeat", 1)
    said = " ".join(found.stdout.split())
    assert "left out: 1 (JPEG may have lost something already), the first images/photo" in said
    assert "1 of kind grey 16-bit left out for all, not held by webp as used here" in found.stdout
    assert "notes.txt" not in found.output


def test_an_interrupt_prints_what_is_done(folder, monkeypatch):
    with_double(monkeypatch, double("stopping", encode=stop))
    arguments = ("--codec", "png", "--codec", "stopping", "--json", "a.json")
    found = run(folder, *arguments, code=130)
    assert "Interrupted: figures are of what was done so far." in found.stdout
    data = json.loads(Path("a.json").read_text())
    assert data["interrupted"]
    assert [row["images"] for row in data["codecs"]] == [2, 2]


def test_codecs_that_are_not_installed_are_listed(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    found = run(folder, "--repeat", 1)
    for name in ("jpegxl-9", "jpegxl-7", "jpegls", "avif", "qoi"):
        assert f"not installed: {name}: pip install 'idfzip[bench]'" in found.stdout
    run(folder, "--codec", "png", "--codec", "qoi", "--repeat", 1, code=1)
    assert "no codec is installed" in run(folder, "--codec", "qoi", code=1).stderr


def test_a_plot_is_drawn_of_a_suffix_that_is_checked_first(folder):
    pytest.importorskip("matplotlib", reason="it comes with the extra idfzip[bench]")
    run(folder, "--codec", "png", "--plot", "a.png", "--repeat", 1)
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    found = run(folder, "--codec", "png", "--plot", "a.docx", code=1)
    assert "a plot cannot be written as '.docx'" in found.stderr
    assert found.stdout == ""


def test_a_plot_without_matplotlib_says_how_to_get_it(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = run(folder, "--codec", "png", "--plot", "a.png", code=1)
    assert "pip install 'idfzip[bench]'" in found.stderr
    assert found.stdout == ""


def test_outputs_are_not_overwritten_unasked(folder):
    Path("a.csv").write_text("mine")
    assert "exists already" in run(folder, *BASE, "--csv", "a.csv", code=1).stderr
    assert Path("a.csv").read_text() == "mine"
    run(folder, "--codec", "png", "--csv", "a.csv", "-f", "--repeat", 1)
    assert Path("a.csv").read_text().startswith("codec,bpd,")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("absent",), 1, "absent: no such file or folder"),
        (("images", "--codec", "gif"), 1, "codec gif is not known: choose from idfzip"),
        (("images", "-m", "nothing"), 1, "model nothing: no such file or name"),
        (("images", "--tile", "100"), 1, "no image to compare on"),
        (("images", "--repeat", "0"), 2, "--repeat"),
        ((), 2, "Missing argument"),
    ],
)
def test_wrong_usage(folder, arguments, code, message):
    assert message in run(*arguments, code=code).stderr


def test_tiles_of_a_mosaic_are_images(folder):
    found = run(folder / "0.png", "--codec", "png", "--tile", 10, "--repeat", 1)
    line = next(line for line in found.stdout.splitlines() if line.startswith("png"))
    assert line.split()[-2:] == ["4", "0"]


@pytest.mark.parametrize("option", [("--tile", 8), ("--repeat", 3)])
def test_what_lossy_codecs_do_not_heed_is_refused(folder, option):
    told = run("--lossy", *option, folder, code=2).output
    assert f"{option[0]} does not go with --lossy" in told


def test_what_goes_to_a_pipe_is_alone_there(folder):
    result = run(*BASE, "--json", "-", "--repeat", 1, folder)
    assert json.loads(result.stdout)
    assert "bpd" in result.stderr
