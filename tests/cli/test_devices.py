"""The option --device: the same files, or one clear line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_flagship, make_idf, make_vqvae, picture
from PIL import Image

import idfzip
from idfzip.cli.main import main
from idfzip.container import devices, lossy, model_file, tiling
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


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Return a folder with a model of each codec, and images of several tiles and of one."""
    made = {"small": make_flagship(3), "flow": make_idf(3), "painter": make_vqvae(3)}
    for name, codec in made.items():
        (tmp_path / f"{name}.idfm").write_bytes(model_file.dump(codec, name))
    monkeypatch.setattr(tiling, "TILE_ROWS", 12)
    monkeypatch.setattr(tiling, "TILE_COLUMNS", 18)
    monkeypatch.setattr(lossy, "TILE", (16, 24))
    monkeypatch.setattr(lossy, "FIRST_TILE", (16, 24))
    folder = tmp_path / "images"
    folder.mkdir()
    for i, size in enumerate([(23, 35), (11, 17), (1, 1)]):
        Image.fromarray(picture("smooth", *size, 3, i)).save(folder / f"{i}.bmp")
    return tmp_path


HOW = {
    "flow": ("-m", "flow.idfm"),
    "levels": ("-m", "flow.idfm", "--progressive"),
    "painted": ("-m", "painter.idfm", "--lossy", "--quality", "70"),
    "painted in levels": ("-m", "painter.idfm", "--lossy", "--progressive"),
    "first": ("-m", "painter.idfm", "--lossy-first"),
}


@pytest.mark.parametrize("how", HOW)
def test_all_codecs_of_a_device_write_the_files_of_the_processor(shelf, monkeypatch, how):
    monkeypatch.chdir(shelf)
    made = []
    for device in ("cpu", "torch"):
        out = shelf / device
        found = run(
            *("compress", "-r", "images", "--output-dir", out, "--device", device, *HOW[how])
        )
        assert found.exit_code == 0, found.output
        assert "0.bmp" in found.output
        assert not any("0.bmp" in line and "stored" in line for line in found.output.split("\n"))
        assert "is coded on the processor" not in found.output
        made.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert made[0] == made[1]
    assert len(made[0]) == 3
    model = HOW[how][:2]
    found = run("test", "-r", "cpu", "--device", "torch", "--max-batch", "300", *model)
    assert found.exit_code == 0, found.output


@pytest.mark.parametrize("how", ["flow", "levels", "painted in levels", "first", "small"])
def test_previews_of_a_device_are_those_of_the_processor(shelf, monkeypatch, how):
    monkeypatch.chdir(shelf)
    options = HOW.get(how, ("-m", "small.idfm"))
    found = run("compress", "images/0.bmp", "-o", "x.idfz", *options, "-q")
    assert found.exit_code == 0, found.output
    for more in (("--fraction", "0.97"), ("--fraction", "0.97", "--sample"), ()):
        made = []
        for device in ("cpu", "torch"):
            which = ("--device", device, "-o", f"{device}.png", "-f", *options[:2])
            found = run("preview", "x.idfz", *more, *which)
            assert found.exit_code == 0, found.output
            made.append((shelf / f"{device}.png").read_bytes())
        assert made[0] == made[1]


@pytest.mark.parametrize("name", ["flow", "small", "painter"])
def test_samples_of_a_device_are_those_of_the_processor(shelf, monkeypatch, name):
    monkeypatch.chdir(shelf)
    made = []
    for device in ("cpu", "torch"):
        how = ("-m", f"{name}.idfm", "-n", "3", "--size", "9x7", "--device", device)
        found = run("sample", *how, "-o", f"{device}.png")
        assert found.exit_code == 0, found.output
        made.append((shelf / f"{device}.png").read_bytes())
    assert made[0] == made[1]


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


def test_a_gpu_that_fails_while_it_is_listed_is_one_line(monkeypatch):
    from idfzip.device import check

    def fail(*args):
        raise RuntimeError("CUDA error: out of memory\nmore")

    monkeypatch.setattr(devices, "gpus", lambda: 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(check, "passes", fail)
    found = run("info", "--devices")
    assert found.exit_code == 1
    assert found.output == "idfzip: cuda:0: CUDA error: out of memory\n"


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
