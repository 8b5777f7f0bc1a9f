"""The measurement runs at tiny sizes without a GPU."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from conftest import make_idf, make_vqvae

from idfzip.container import model_file

pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")


def test_other_codecs_are_measured(tmp_path):
    import cuda_speed

    for name, codec in (("flow", make_idf(3)), ("painter", make_vqvae(3))):
        (tmp_path / f"{name}.idfm").write_bytes(model_file.dump(codec, name))
    sizes = ["--photo", "6", "7", "--images", "2", "5", "--small", "3", "4"]
    names = [word for name in ("flow", "painter") for word in ("-m", tmp_path / f"{name}.idfm")]
    how = ["--device", "torch", "--share", "0.5", "--json", tmp_path / "x", *names, *sizes]
    found = CliRunner().invoke(cuda_speed.main, list(map(str, how)))
    assert found.exit_code == 0, found.output
    assert len(json.loads((tmp_path / "x").read_text())["rows"]) == 4


def test_speeds_stages_and_limits_are_measured(tmp_path):
    import cuda_speed

    sizes = ["--photo", "6", "7", "--images", "2", "5", "--small", "3", "4", "--profile", "2", "4"]
    how = ["--device", "torch", "-m", "photo-fast", "--share", "0.5", "--json", str(tmp_path / "x")]
    found = CliRunner().invoke(cuda_speed.main, [*how, *sizes])
    assert found.exit_code == 0, found.output
    assert found.stdout.splitlines()[2].startswith("| 1 of 6 x 7 | photo-fast |")
    got = json.loads((tmp_path / "x").read_text())
    assert len(got["rows"]) == 3
    assert all(
        row[where][key] > 0
        for row in got["rows"]
        for where in ("device", "processor")
        for key in ("encode", "decode")
    )
    assert sum(got["photo-fast"]["stages"].values()) == pytest.approx(1)
    assert min(got["photo-fast"]["stages"].values()) > 0
    assert min(got["limits"].values()) > 0
