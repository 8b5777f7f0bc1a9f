from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_vqvae, picture
from PIL import Image

from idfzip.bench import lossy, painters, plot
from idfzip.bench.codecs import How
from idfzip.bench.painters import Painter
from idfzip.cli.main import main
from idfzip.container import model_file
from idfzip.errors import BenchError, ModelError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("images")
    for name, height, channels in (("a.png", 176, 3), ("b.png", 180, 1), ("small.png", 20, 3)):
        pixels = picture("smooth", height, 177, channels)
        Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(found / name)
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.idfm"
    path.write_bytes(model_file.dump(make_vqvae(3), "tiny"))
    return path


def few(painter, *qualities):
    return Painter(painter.name, painter.settings, qualities, painter.encode, painter.decode)


def classical(*names):
    found = [p for p in painters._of_pillow() if isinstance(p, Painter) and p.name in names]
    return [few(p, *p.qualities[2:9:3]) for p in found]


def test_curves(folder):
    result = lossy.run([folder], classical("jpeg", "webp", "jpeg2000"))
    assert [left.path.name for left in result.left] == ["small.png"]
    assert not result.failures
    table = lossy.rows(result)
    assert [row.codec for row in table] == ["jpeg"] * 3 + ["webp"] * 3 + ["jpeg2000"] * 3
    for name in ("jpeg", "webp", "jpeg2000"):
        mine = [row for row in table if row.codec == name]
        assert [r.bpp for r in mine] == sorted(r.bpp for r in mine)
        assert [r.psnr for r in mine] == sorted(r.psnr for r in mine)
        assert all(0 < r.ms_ssim < 1 and r.images == 2 for r in mine)
    assert all(r.ms_ssim_jpeg == pytest.approx(r.ms_ssim) for r in table if r.codec == "jpeg")
    texts = list(csv.reader(io.StringIO(lossy.to_csv(result))))
    assert tuple(texts[0]) == lossy.FIELDS
    assert len(texts) == 10
    assert all(len(line) <= 100 for line in lossy.to_text(result).splitlines())
    json.dumps(lossy.to_json(result, True))
    assert plot.draw_lossy(result, ".svg").startswith(b"<?xml")


def test_failures_are_shown_and_left_out(folder):
    def broken(pixels, quality):
        if quality == 2:
            raise ValueError("no such quality")
        return pixels.tobytes()

    def decode(data):
        return np.zeros((1, 1, 3), np.uint8)

    painter = Painter("broken", "none", (1.0, 2.0), broken, decode)
    result = lossy.run([folder / "a.png"], [painter, *classical("jpeg")])
    assert [row.codec for row in lossy.rows(result)] == ["jpeg"] * 3
    first, second = result.failures["broken"]
    assert "gave uint8 (1, 1, 3) for uint8 (176, 177, 3)" in first
    assert "ValueError: no such quality" in second


def test_the_command(folder, model, tmp_path):
    outputs = [tmp_path / name for name in ("a.json", "a.csv", "a.png")]
    options = [o for pair in zip(("--json", "--csv", "--plot"), outputs, strict=True) for o in pair]
    arguments = ["bench", "--lossy", folder / "a.png", "-m", model, "--codec", "idfzip:tiny"]
    done = CliRunner().invoke(main, [str(a) for a in [*arguments, "--codec", "jpeg", *options]])
    assert done.exit_code == 0, done.output
    assert "idfzip:tiny" in done.stdout
    points = json.loads(outputs[0].read_text())["points"]
    assert {point["codec"] for point in points} == {"idfzip:tiny", "jpeg"}
    assert outputs[2].read_bytes().startswith(b"\x89PNG")


def test_a_model_that_is_named_needs_no_other_mention(folder, model):
    arguments = ["bench", "--lossy", folder / "a.png", "-m", model, "--codec", "jpeg"]
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    assert "idfzip:tiny" in done.stdout
    assert "jpeg " in done.stdout


def test_what_cannot_be_compared(folder, models, tmp_path):
    with pytest.raises(BenchError, match="176 pixels"):
        lossy.run([folder / "small.png"], classical("jpeg"))
    with pytest.raises(BenchError, match="no codec is installed"):
        lossy.run([folder], [])
    with pytest.raises(BenchError, match="codec mp3 is not known"):
        painters.choose(classical("jpeg"), ["mp3"])
    path = tmp_path / "small.idfm"
    path.write_bytes(model_file.dump(models[3].codec, "small"))
    with pytest.raises(ModelError, match="is not lossy"):
        painters.listed([str(path)], How(1))


def test_between():
    curve = [(0.1, 0.9), (0.4, 0.99)]
    assert lossy.between(curve, 0.1) == pytest.approx(0.9)
    assert lossy.between(curve, 0.5) is None
    assert lossy.between([], 0.5) is None
