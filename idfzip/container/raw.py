"""Raw tiles: numbers as they are, in as many bits as their alphabet needs."""

from __future__ import annotations

import numpy as np

from idfzip.flows.alphabet import Integers
from idfzip.images.picture import Pixels


def width(alphabet: int) -> int:
    """Return the bits of a number."""
    return (alphabet - 1).bit_length()


def length(alphabet: int, count: int) -> int:
    """Return the bytes of so many numbers."""
    return -(-count * width(alphabet) // 8)


def pack(numbers: Pixels, alphabet: int) -> bytes:
    """Return numbers below the alphabet, 1 to 65536, one after the other, high bits first."""
    bits = width(alphabet)
    if bits in (0, 8):
        return numbers.astype(np.uint8).tobytes() if bits else b""
    flat = numbers.astype(">u2").reshape(-1, 1).view(np.uint8)
    return np.packbits(np.unpackbits(flat, axis=1)[:, 16 - bits :].ravel()).tobytes()


def unpack(data: bytes, alphabet: int, shape: tuple[int, int, int]) -> Integers | None:
    """Return the numbers, int32 (height, width, C), None for data that cannot be of `pack`."""
    bits, count = width(alphabet), shape[0] * shape[1] * shape[2]
    if len(data) != length(alphabet, count):
        return None
    if bits in (0, 8):
        numbers = np.frombuffer(data, np.uint8) if bits else np.zeros(count, np.uint8)
    else:
        flat = np.unpackbits(np.frombuffer(data, np.uint8))
        wide = np.zeros((count, 16), np.uint8)
        wide[:, 16 - bits :] = flat[: count * bits].reshape(count, bits)
        numbers = np.packbits(wide, axis=1).view(">u2")
        if flat[count * bits :].any():
            return None
    return None if numbers.max() >= alphabet else numbers.astype(np.int32).reshape(shape)
