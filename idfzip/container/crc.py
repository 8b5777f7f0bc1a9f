"""CRC-32 of large data, in threads: those of its pieces are joined."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

_POLYNOMIAL = 0xEDB88320
"""Without its highest power; the coefficient of x ** i is bit 31 - i."""

_ONE, _BYTE = 1 << 31, 1 << 23
"""The polynomials 1 and x ** 8."""

PIECE = 1 << 20
"""Bytes that are worth a thread."""


def crc32(data: memoryview, threads: int = 1) -> int:
    """Return the CRC-32 of bytes."""
    threads = min(threads, len(data) // PIECE)
    if threads <= 1:
        return zlib.crc32(data)
    share = -(-len(data) // threads)
    pieces = [data[i : i + share] for i in range(0, len(data), share)]
    with ThreadPoolExecutor(threads) as pool:
        return joined(list(pool.map(zlib.crc32, pieces)), share, len(pieces[-1]))


def joined(found: Sequence[int], share: int, last: int) -> int:
    """Return the CRC-32 of pieces of `share` bytes from those of each, of which the `last` ends."""
    whole, shift, end = found[0], _power(share), _power(last)
    for i, one in enumerate(found[1:], 2):
        whole = _product(end if i == len(found) else shift, whole) ^ one
    return whole


def _power(count: int) -> int:
    """Return x ** (8 count)."""
    power, square = _ONE, _BYTE
    while count:
        if count & 1:
            power = _product(power, square)
        square = _product(square, square)
        count >>= 1
    return power


def _product(a: int, b: int) -> int:
    product = 0
    for i in range(31, -1, -1):
        if a >> i & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product
