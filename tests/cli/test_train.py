from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import picture
from PIL import Image

from idfzip.cli.main import main

pytest.importorskip("torch", reason="training needs the extra idfzip[torch]")


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = tmp_path / "images"
    (images / "deep").mkdir(parents=True)
    for i in range(6):
        Image.fromarray(picture("smooth", 64, 96, 3, i)).save(images / "deep" / f"{i}.png")
    np.save(images / "array.npy", picture("smooth", 40, 40, 3, 9))
    (images / "notes.txt").write_text("no image")
    (images / "torn.npy").write_bytes(b"\x93NUMPY")
    Image.fromarray(picture("smooth", 40, 40, 3)).save(images / "photo.jpg")
    return images


def test_fine_tuning_makes_a_better_model_for_the_folder(folder):
    result = run("train", folder, "-o", "mine.idfm", "--steps", 250, "--json", "-T", 1)
    assert "7 images" in result.stderr
    assert "left out: 1 (JPEG files are kept as they are)" in result.stderr
    before = float(result.stderr.split("before: ")[1].split()[0])
    after = json.loads(result.stdout.splitlines()[-1])["validation"]["held out"]
    assert after < before - 0.02
    image = folder / "deep" / "0.png"
    run("compress", image, "-o", "a.idfz", "-m", "mine.idfm")
    run("compress", image, "-o", "b.idfz")
    sizes = [(folder.parent / name).stat().st_size for name in ("a.idfz", "b.idfz")]
    assert sizes[0] < sizes[1]
    assert "is not installed" in run("test", "a.idfz", code=1).stderr
    run("test", "a.idfz", "-m", "mine.idfm")


def test_a_model_from_scratch_for_grey_images(folder):
    grey = folder.parent / "grey"
    grey.mkdir()
    Image.fromarray(picture("smooth", 50, 50, 1)[..., 0]).save(grey / "a.png")
    run("train", grey, "-o", "g.idfm", "--from", "scratch", "--steps", 5, "--name", "mine", "-T", 1)
    run("compress", grey / "a.png", "-m", "g.idfm", "-o", "a.idfz")
    assert "mine" in run("info", "a.idfz").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("empty",), "no image to train on in empty"),
        (("absent",), "absent: not a folder"),
        (("text",), "no image to train on in text"),
        (("images", "--from", "nothing"), "model nothing: no such file or name"),
        (("images", "--from", "grey"), "model grey codes 1 channels, the images have 3"),
        (("images", "--val", "empty"), "no image to train on in empty"),
    ],
)
def test_bad_input_is_one_line(folder, arguments, message):
    (folder.parent / "empty").mkdir()
    (folder.parent / "text").mkdir()
    (folder.parent / "text" / "a.png").write_text("no image")
    result = run("train", *arguments, "-o", "x.idfm", "--steps", 2, "-q", code=1)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (folder.parent / "x.idfm").exists()


def test_usage(folder):
    run("train", folder, "-o", "x.idfm", "--steps", 2, "--minutes", 1, code=2)
    (folder.parent / "x.idfm").write_text("there")
    assert "-f overwrites" in run("train", folder, "-o", "x.idfm", "--steps", 2, code=1).stderr
