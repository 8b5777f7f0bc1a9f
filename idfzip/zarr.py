"""A codec for arrays of Zarr format 3, named `idfzip` and registered by an entry point.

It turns an array's chunks into bytes as `idfzip.numcodecs` does, so that no other compressor is
needed: `zarr.create_array(..., serializer=IdfzipCodec(), compressors=None)`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
from zarr.abc.codec import ArrayBytesCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, NDBuffer

from idfzip import numcodecs

NAME = "idfzip"


@dataclass(frozen=True)
class IdfzipCodec(ArrayBytesCodec):
    """The codec; options as of `idfzip.numcodecs.Idfzip`."""

    model: str | None = None
    threads: int = 1

    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> IdfzipCodec:
        """Return the codec of an array's metadata."""
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """Return what an array's metadata hold."""
        return {"name": NAME, "configuration": {"model": self.model, "threads": self.threads}}

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        chunk = np.ascontiguousarray(chunk_array.as_numpy_array())
        data = await asyncio.to_thread(numcodecs.encode, chunk, self.model, self.threads)
        return chunk_spec.prototype.buffer.from_bytes(data)

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        data = chunk_bytes.to_bytes()
        found = await asyncio.to_thread(numcodecs.decode, data, None, self.threads)
        chunk = found.reshape(chunk_spec.shape)
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(chunk)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Raise NotImplementedError: the size depends on the pixels."""
        raise NotImplementedError
