"""One file, every machine: other processors, no compilation, threads, tiles at a time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from conftest import make_flagship, picture
from idfzip.codecs.flagship import STATIC, Learning
from idfzip.container import idfz, model_file, tiling
from idfzip.container.tiling import Effort
from idfzip.images.picture import Picture

size, tile, threads, lockstep = map(int, sys.argv[2:])
tiling.TILE_ROWS = tiling.TILE_COLUMNS = tile
pixels = np.concatenate([picture("smooth", size, size, 3), picture("half", size, size, 3)], 1)
found = hashlib.sha256()
for learning in (STATIC, Learning(300, 2), Learning(700, 0)):
    flagship = make_flagship(3, learning=learning)
    model = model_file.load(model_file.dump(flagship, "small"), "x")
    data = idfz.compress(Picture(pixels), model, Effort(threads, lockstep))
    back, _ = idfz.decompress(idfz.parse(data), model, Effort(threads, lockstep))
    assert np.array_equal(back.pixels, pixels)
    found.update(data)
print(found.hexdigest())
"""


def digest(size=72, tile=24, threads=1, lockstep=1, **environment):
    arguments = [os.path.dirname(__file__), *map(str, (size, tile, threads, lockstep))]
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def expected():
    return digest()


@pytest.mark.parametrize(
    "how",
    [
        {"threads": 2},
        {"threads": 4, "lockstep": 7},
        {"lockstep": 2},
        {"lockstep": 7},
    ],
    ids=str,
)
def test_threads_and_tiles(expected, how):
    assert digest(**how) == expected


@pytest.mark.parametrize("processor", ["generic", "haswell"])
def test_other_processors(expected, processor, tmp_path):
    environment = {"NUMBA_CPU_NAME": processor, "NUMBA_CACHE_DIR": str(tmp_path)}
    if processor == "haswell":  # AVX2 and fused products, no AVX-512
        environment["NUMBA_CPU_FEATURES"] = "+avx,+avx2,+fma,+bmi,+bmi2,+sse4.2,+popcnt"
    assert digest(**environment) == expected


def test_without_compilation():
    small = {"size": 15, "tile": 15}
    assert digest(NUMBA_DISABLE_JIT="1", **small) == digest(**small)


def test_where_no_cache_can_be_written(expected, tmp_path):
    """A package in a read-only place, and a home that cannot be written either."""
    assert digest(NUMBA_CACHE_DIR="/proc/nowhere") == expected
