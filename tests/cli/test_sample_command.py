from __future__ import annotations

import hashlib

import numpy as np
import pytest
from conftest import make_flagship, make_idf, make_lattice
from test_commands import pixels_of, run

from idfzip.container import model_file

DIGESTS = {
    "flagship": "b8574cc730a2bb04",
    "grey": "c506182fc7c5615a",
    "idf": "423d8849e14d5f82",
    "lattice": "d0241be25a06a51c",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = {
        "flagship": make_flagship(3),
        "grey": make_flagship(1, seed=3),
        "idf": make_idf(3),
        "lattice": make_lattice(3),
    }
    for name, codec in made.items():
        (tmp_path / f"{name}.idfm").write_bytes(model_file.dump(codec, name))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", DIGESTS)
def test_the_same_seed_gives_the_same_picture_everywhere(folder, name):
    options = ["-m", f"{name}.idfm", "-n", 3, "--size", "9x13"]
    run("sample", *options, "-o", "a.png")
    found = pixels_of("a.png")
    assert found.shape[:2] == (20, 28)
    assert (found[9:11] == 255).all()
    assert (found[11:, 15:] == 255).all()  # three of four
    assert hashlib.sha256(found.tobytes()).hexdigest()[:16] == DIGESTS[name]
    run("sample", *options, "--seed", 1, "-o", "b.png")
    assert not np.array_equal(found, pixels_of("b.png"))
    run("sample", *options, "-n", 1, "-o", "c.png")
    assert np.array_equal(found[:9, :13], pixels_of("c.png"))


def test_wrong_use(folder):
    run("sample", "-m", "grey.idfm", "--size", "9", code=2)
    run("sample", "-m", "grey.idfm", "--size", "0x9", code=2)
    run("sample", "-m", "grey.idfm", "-n", 0, code=2)
    run("sample", "-m", "none.idfm", code=1)
    (folder / "samples.png").write_bytes(b"")
    told = run("sample", "-m", "grey.idfm", code=1).output
    assert "exists already" in told
