"""The values that samples take: what is coded are their ranks.

Low bits that are never set are dropped, and where few of the values are used, the others: 12 bits
in 16, stretched contrast, unused entries of a palette, an alpha that is the same everywhere.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from idfzip.container.sections import Reader, number
from idfzip.errors import FormatError
from idfzip.images.picture import Pixels

Ranks = npt.NDArray[np.int32]

_TABLE = 0x10
"""Bit of the first byte: a table follows."""

_BLOCK = 1 << 20
"""Samples that are looked at at once."""

_SAMPLES_A_VALUE = 16
"""A table must have so many samples for each of its values, to be worth its room."""


@dataclass(frozen=True)
class Values:
    """`count` values: the rank, or the `table`'s entry at it, times 2**shift."""

    count: int
    shift: int = 0
    table: tuple[int, ...] | None = None

    @property
    def bits(self) -> int:
        """Bits of a rank."""
        return (self.count - 1).bit_length()

    @property
    def alphabet(self) -> int:
        """Size of the alphabet by which magnitudes are coded: a power of two, at least 256."""
        return max(256, 1 << self.bits)

    def ranks(self, samples: Pixels) -> Ranks:
        """Return the ranks, int32, of samples, which must be among the values."""
        found = (samples >> self.shift).astype(np.int32)
        if self.table is None:
            return found
        return np.searchsorted(np.array(self.table, np.int32), found).astype(np.int32)

    def samples(self, ranks: Ranks, dtype: type[np.unsignedinteger[Any]]) -> Pixels:
        """Return the samples of ranks; ranks out of range, of damaged streams, are clamped."""
        inside = np.clip(ranks, 0, self.count - 1)
        if self.table is not None:
            inside = np.array(self.table, np.int32)[inside]
        return (inside << self.shift).astype(dtype)


def of(samples: Pixels, depth: int, categories: bool) -> Values:
    """Return the values for samples of a depth, which are `categories` or magnitudes."""
    used = np.flatnonzero(_seen(samples, 1 << depth)).tolist()
    top = used[-1] + 1
    if len(used) == 1:
        return Values(1, 0, None if top == 1 else (used[0],))
    if categories:
        return Values(top) if top == len(used) else Values(len(used), 0, tuple(used))
    together = np.bitwise_or.reduce(used)
    shift = int(together & -together).bit_length() - 1
    span = (used[-1] >> shift) + 1
    sparse = 4 * len(used) <= 3 * (span - (used[0] >> shift))
    if sparse and len(used) * _SAMPLES_A_VALUE <= samples.size:
        return Values(len(used), shift, tuple(value >> shift for value in used))
    full = 1 << depth
    return Values(span, shift) if shift or (2 * span <= full and depth == 16) else Values(full)


def _seen(samples: Pixels, full: int) -> npt.NDArray[np.bool_]:
    """Return for each value whether it is among the samples, block by block to spare memory."""
    seen = np.zeros(full, bool)
    rows = max(1, _BLOCK // (samples[0].size))
    for top in range(0, len(samples), rows):
        seen |= np.bincount(samples[top : top + rows].ravel(), minlength=full) > 0
    return seen


def pack(values: Values) -> bytes:
    """Return the bytes of values in a header."""
    out = bytes([values.shift | (_TABLE if values.table else 0)]) + number(values.count)
    if values.table:
        gaps = np.diff(np.array(values.table), prepend=-1) - 1
        packed = zlib.compress(b"".join(map(number, gaps.tolist())), 9)
        out += number(len(packed)) + packed
    return out


def unpack(reader: Reader, depth: int) -> Values:
    """Return the values that a header has for samples of a depth; raises FormatError."""
    first, count = reader.byte(), reader.number()
    shift = first & 15
    full = 1 << depth
    if first > _TABLE | 15 or not 0 < count <= full or (count - 1) << shift >= full:
        raise FormatError(f"{count} values with a shift of {shift} in {depth} bits")
    if not first & _TABLE:
        return Values(count, shift)
    stream = zlib.decompressobj()
    try:
        gaps = Reader(stream.decompress(reader.bytes(reader.number()), 3 * count))
    except zlib.error as error:
        raise FormatError(f"table of values is damaged ({error})") from None
    listed = np.cumsum([gaps.number() + 1 for _ in range(count)]) - 1
    if gaps.left or not stream.eof or int(listed[-1]) << shift >= full:
        raise FormatError("table of values does not fit")
    return Values(count, shift, tuple(listed.tolist()))
