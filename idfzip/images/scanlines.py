"""The pixels of a PNG as filtered, deflated rows (ISO/IEC 15948, sections 7 and 9).

Pillow writes neither 16-bit colour nor grey of 2 and 4 bits, so rows are made here, all kinds
alike. Reading is left to Pillow and, for 16-bit colour, imagecodecs.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from idfzip.images.picture import Kind, Layout, Pixels

Bytes = npt.NDArray[np.uint8]

_BLOCK = 1 << 22
"""Bytes that are filtered at once."""


def rows(pixels: Pixels, depth: int) -> Bytes:
    """Return the rows (height, bytes) of samples (height, width, C), packed from the left."""
    flat = pixels.reshape(len(pixels), -1)
    if depth == 16:
        return np.ascontiguousarray(flat.astype(">u2")).view(np.uint8)
    if depth == 8:
        return flat.astype(np.uint8, copy=False)
    bits = flat.astype(np.uint8)[:, :, None] >> np.arange(depth - 1, -1, -1, dtype=np.uint8) & 1
    return np.packbits(bits.reshape(len(pixels), -1), axis=1)


def deflated(pixels: Pixels, kind: Kind, level: int = 9, filtered: bool | None = None) -> bytes:
    """Return what IDAT chunks hold: rows filtered, unless the samples are indices or few bits.

    Each row takes the filter whose bytes, as signed numbers, have the least sum (section 12.7).
    `filtered` overrules whether there are filters.
    """
    if filtered is None:
        filtered = kind.layout != Layout.PALETTE and kind.depth >= 8
    data = rows(pixels, kind.depth)
    step = max(1, kind.layout.channels * kind.depth // 8)
    packer = zlib.compressobj(level)
    count = max(1, _BLOCK // data.shape[1])
    out = []
    for top in range(0, len(data), count):
        block = data[top : top + count]
        if filtered:
            above = data[top - 1] if top else np.zeros_like(data[0])
            block = _filtered(block, above, step)
        else:
            block = np.concatenate([np.zeros((len(block), 1), np.uint8), block], axis=1)
        out.append(packer.compress(block.tobytes()))
    return b"".join([*out, packer.flush()])


def _filtered(block: Bytes, above: Bytes, step: int) -> Bytes:
    """Return the rows, each with the number of its filter before it."""
    up = np.concatenate([above[None], block[:-1]])
    left, corner = np.zeros_like(block), np.zeros_like(block)
    left[:, step:], corner[:, step:] = block[:, :-step], up[:, :-step]
    mean = ((left.astype(np.uint16) + up) >> 1).astype(np.uint8)
    best = np.full(len(block), np.iinfo(np.int64).max)
    out = np.empty((len(block), block.shape[1] + 1), np.uint8)
    for number, guess in enumerate((None, left, up, mean, _paeth(left, up, corner))):
        rest = block if guess is None else block - guess
        size = np.minimum(rest, 0 - rest).sum(axis=1, dtype=np.int64)
        better = size < best
        best[better] = size[better]
        out[better, 0] = number
        out[better, 1:] = rest[better]
    return out


def _paeth(left: Bytes, up: Bytes, corner: Bytes) -> Bytes:
    a, b, c = (plane.astype(np.int16) for plane in (left, up, corner))
    to_left, to_up, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    other = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, other)
