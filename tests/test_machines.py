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
from conftest import make_flagship, make_idf, make_lattice, make_vqvae, numbers, picture
from idfzip.codecs import flagship
from idfzip.codecs.flagship import Learning
from idfzip.container import idfz, lossy, model_file, models, tiling
from idfzip.container.effort import Effort
from idfzip.flows import colour
from idfzip.images.picture import Picture

codecs = {
    "flagship": lambda: make_flagship(3),
    "learning": lambda: make_flagship(3, learning=Learning(8000, 0)),
    "idf": lambda: make_idf(3),
    "lattice": lambda: make_lattice(3, learning=Learning(8000, 0)),
}
size, tile, threads, lockstep = map(int, sys.argv[3:])
if sys.argv[2].startswith("deep"):
    values = int(sys.argv[2][4:])
    kinds = "smooth", "noise", "half", "checkerboard"
    tiles = [colour.forward(numbers(kind, tile, size, 3, values)) for kind in kinds]
    model = codecs["learning" if values == 4096 else "flagship"]()
    streams = [
        stream
        for i in range(0, 4, lockstep)
        for stream in flagship.encode(model, tiles[i : i + lockstep], alphabet=values)
    ]
    back = flagship.decode(model, streams, [(tile, size)] * 4, alphabet=values)
    assert all(np.array_equal(a, b) for a, b in zip(back, tiles))
    print(hashlib.sha256(b"".join(streams)).hexdigest())
    sys.exit()
if sys.argv[2] == "lossy-first":
    lossy.FIRST_TILE = (tile, tile)
    made = make_vqvae(3), make_flagship(3, learning=Learning(8000, 0), looks=True)
    painter, rest = (
        model_file.load(model_file.dump(codec, f"small{i}"), "x") for i, codec in enumerate(made)
    )
    models.for_file = lambda name, _: painter if painter.short == name.hash else rest
    source = Picture(picture("smooth", size, size, 3))
    data = lossy.compress_first(source, painter, rest, 70, Effort(threads, lockstep))
    back, _ = idfz.decompress(idfz.parse(data), None, Effort(threads, lockstep))
    assert np.array_equal(back.pixels, source.pixels)
    print(hashlib.sha256(data).hexdigest())
    sys.exit()
if sys.argv[2] == "vqvae":
    lossy.TILE = (tile, tile)
    model = model_file.load(model_file.dump(make_vqvae(3), "small"), "x")
    source = Picture(picture("smooth", size, size, 3))
    found = lossy.compress(source, model, 70, Effort(threads, lockstep))
    back, _ = idfz.decompress(idfz.parse(found.data), model, Effort(threads, lockstep))
    assert np.array_equal(back.pixels, found.picture.pixels)
    print(hashlib.sha256(found.data + back.pixels.tobytes()).hexdigest())
    sys.exit()
tiling.TILE_ROWS = tiling.TILE_COLUMNS = tile
codec = codecs[sys.argv[2]]()
model = model_file.load(model_file.dump(codec, "small"), "x")
pixels = np.concatenate([picture("smooth", size, size, 3), picture("half", size, size, 3)], 1)
levels = sys.argv[2] == "lattice"
data = idfz.compress(Picture(pixels), model, Effort(threads, lockstep), progressive=levels)
back, _ = idfz.decompress(idfz.parse(data), model, Effort(threads, lockstep))
assert np.array_equal(back.pixels, pixels)
print(hashlib.sha256(data).hexdigest())
"""


def digest(codec, size=72, tile=24, threads=1, lockstep=1, **environment):
    numbers = map(str, (size, tile, threads, lockstep))
    arguments = [os.path.dirname(__file__), codec, *numbers]
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(
    scope="module",
    params=[
        *("flagship", "learning", "idf", "lattice", "vqvae", "lossy-first"),
        *("deep4096", "deep65536"),
    ],
)
def codec(request):
    return request.param


@pytest.fixture(scope="module")
def expected(codec):
    return digest(codec)


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
def test_threads_and_tiles(codec, expected, how):
    assert digest(codec, **how) == expected


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """A place for the kernels of each processor, which the codecs share."""
    return {name: str(tmp_path_factory.mktemp(name)) for name in ("generic", "haswell")}


@pytest.mark.parametrize("processor", ["generic", "haswell"])
def test_other_processors(codec, expected, processor, caches):
    """The flagship's kernels, whose sums are widest, are compiled for each; it takes a minute."""
    environment = {"NUMBA_CPU_NAME": processor, "NUMBA_CACHE_DIR": caches[processor]}
    if processor == "haswell":  # AVX2 and fused products, no AVX-512
        if codec not in ("flagship", "learning"):
            pytest.skip("other codecs' kernels are compiled for one other processor")
    elif codec == "deep65536":
        pytest.skip("kernels of deep samples are compiled for it with 4096 values")
        environment["NUMBA_CPU_FEATURES"] = "+avx,+avx2,+fma,+bmi,+bmi2,+sse4.2,+popcnt"
    assert digest(codec, **environment) == expected


def test_without_compilation(codec):
    small = {"size": 15, "tile": 15}
    assert digest(codec, NUMBA_DISABLE_JIT="1", **small) == digest(codec, **small)


def test_where_no_cache_can_be_written():
    """A package in a read-only place, and a home that cannot be written either."""
    assert digest("idf", NUMBA_CACHE_DIR="/proc/nowhere") == digest("idf")
