"""A numcodecs codec, `idfzip`: chunks of images in arrays of Zarr format 2 and elsewhere.

It is registered by an entry point: `numcodecs.get_codec({"id": "idfzip"})` finds it. A chunk is
uint8 or uint16, (H, W) or (H, W, C) with C 1, 3 or 4, or either with more axes before. One image
becomes an `.idfz` file, several become an archive, whose small images share blocks.
"""

from __future__ import annotations

import io
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from numcodecs.abc import Codec
from numcodecs.compat import ensure_bytes, ndarray_copy

from idfzip import api
from idfzip.container import archive

Array = npt.NDArray[Any]


def encode(chunk: Array, model: str | None, threads: int) -> bytes:
    """Return the bytes of a chunk in C order.

    Raises UnsupportedImage for arrays that are no images (`idfzip.images.picture` decides).
    """
    channels = chunk.shape[-1] if chunk.ndim > 2 and chunk.shape[-1] in (1, 3, 4) else 0
    axes = 3 if channels else 2
    if chunk.ndim <= axes or 0 in chunk.shape:
        return api.compress(chunk, model=model, threads=threads)
    images = chunk.reshape(-1, *chunk.shape[-axes:])
    if len(images) == 1:
        return api.compress(images[0], model=model, threads=threads)
    named = {str(i): image for i, image in enumerate(images)}
    return api.pack(named, model=model, threads=threads)


def decode(data: bytes, model: str | None, threads: int) -> Array:
    """Return the chunk of such bytes; its images one after the other along the first axis."""
    if not archive.is_archive(io.BytesIO(data)):
        return api.decompress(data, model=model, threads=threads, as_array=True)
    found = api.unpack(data, model=model, threads=threads, as_array=True)
    return np.stack([found[str(i)] for i in range(len(found))])


def _check_order(chunk: Array) -> None:
    """Raise ValueError for values in another byte order, whose reader would swap them again."""
    if not chunk.dtype.isnative:
        raise ValueError(
            f"idfzip codes values in the machine's byte order; make the array with dtype "
            f"{chunk.dtype.newbyteorder('=').str!r} instead of {chunk.dtype.str!r}"
        )


class Idfzip(Codec):
    """The codec; `model` is a name or, for good, a hash, None the released ones.

    Decoding finds the model by what the bytes say. Zarr works on many chunks at once, so that one
    thread for each is enough.
    """

    codec_id: ClassVar[str] = "idfzip"

    def __init__(self, model: str | None = None, threads: int = 1) -> None:
        self.model = model
        self.threads = threads

    def encode(self, buf: Any) -> bytes:
        """Return the bytes of a chunk, an array in C order."""
        chunk = np.asarray(buf)
        if chunk.flags.f_contiguous and not chunk.flags.c_contiguous:
            raise ValueError("idfzip codes chunks in C order; make the array with order='C'")
        _check_order(chunk)
        return encode(chunk, self.model, self.threads)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the chunk's values, which are written to `out` as well if it is given."""
        if out is not None:
            _check_order(np.asarray(out))
        found = decode(ensure_bytes(buf), None, self.threads)
        return ndarray_copy(found, out) if out is not None else found
