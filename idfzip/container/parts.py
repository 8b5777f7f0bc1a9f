"""The section `L` of a progressive file: streams in parts, the coarse parts of all tiles first.

A tile's stream is cut into as many parts as there are levels; the file holds the first part of
every tile, then the second part of every tile, and so on. So the beginning of the file shows the
whole image coarsely instead of the first tiles alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from idfzip.container.sections import Reader, Section, number
from idfzip.errors import FormatError

TAG = b"L"

Parts = Sequence[bytes]
"""A tile's stream in parts."""

Table = Sequence[Sequence[int]]
"""The length of each part of each tile."""


def pack(streams: Sequence[Parts]) -> tuple[Section, list[bytes]]:
    """Return the section, and the parts in the order of the file.

    A tile of fewer parts than others has its first ones empty.
    """
    count = max(map(len, streams))
    rows = [[b""] * (count - len(parts)) + list(parts) for parts in streams]
    table = b"".join(number(len(part)) for row in rows for part in row)
    ordered = [row[level] for level in range(count) for row in rows]
    return Section(TAG, number(count) + table), ordered


def unpack(section: Section, lengths: Sequence[int]) -> Table:
    """Return the lengths of each tile's parts, which add up to its `lengths`; or FormatError."""
    reader = Reader(section.data)
    count = reader.number()
    if not 0 < count * len(lengths) <= reader.left:
        raise FormatError(f"{count} parts of {len(lengths)} tiles do not fit their table")
    table = [[reader.number() for _ in range(count)] for _ in lengths]
    if reader.left or [sum(row) for row in table] != list(lengths):
        raise FormatError("the table of parts is not that of the tiles")
    return table


def gathered(streams: bytes, table: Table) -> list[bytes]:
    """Return the stream of each tile, as far as `streams`, in parts, goes."""
    found = [bytearray() for _ in table]
    at = 0
    for level in range(len(table[0])):
        for stream, row in zip(found, table, strict=True):
            stream += streams[at : at + row[level]]
            at += row[level]
    return [bytes(stream) for stream in found]


def through(table: Table, levels: int) -> int:
    """Return the number of bytes that the first `levels` levels take."""
    return sum(sum(row[:levels]) for row in table)
