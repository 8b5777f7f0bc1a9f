from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from conftest import make_flagship, picture
from PIL import Image

from idfzip.container import model_file
from idfzip.container import models as registry
from idfzip.errors import FormatError, ModelError, UnsupportedImage

numcodecs = pytest.importorskip("numcodecs", reason="needs the extra zarr")

from idfzip.numcodecs import Idfzip  # noqa: E402

ROOT = Path(__file__).parent.parent


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder with small models in place of the released ones."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for channels, name in ((3, "photo"), (1, "grey")):
        (shelf / f"{name}.idfm").write_bytes(model_file.dump(make_flagship(channels), name))
    monkeypatch.setattr(registry, "folders", lambda: [tmp_path / "none", shelf])
    return shelf


def images(*shape, channels=1):
    count = int(np.prod(shape[:-2]))
    made = [picture("smooth", *shape[-2:], channels, i) for i in range(count)]
    return np.stack(made).reshape(*shape, channels)


CHUNKS = {
    "HW": images(1, 12, 17)[0, ..., 0],
    "HW1": images(1, 12, 17)[0],
    "HWC": images(1, 12, 17, channels=3)[0],
    "NHW": images(5, 8, 9)[..., 0],
    "NHWC": images(5, 8, 9, channels=3),
    "1HWC": images(1, 8, 9, channels=3),
    "TZHWC": images(2, 3, 8, 9, channels=3),
    "HW3": images(1, 7, 5, channels=3)[0, ..., 0].reshape(5, 7),
    "NH3": np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3),
    "16 bits": images(3, 9, 10)[..., 0].astype(np.uint16) * 200,
    "large": images(2, 300, 40)[..., 0],
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_come_back(shelf, name):
    chunk = CHUNKS[name]
    codec = Idfzip()
    data = codec.encode(chunk)
    found = codec.decode(data)
    assert found.dtype == chunk.dtype
    np.testing.assert_array_equal(found.reshape(chunk.shape), chunk)
    out = np.zeros_like(chunk)
    codec.decode(memoryview(data), out)
    np.testing.assert_array_equal(out, chunk)
    assert Idfzip(threads=2).encode(chunk) == data


def test_many_small_images_share_their_container(shelf):
    chunk = images(64, 8, 8, channels=3)
    codec = Idfzip()
    alone = sum(len(codec.encode(image)) for image in chunk)
    assert len(codec.encode(chunk)) < alone - 64 * 30


def test_noise_is_not_made_larger_by_more_than_its_frame(shelf):
    for chunk in (picture("noise", 64, 64, 3), np.stack([picture("noise", 32, 32, 3)] * 4)):
        assert len(Idfzip().encode(chunk)) < chunk.nbytes + 60 * len(chunk)


def test_what_cannot_be_coded_is_said(shelf):
    codec = Idfzip()
    for dtype in (np.uint32, np.int8, np.float32):
        with pytest.raises(UnsupportedImage, match="uint8"):
            codec.encode(np.zeros((4, 8, 8), dtype))
    with pytest.raises(UnsupportedImage, match="no pixel"):
        codec.encode(np.zeros((0, 8), np.uint8))
    with pytest.raises(UnsupportedImage):
        codec.encode(np.zeros(8, np.uint8))
    with pytest.raises(ValueError, match="C order"):
        codec.encode(np.asfortranarray(CHUNKS["HWC"]))
    swapped = np.arange(48, dtype=np.uint16).reshape(6, 8).astype(">u2")
    with pytest.raises(ValueError, match="byte order; make the array with dtype '<u2'"):
        codec.encode(swapped)
    with pytest.raises(ValueError, match="byte order"):
        codec.decode(codec.encode(swapped.astype("<u2")), out=swapped)
    with pytest.raises(ModelError, match="codes grey"):
        Idfzip(model="grey").encode(CHUNKS["HWC"])
    data = bytearray(codec.encode(CHUNKS["NHWC"]))
    data[-30] ^= 1
    with pytest.raises(FormatError, match="damaged"):
        codec.decode(bytes(data))


def test_the_configuration_makes_the_same_codec(shelf):
    hash = registry.by_name("grey").identity[:16]
    codec = Idfzip(model=hash)
    numcodecs.registry.register_codec(Idfzip)
    again = numcodecs.get_codec(codec.get_config())
    assert again == codec
    assert codec.get_config() == {"id": "idfzip", "model": hash, "threads": 1}
    assert again.encode(CHUNKS["NHW"]) == Idfzip().encode(CHUNKS["NHW"])


def test_the_entry_points_of_the_project_register_the_codecs(tmp_path):
    with (ROOT / "pyproject.toml").open("rb") as file:
        points = tomllib.load(file)["project"]["entry-points"]
    made = tmp_path / "idfzip_points-0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: idfzip-points\nVersion: 0\n")
    groups = ("numcodecs.codecs", "zarr.codecs")
    lines = [f"[{group}]\nidfzip = {points[group]['idfzip']}" for group in groups]
    (made / "entry_points.txt").write_text("\n".join(lines))
    code = (
        "import numcodecs, zarr.registry\n"
        "print(type(numcodecs.get_codec({'id': 'idfzip'})).__module__)\n"
        "print(zarr.registry.get_codec_class('idfzip').__module__)\n"
    )
    pytest.importorskip("zarr")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout.split() == ["idfzip.numcodecs", "idfzip.zarr"]


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_arrays_of_images(shelf, tmp_path, version):
    zarr = pytest.importorskip("zarr")
    from idfzip.zarr import IdfzipCodec

    values = images(10, 9, 7, channels=3)
    if version == 2:
        how = {"compressors": Idfzip(model="photo"), "filters": None}
        numcodecs.registry.register_codec(Idfzip)
    else:
        how = {"serializer": IdfzipCodec(model="photo"), "compressors": None}
        zarr.registry.register_codec("idfzip", IdfzipCodec)
    array = zarr.create_array(
        tmp_path / "a.zarr",
        shape=values.shape,
        chunks=(4, 9, 7, 3),
        dtype="uint8",
        zarr_format=version,
        **how,
    )
    array[:] = values
    again = zarr.open_array(tmp_path / "a.zarr", mode="r")
    np.testing.assert_array_equal(again[:], values)
    np.testing.assert_array_equal(again[5, 2:4], values[5, 2:4])


def test_a_dask_cluster_compresses_a_zarr_array(tmp_path):
    zarr = pytest.importorskip("zarr")
    pytest.importorskip("distributed", reason="needs distributed")
    folder = tmp_path / "images"
    folder.mkdir()
    values = images(20, 10, 11, channels=3)
    for i, image in enumerate(values):
        Image.fromarray(image).save(folder / f"{i:02}.png")
    out = tmp_path / "out.zarr"
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "zarr_dask.py", folder, out],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert "20 images" in done.stdout
    from idfzip.zarr import IdfzipCodec

    zarr.registry.register_codec("idfzip", IdfzipCodec)
    np.testing.assert_array_equal(zarr.open_array(out, mode="r")[:], values)
