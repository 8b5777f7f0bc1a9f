"""A bits-back model from training to archives and comparisons, by the command line."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import picture
from PIL import Image

from idfzip.cli.main import main

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[train]")

RECIPE = """
architecture = "bitswap"
latents = [1, 2]
width = 16
depth = 1
mixture = 1
crop = 16
images = 4
rate = 5e-3
average = 0.9
"""


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small noisy images, which PNG does not shrink, and what a short training made of them."""
    top = tmp_path_factory.mktemp("bitswap")
    (top / "images").mkdir()
    for i in range(24):
        noise = np.random.default_rng(i).normal(0, 40, (32, 16 + 8 * (i % 3), 3))
        pixels = picture("smooth", *noise.shape, i) / 2 + 64 + noise
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(top / "images" / f"{i:02}.png")
    (top / "small.toml").write_text(RECIPE)
    arguments = ["-o", top / "mine.idfm", "--recipe", top / "small.toml", "-T", 1, "--json"]
    trained = run("train", top / "images", *arguments, "--steps", 60)
    (top / "log").write_text(trained.stdout)
    return top


def test_training_lowers_the_bound_and_tells_its_parts(folder):
    last = json.loads((folder / "log").read_text().splitlines()[-1])
    assert 0 < last["held_out"] < 8
    parts = last["facts"]
    assert set(parts) == {"pixels", "latents_1", "latents_2"}
    assert sum(parts.values()) == pytest.approx(last["held_out"], abs=1e-4)


def test_training_goes_on_where_it_stopped(folder, tmp_path):
    def weights(name, *steps):
        for i, count in enumerate(steps):
            more = ["--resume"] if i else []
            output = tmp_path / f"{name}.idfm"
            recipe = ["--recipe", folder / "small.toml", "-T", 1, "-q", "--name", "same"]
            run("train", folder / "images", "-o", output, *recipe, "--steps", count, *more)
        return (tmp_path / f"{name}.train" / "checkpoint.safetensors").read_bytes()

    import safetensors.numpy

    at_once, in_two = (
        safetensors.numpy.load(weights(*how)) for how in (("whole", 6, 6), ("again", 6))
    )
    for name, tensor in at_once.items():
        np.testing.assert_array_equal(tensor, in_two[name])


def test_archives_come_back(folder, tmp_path):
    archive, out = tmp_path / "set.idfz", tmp_path / "out"
    result = run("compress", "-m", folder / "mine.idfm", "-r", folder / "images", "-o", archive)
    found = re.search(r"24 files, (\d+) of them in 1 block,", result.stderr)
    assert found is not None
    assert int(found[1]) > 20  # training differs by processor, and with it what PNG does better
    run("decompress", archive, "-m", folder / "mine.idfm", "--output-dir", out)
    for source in (folder / "images").iterdir():
        with Image.open(source) as one, Image.open(out / source.name) as other:
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    one = tmp_path / "one.png"
    run("decompress", archive, "-m", folder / "mine.idfm", "--member", "07.png", "-o", one)
    with Image.open(one) as found, Image.open(folder / "images" / "07.png") as source:
        np.testing.assert_array_equal(np.asarray(found), np.asarray(source))
    damaged = bytearray(archive.read_bytes())
    damaged[-200] ^= 4
    (tmp_path / "bad.idfz").write_bytes(damaged)
    run("test", tmp_path / "bad.idfz", "-m", folder / "mine.idfm", code=1)


def test_bench_takes_it(folder, tmp_path):
    image = tmp_path / "image.png"
    Image.fromarray(picture("smooth", 96, 96, 3)).save(image)
    arguments = ["-m", folder / "mine.idfm", "--codec", "png", "--repeat", 1]
    result = run("bench", image, *arguments)
    assert "idfzip:mine" in result.stdout
    assert "wrong" not in result.output
