"""The frame of an `.idfz` file: magic, version, sections. `FORMAT.md` is the specification."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from idfzip.errors import CutError, FormatError

MAGIC = b"\x8aIDZ"
VERSION = 0
LAST = b"I"
"""Tag of the section of one image, after which only coded streams follow."""

ARCHIVE = b"A"
"""Tag of the section that an archive has instead."""

MAX_SECTION = 1 << 30


class Reader:
    """Reads numbers and bytes from a buffer; raises CutError where it ends early."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def bytes(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        if count > len(self.data) - self.at:
            raise CutError(f"file is cut: {count} bytes expected at offset {self.at}")
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self) -> int:
        """Return the next byte."""
        return self.bytes(1)[0]

    def crc(self) -> int:
        """Return the next four bytes, little-endian."""
        return int.from_bytes(self.bytes(4), "little")

    def number(self) -> int:
        """Return the next number: seven bits a byte, low first, the top bit says that more follow.

        At most five bytes, the shortest form only.
        """
        value = 0
        for i in range(5):
            byte = self.byte()
            value |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                if byte == 0 and i > 0:
                    break
                return value
        raise FormatError(f"number at offset {self.at} is not in its shortest form")

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.at


def number(value: int) -> bytes:
    """Return a number as `Reader.number` reads it; 0 <= value < 2**35."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@dataclass(frozen=True)
class Section:
    """A tag of one letter and its bytes; readers may skip a lower-case tag that is new to them."""

    tag: bytes
    data: bytes


def write(sections: list[Section], streams: list[bytes]) -> bytes:
    """Return a file of these sections, the last of tag `I`, and the streams after them."""
    parts = [MAGIC, bytes([VERSION])]
    for section in sections:
        frame = section.tag + number(len(section.data)) + section.data
        parts += [frame, zlib.crc32(frame).to_bytes(4, "little")]
    return b"".join(parts + streams)


def is_idfz(data: bytes) -> bool:
    """Return whether the bytes begin like an `.idfz` file."""
    return data[: len(MAGIC)] == MAGIC


def read(data: bytes) -> tuple[list[Section], bytes]:
    """Return the sections and the bytes of the streams; raises FormatError."""
    file = io.BytesIO(data)
    return read_head(file), file.read()


def read_head(file: BinaryIO) -> list[Section]:
    """Return the sections at the beginning of a file, the last of tag `I` or `A`.

    The file, which must be seekable, is left at the streams. Raises FormatError, CutError where it
    ends before.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)

    def take(count: int) -> bytes:
        if count > size - file.tell():
            raise CutError(f"file is cut: {count} bytes expected at offset {file.tell()}")
        return file.read(count)

    if not size:
        raise FormatError("the file is empty")
    if not MAGIC.startswith(file.read(len(MAGIC))):
        raise FormatError("not an .idfz file")
    version = take(1)[0]  # a file of less than the magic is cut here
    if version != VERSION:
        raise FormatError(f"format version {version}; this release reads version {VERSION}")
    sections: list[Section] = []
    while not sections or sections[-1].tag not in (LAST, ARCHIVE):
        start = file.tell()
        frame = take(1)
        while len(frame) == 1 or (frame[-1] > 0x7F and len(frame) < 6):
            frame += take(1)
        tag, length = frame[:1], Reader(frame, 1).number()
        if length > MAX_SECTION:
            raise FormatError(f"section {tag!r} claims {length} bytes")
        body = take(length)
        if zlib.crc32(body, zlib.crc32(frame)) != int.from_bytes(take(4), "little"):
            raise FormatError(f"section {tag!r} at offset {start} is damaged (checksum)")
        sections.append(Section(tag, body))
    return sections
