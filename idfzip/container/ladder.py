"""A ladder of values (`flows.depth`) in bytes; `FORMAT.md`, section 1, is the specification."""

from __future__ import annotations

import zlib

import numpy as np

from idfzip.container.sections import Reader, number
from idfzip.errors import FormatError
from idfzip.flows import depth
from idfzip.flows.depth import Ladder


def pack(ladder: Ladder) -> bytes:
    """Return the bytes of a ladder, a handful where it is even."""
    out = number(int(ladder.values[0])) + number(len(ladder) - 1)
    if len(ladder) == 1:
        return out
    listed = b"" if ladder.is_even else depth.listing(ladder)
    return out + number(ladder.step) + number(len(listed)) + listed


def unpack(reader: Reader) -> Ladder:
    """Return the ladder that comes next; raises FormatError where it is none."""
    first, more = reader.number(), reader.number()
    step = reader.number() if more else 1
    length = reader.number() if more else 0
    if more >= depth.RANGE or not 0 < step < depth.RANGE:
        raise FormatError(f"{more + 1} values of samples, {step} apart: at most 65536 expected")
    gaps = _gaps(reader.bytes(length), more) if length else np.ones(more, np.int64)
    values = first + step * np.concatenate([np.zeros(1, np.int64), np.cumsum(gaps)])
    if values[-1] >= depth.RANGE:
        raise FormatError(f"samples of up to {values[-1]}: at most 65535 expected")
    return Ladder(values)


def _gaps(listed: bytes, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return so many gaps of a list; raises FormatError where it does not hold them."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(listed, 3 * count + 1)
    except zlib.error as error:
        raise FormatError(f"list of sample values is damaged: {error}") from None
    reader = Reader(data)
    gaps = np.array([reader.number() for _ in range(count)], np.int64)
    if reader.left or not inflater.eof or inflater.unused_data:
        raise FormatError(f"list of sample values does not hold {count} gaps")
    if gaps.min() < 1 or gaps.max() >= depth.RANGE:
        raise FormatError(f"gap of {gaps.min()} to {gaps.max()} between sample values")
    return gaps
