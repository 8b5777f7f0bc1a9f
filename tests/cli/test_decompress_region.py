from __future__ import annotations

import numpy as np
import pytest
from test_commands import folder, opened, run, save  # noqa: F401

from idfzip.container import tiling


def test_a_region(folder, monkeypatch):  # noqa: F811
    monkeypatch.setattr(tiling, "TILE_ROWS", 16)
    pixels = save(folder / "a.png", dpi=(72, 72))
    run("compress", "a.png")
    run("decompress", "a.png.idfz", "--region", "5,6,20,30", "-o", "part.png")
    with opened(folder / "part.png") as image:
        assert image.info["dpi"] == pytest.approx((72, 72), abs=0.1)
        np.testing.assert_array_equal(np.asarray(image), pixels[6:36, 5:25])
    run("decompress", "a.png.idfz", "--region", "5,6,20,30", "--format", "tiff", "-o", "part.tif")
    with opened(folder / "part.tif") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[6:36, 5:25])


@pytest.mark.parametrize("region", ["50,0,1,1", "0,0,51,40", "4000000000,0,1,1"])
def test_outside(folder, region):  # noqa: F811
    save(folder / "a.png")
    run("compress", "a.png")
    said = run("decompress", "a.png.idfz", "--region", region, "-o", "b.png", code=1).output
    line = f"region {region} (X,Y,W,H) is not inside the image of 50x40"
    assert said.strip() == f"idfzip: a.png.idfz: {line}"
    assert not (folder / "b.png").exists()


@pytest.mark.parametrize("region", ["1,2,3", "a,0,1,1", "-1,0,1,1", "1,1,0,1", "1.5,0,1,1"])
def test_no_region(folder, region):  # noqa: F811
    save(folder / "a.png")
    run("compress", "a.png")
    run("decompress", "a.png.idfz", "--region", region, code=2)


def test_of_a_member(folder):  # noqa: F811
    pixels = save(folder / "a.png")
    save(folder / "b.png", 1)
    run("compress", "a.png", "b.png", "-o", "set.idfz")
    run("decompress", "set.idfz", "--member", "a.png", "--region", "1,2,3,4", "-o", "c.png")
    with opened(folder / "c.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[2:6, 1:4])


def test_it_removes_nothing(folder):  # noqa: F811
    save(folder / "a.png")
    run("compress", "a.png")
    run("decompress", "a.png.idfz", "--region", "0,0,1,1", "--rm", "-f", code=2)
