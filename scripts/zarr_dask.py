"""Compress a folder of images of one size into a Zarr array, the work spread by a Dask cluster.

Here the cluster is two processes on this machine; with a scheduler's address in place of
`LocalCluster` the same lines use others. Needs `pip install 'idfzip[zarr]' distributed`.
Usage: `python scripts/zarr_dask.py FOLDER OUT.zarr`
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import zarr
from dask import delayed
from dask.distributed import Client, LocalCluster
from PIL import Image

from idfzip.zarr import IdfzipCodec

CHUNK = 256
"""Images of a chunk: small ones share a block, in which the model learns from each to the next."""


def read(paths: list[Path]) -> npt.NDArray[np.uint8]:
    """Return images (N, H, W) or (N, H, W, 3)."""
    return np.stack([np.asarray(Image.open(path)) for path in paths])


def main(folder: Path, out: Path) -> None:
    """Write the array and print its size."""
    paths = sorted(folder.iterdir())
    shape = read(paths[:1]).shape[1:]
    parts = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]
    images: Any = da.concatenate(
        [da.from_delayed(delayed(read)(part), (len(part), *shape), np.uint8) for part in parts]
    )
    array: Any = zarr.create_array(
        out,
        shape=images.shape,
        chunks=(min(CHUNK, len(paths)), *shape),
        dtype="uint8",
        serializer=IdfzipCodec(),
        compressors=None,
    )
    two = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with two as cluster, Client(cluster):
        images.store(array, lock=False)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    print(f"{out}: {len(paths)} images, {images.nbytes} -> {size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
