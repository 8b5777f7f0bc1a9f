"""Raw tiles: ranks as they are, in as many bits as their number needs."""

from __future__ import annotations

import numpy as np

from idfzip.container.values import Ranks


def pack(ranks: Ranks, bits: int) -> bytes:
    """Return ranks of 0 to 16 bits one after the other, high bits first; ends in zero bits."""
    if bits in (0, 8):
        return ranks.astype(np.uint8).tobytes() if bits else b""
    flat = ranks.astype(">u2").reshape(-1, 1).view(np.uint8)
    return np.packbits(np.unpackbits(flat, axis=1)[:, 16 - bits :].ravel()).tobytes()


def unpack(data: bytes, bits: int, shape: tuple[int, int, int]) -> Ranks | None:
    """Return the ranks (height, width, C), None for data of another length."""
    count = shape[0] * shape[1] * shape[2]
    if len(data) != -(-count * bits // 8):
        return None
    if bits in (0, 8):
        whole = np.frombuffer(data, np.uint8) if bits else np.zeros(count, np.uint8)
        return whole.astype(np.int32).reshape(shape)
    flat = np.unpackbits(np.frombuffer(data, np.uint8), count=count * bits).reshape(count, bits)
    wide = np.zeros((count, 16), np.uint8)
    wide[:, 16 - bits :] = flat
    return np.packbits(wide, axis=1).view(">u2").astype(np.int32).reshape(shape)
