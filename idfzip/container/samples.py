"""Samples of tiles: their types, their checksums, and those of the numbers that are coded."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from idfzip.container import crc
from idfzip.flows.alphabet import Integers
from idfzip.flows.depth import Ladder
from idfzip.images.picture import Kind, Pixels


def sample_type(kind: Kind) -> type[np.uint8 | np.uint16]:
    """Return the type of the samples of a kind."""
    return np.uint16 if kind.depth == 16 else np.uint8


def samples(ladder: Ladder, numbers: Integers, dtype: type[np.uint8 | np.uint16]) -> Pixels:
    """Return the samples of numbers; those out of range, of damaged streams, are clamped."""
    inside = np.clip(numbers, 0, len(ladder) - 1).astype(np.uint16)
    return ladder.inverse(inside).astype(dtype)


def checksum(pixels: Pixels, index: int) -> int:
    """Return the CRC-32 of a tile's index and its pixels."""
    return zlib.crc32(_bytes(pixels), zlib.crc32(struct.pack("<I", index)))


def crc32(pixels: Pixels, threads: int = 1) -> int:
    """Return the CRC-32 of samples, those of 16 bits with the low byte first."""
    return crc.crc32(_bytes(pixels), threads)


def _bytes(pixels: Pixels) -> memoryview:
    order = pixels.dtype.newbyteorder("<")
    return np.ascontiguousarray(pixels, order).reshape(-1).view(np.uint8).data
