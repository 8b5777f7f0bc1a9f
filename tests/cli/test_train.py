from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from click.testing import CliRunner
from conftest import picture
from PIL import Image

from idfzip.cli.main import main
from idfzip.container import model_file

pytest.importorskip("torch", reason="training needs the extra idfzip[train]")


def recipe_folder():
    from idfzip.training import recipe_file

    return Path(recipe_file.FOLDER)


def weights(journal):
    """Return all weights of a checkpoint's network, in one vector."""
    found = safetensors.numpy.load_file(journal / "checkpoint.safetensors")
    return np.concatenate([found[k].ravel() for k in sorted(found) if k.startswith("network.")])


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
    after = json.loads(result.stdout.splitlines()[-1])["held_out"]
    assert after < before - 0.02
    image = folder / "deep" / "0.png"
    run("compress", image, "-o", "a.idfz", "-m", "mine.idfm")
    run("compress", image, "-o", "b.idfz")
    sizes = [(folder.parent / name).stat().st_size for name in ("a.idfz", "b.idfz")]
    assert sizes[0] < sizes[1]
    assert "is not installed" in run("test", "a.idfz", code=1).stderr
    run("test", "a.idfz", "-m", "mine.idfm")


def test_a_progressive_model_goes_on_by_its_own_recipe(folder):
    run("train", folder, "-o", "one.idfm", "--recipe", "progressive", "--steps", 2, "-T", 1)
    result = run("train", folder, "-o", "two.idfm", "--from", "one.idfm", "--steps", 2, "-T", 1)
    assert "before: " in result.stderr
    run("compress", "--progressive", "-m", "two.idfm", folder / "deep" / "0.png", "-o", "a.idfz")
    again = ("train", folder, "-o", "three.idfm", "--steps", 2, "--from", "one.idfm", "--recipe")
    assert "leave out --recipe" in run(*again, "progressive", code=1).stderr
    assert "of another architecture" in run(*again, "fast", code=1).stderr


def test_a_model_of_categories_is_not_gone_on_from(folder):
    told = run("train", folder, "-o", "one.idfm", "--from", "indexed", "--steps", 2, code=1).stderr
    assert "model indexed is of categories" in told


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
        (("absent",), "absent: no such folder"),
        (("text",), "no image to train on in text"),
        (("images", "--from", "nothing"), "model nothing: no such file or name"),
        (("images", "--from", "grey"), "model grey codes 1 channels, the images have 3"),
        (("images", "--val", "empty"), "no image to train on in empty"),
        (("images", "--recipe", "none"), "recipe none: no such file or name"),
        (("images", "--recipe", "bad.toml"), "recipe bad.toml: hiden is not a key"),
        (("images", "--recipe", "wide.toml"), "by learning, the limit is"),
        (("images", "--device", "cuda:7"), "device cuda:7: torch finds"),
        (("images", "--name", "a b"), "name 'a b': 1 to 64 letters, digits and -_. expected"),
        (("images", "--device", "tpu"), "device tpu: auto, cpu, cuda or cuda:N expected"),
    ],
)
def test_bad_input_is_one_line(folder, arguments, message):
    (folder.parent / "empty").mkdir()
    (folder.parent / "text").mkdir()
    (folder.parent / "text" / "a.png").write_text("no image")
    tiny = (recipe_folder() / "tiny.toml").read_text().replace("[8, 8]", "[600, 8]")
    (folder.parent / "wide.toml").write_text(tiny.replace("rows", "learning_rate = 9\nrows"))
    (folder.parent / "bad.toml").write_text('architecture = "flagship"\nhiden = 3\n')
    result = run("train", *arguments, "-o", "x.idfm", "--steps", 9**9, "-q", code=1)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (folder.parent / "x.idfm").exists()


def test_usage(folder):
    run("train", folder, "-o", "x.idfm", "--steps", 2, "--minutes", 1, code=2)
    (folder.parent / "x.idfm").write_text("there")
    assert "-f overwrites" in run("train", folder, "-o", "x.idfm", "--steps", 2, code=1).stderr


def test_a_model_of_ones_own_is_kept_installed_or_embedded(folder, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(folder.parent / "home"))
    image = folder.parent / "parrots.png"
    shutil.copy(Path(__file__).parent.parent / "data" / "parrots.png", image)
    run("train", folder, "-o", "mine.idfm", "--recipe", "tiny", "--steps", 3, "-T", 1)
    other = folder / "deep" / "1.png"
    plain = run("compress", image, other, "-m", "mine.idfm", "--no-verify")
    assert plain.stderr.count("keep its file") == 1
    assert "keep its file" not in run("compress", image, "-o", "r.idfz").stderr
    whole = run("compress", image, "-o", "e.idfz", "-m", "mine.idfm", "--embed-model")
    assert "keep its file" not in whole.stderr
    run("test", "e.idfz")
    assert "in the file" in run("info", "e.idfz").stdout
    assert "is not installed" in run("test", f"{image}.idfz", code=1).stderr
    assert "installed" in run("models", "add", "mine.idfm").stderr
    assert "installed already" in run("models", "add", "mine.idfm").stderr
    run("test", f"{image}.idfz")
    assert "mine" in run("models").stdout
    run("train", folder, "-o", "mine.idfm", "--recipe", "tiny", "--steps", 4, "-f", "-T", 1)
    assert "-f replaces it" in run("models", "add", "mine.idfm", code=1).stderr
    run("models", "add", "mine.idfm", "-f")
    assert "no such model file" in run("models", "add", "none.idfm", code=1).stderr


def test_a_model_is_named_after_its_file(folder):
    run("train", folder, "-o", "idf++ of mine.idfm", "--recipe", "tiny", "--steps", 1, "-T", 1)
    assert model_file.load(Path("idf++ of mine.idfm").read_bytes(), "").name == "idf---of-mine"


def test_a_mosaic_and_the_bipartite_recipe(folder):
    mosaic = folder.parent / "mosaic.png"
    Image.fromarray(picture("smooth", 64, 96, 3)).save(mosaic)
    (folder.parent / "small.toml").write_text(
        'architecture = "idf"\nlevels = 2\ncouplings = 1\ndepth = 1\ngrowth = 4\n'
        "crop = 16\nimages = 4\n"
    )
    options = ("--recipe", "small.toml", "--tile", 16, "--steps", 3, "-T", 1)
    result = run("train", mosaic, "-o", "flow.idfm", *options)
    assert "24 images" in result.stderr
    run("compress", mosaic, "-m", "flow.idfm", "-o", "m.idfz")
    run("test", "m.idfz", "-m", "flow.idfm")
    refined = run("train", mosaic, "-o", "b.idfm", *options, "--from", "flow.idfm")
    assert "before: " in refined.stderr
    other = run("train", mosaic, "-o", "c.idfm", *options, "--from", "photo", code=1)
    assert "of another architecture than the recipe" in other.stderr


def test_resuming(folder):
    options = ("--recipe", "tiny", "-T", 1, "--steps")
    assert (
        "no checkpoint"
        in run("train", folder, "-o", "a.idfm", *options, 3, "--resume", code=1).stderr
    )
    run("train", folder, "-o", "a.idfm", *options, 3)
    run("train", folder, "-o", "a.idfm", *options, 6, "--resume")
    lines = (folder.parent / "a.train" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [3, 6]
    (folder / "deep" / "5.png").unlink()
    other = run("train", folder, "-o", "a.idfm", *options, 9, "--resume", code=1)
    assert "made with other images" in other.stderr


def test_an_interrupt_writes_the_model_and_can_be_resumed(folder):
    command = [sys.executable, "-m", "idfzip", "train", str(folder), "-o", "a.idfm", "--json"]
    command += ["--recipe", "tiny", "--minutes", "9", "-T", "1"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    running.stdout.readline()  # the first measurement
    running.send_signal(signal.SIGINT)
    _, talk = running.communicate(timeout=100)
    assert running.returncode == 130, talk
    assert "stopped early" in talk
    run("compress", folder / "deep" / "0.png", "-m", "a.idfm", "-o", "a.idfz")
    run("train", folder, "-o", "a.idfm", "--recipe", "tiny", "--steps", 1, "--resume", "-T", 1)


def test_two_processes_do_what_one_does_with_twice_the_pixels(folder):
    tiny = (recipe_folder() / "tiny.toml").read_text()
    (folder.parent / "half.toml").write_text(tiny)
    (folder.parent / "whole.toml").write_text(tiny.replace("rows = 512", "rows = 1024"))
    tail = ["--steps", "12", "--name", "same", "-T", "1"]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", "29511", "-m", "idfzip", "train", str(folder)]
    command += ["-o", "two.idfm", "--recipe", "half.toml", "--device", "cpu", *tail]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("preparing samples") == 1
    run("train", folder, "-o", "one.idfm", "--recipe", "whole.toml", *tail)
    run("train", folder, "-o", "half.idfm", "--recipe", "half.toml", *tail)
    two, one, half = (weights(folder.parent / f"{name}.train") for name in ("two", "one", "half"))
    assert np.abs(two - one).mean() < 0.02 * np.abs(half - one).mean()


def test_without_a_checkpoint_nothing_is_prepared(folder):
    told = run("train", "images", "-o", "x.idfm", "--resume", code=1).stderr
    assert "no checkpoint to resume from" in told
    assert not (folder.parent / "x.train").exists()
