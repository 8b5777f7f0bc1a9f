"""The chunks of a PNG, as they are in the file (ISO/IEC 15948)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from idfzip.images.picture import Metadata

MAGIC = b"\x89PNG\r\n\x1a\n"
_FRAME = 12
"""Bytes of a chunk beside its data: length, tag, checksum."""

_PIXELS = (b"IHDR", b"IDAT", b"IEND")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each whole chunk's tag and all its bytes."""
    at = len(MAGIC)
    while at + _FRAME <= len(data):
        length, tag = struct.unpack_from(">I4s", data, at)
        end = at + _FRAME + length
        if end > len(data):
            return
        yield tag, data[at:end]
        at = end


def damage(data: bytes) -> str:
    """Return what is wrong with a PNG's chunks, or an empty string."""
    at = len(MAGIC)
    for tag, chunk in _chunks(data):
        if zlib.crc32(chunk[4:-4]) != struct.unpack(">I", chunk[-4:])[0]:
            return f"the checksum of its chunk {tag.decode('latin-1')!a} is wrong"
        at += len(chunk)
        if tag == b"IEND":
            return "" if at == len(data) else "bytes follow its end"
    return "it is cut"


def depth_and_colour(data: bytes) -> tuple[int, int]:
    """Return the bits a sample and the colour type of a PNG that starts with IHDR."""
    return data[24], data[25]


def other_chunks(data: bytes) -> Metadata:
    """Return all chunks that do not hold pixels, before and after the pixels."""
    before: list[bytes] = []
    after: list[bytes] = []
    into = before
    for tag, chunk in _chunks(data):
        if tag == b"IDAT":
            into = after
        elif tag not in _PIXELS:
            into.append(chunk)
    return Metadata(chunks=b"".join(before), last_chunks=b"".join(after))


def with_chunks(data: bytes, metadata: Metadata) -> bytes:
    """Return a plain PNG with these other chunks put back."""
    head = len(MAGIC) + _FRAME + 13
    return b"".join(
        (data[:head], metadata.chunks, data[head:-_FRAME], metadata.last_chunks, data[-_FRAME:])
    )
