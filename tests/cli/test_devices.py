"""The option --device: the same files, or one clear line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_flagship, picture
from PIL import Image

import idfzip
from idfzip.cli.main import main
from idfzip.container import devices, model_file
from idfzip.errors import DeviceError

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture
def folder(tmp_path):
    """Return a folder of images and a model that learns."""
    how = idfzip.codecs.flagship.Learning(900, 1, 3)
    data = model_file.dump(make_flagship(3, learning=how), "small3")
    (tmp_path / "small3.idfm").write_bytes(data)
    images = tmp_path / "images"
    images.mkdir()
    for i, (content, size) in enumerate([("noise", (9, 8)), ("smooth", (12, 7)), ("dot", (1, 1))]):
        Image.fromarray(picture(content, *size, 3, i)).save(images / f"{i}.png")
    return tmp_path


def test_files_of_a_device_are_those_of_the_processor(folder):
    made = {}
    for device in ("cpu", "torch"):
        out = folder / device
        how = ("--device", device, "-m", folder / "small3.idfm", "-q")
        found = run("compress", "-r", folder / "images", "--output-dir", out, *how)
        assert found.exit_code == 0, found.output
        made[device] = {path.name: path.read_bytes() for path in out.iterdir()}
    assert made["cpu"] == made["torch"]
    assert len(made["cpu"]) == 3
    back = folder / "back"
    how = ("--device", "torch", "-m", folder / "small3.idfm")
    found = run("decompress", "-r", folder / "cpu", "--output-dir", back, *how)
    assert found.exit_code == 0, found.output
    for path in sorted((folder / "images").iterdir()):
        same = np.asarray(Image.open(path)) == np.asarray(Image.open(back / path.name))
        assert same.all()


def test_archives_of_a_device_are_those_of_the_processor(folder):
    made = []
    for device in ("cpu", "torch"):
        out = folder / f"{device}.idfz"
        how = ("--device", device, "-m", folder / "small3.idfm", "-q")
        found = run("compress", "-r", folder / "images", "-o", out, *how)
        assert found.exit_code == 0, found.output
        made.append(out.read_bytes())
    assert made[0] == made[1]
    found = run("test", folder / "cpu.idfz", "--device", "torch", "-m", folder / "small3.idfm")
    assert found.exit_code == 0, found.output
    assert "3 of 3 members" in found.output


def test_a_damaged_file_among_others_fails_alone(folder):
    how = ("--device", "torch", "-m", folder / "small3.idfm", "-q")
    assert (
        run("compress", "-r", folder / "images", "--output-dir", folder / "x", *how).exit_code == 0
    )
    target = folder / "x" / "0.png.idfz"
    data = bytearray(target.read_bytes())
    data[-9] ^= 4
    target.write_bytes(data)
    found = run("test", "-r", folder / "x", "--device", "torch", "-m", folder / "small3.idfm")
    assert found.exit_code == 1
    assert sorted(line.endswith(": ok") for line in found.output.splitlines()) == [
        False,
        True,
        True,
    ]


def test_a_model_of_another_codec_is_left_to_the_processor(folder):
    Image.new("P", (3, 2)).save(folder / "p.png")
    found = run("compress", folder / "p.png", "--device", "torch")
    assert found.exit_code == 0
    assert "model indexed is coded on the processor, not on cpu" in found.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:3"])
def test_a_gpu_that_is_not_there_is_one_line(folder, name):
    found = run("test", folder / "images", "--device", name)
    assert found.exit_code == 1
    assert found.output == f"idfzip: {name}: torch {torch.__version__} finds 0 GPUs here\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_auto_goes_on_where_torch_does_not_know_the_gpu(monkeypatch):
    lines = []
    assert devices.find("auto", 1, None, lines.append) is None
    assert lines == []
    monkeypatch.setattr(devices, "gpus", lambda: 1)
    assert devices.find("auto", 1, None, lines.append) is None
    assert len(lines) == 1


def test_torch_that_is_missing_is_one_line(monkeypatch):
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    assert devices.find("auto", 1, None, print) is None
    with pytest.raises(DeviceError, match="needs torch: pip install"):
        devices.find("cuda", 1, None, print)


def test_other_names_are_wrong_usage(folder):
    assert run("test", folder, "--device", "tpu").exit_code == 2
    with pytest.raises(DeviceError, match="'tpu'"):
        idfzip.compress(np.zeros((2, 2), np.uint8), device="tpu")


def test_devices_are_listed():
    found = run("info", "--devices", "--json")
    assert found.exit_code == 0
    rows = json.loads(found.stdout)
    assert rows[0]["device"] == "cpu"
    assert all(all(row["models"].values()) for row in rows)
    assert "photo" in run("info", "--devices").output
    assert run("info").exit_code == 2


def test_functions_take_a_device(folder):
    images = {f"{i}.png": picture("smooth", 6, 5 + i, 3, i) for i in range(3)}
    model = folder / "small3.idfm"
    data = idfzip.pack(images, model=model, threads=1)
    assert idfzip.pack(images, model=model, threads=1, device="torch") == data
    back = idfzip.unpack(data, model=model, device="torch", as_array=True)
    assert all(np.array_equal(back[name], images[name]) for name in images)
    one = idfzip.compress(images["0.png"], model=model, threads=1)
    assert idfzip.compress(images["0.png"], model=model, threads=1, device="torch") == one
    found = idfzip.decompress(one, model=model, device="torch", as_array=True)
    np.testing.assert_array_equal(found, images["0.png"])
