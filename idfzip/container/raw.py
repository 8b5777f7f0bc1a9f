"""Raw tiles: numbers as they are, in as many bits as their alphabet needs."""

from __future__ import annotations

import numpy as np

from idfzip.flows.alphabet import Integers
from idfzip.images.picture import Pixels


def _bits(alphabet: int) -> int:
    return (alphabet - 1).bit_length()


def pack(numbers: Pixels, alphabet: int) -> bytes:
    """Return numbers below the alphabet, 1 to 65536, one after the other, high bits first."""
    bits = _bits(alphabet)
    if bits in (0, 8):
        return numbers.astype(np.uint8).tobytes() if bits else b""
    flat = numbers.astype(">u2").reshape(-1, 1).view(np.uint8)
    return np.packbits(np.unpackbits(flat, axis=1)[:, 16 - bits :].ravel()).tobytes()


def unpack(data: bytes, alphabet: int, shape: tuple[int, int, int]) -> Integers | None:
    """Return the numbers, int32 (height, width, C), None for data that cannot be of `pack`."""
    bits, count = _bits(alphabet), shape[0] * shape[1] * shape[2]
    if len(data) != -(-count * bits // 8):
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
