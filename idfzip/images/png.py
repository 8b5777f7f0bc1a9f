"""PNG files: their chunks as they are, and whole files from pixels (ISO/IEC 15948)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from idfzip.images.picture import Kind, Layout, Metadata, Pixels

MAGIC = b"\x89PNG\r\n\x1a\n"
_FRAME = 12
"""Bytes of a chunk beside its data: length, tag, checksum."""

_PIXELS = (b"IHDR", b"IDAT", b"IEND")
_LARGEST = 1 << 20
"""Bytes of pixels in a chunk."""

LAYOUTS = {
    0: Layout.GREY,
    2: Layout.RGB,
    3: Layout.PALETTE,
    4: Layout.GREY_ALPHA,
    6: Layout.RGBA,
}
"""Layouts by the file's colour type."""


def chunk(tag: bytes, data: bytes) -> bytes:
    """Return a chunk."""
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


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


def contents(chunks: bytes) -> list[tuple[bytes, bytes]]:
    """Return tag and data of each of some chunks."""
    return [(tag, whole[8:-4]) for tag, whole in _chunks(MAGIC + chunks)]


def damage(data: bytes) -> str:
    """Return what is wrong with a PNG's chunks, or an empty string."""
    at = len(MAGIC)
    tags: list[bytes] = []
    for tag, whole in _chunks(data):
        if zlib.crc32(whole[4:-4]) != struct.unpack(">I", whole[-4:])[0]:
            return f"the checksum of its chunk {tag.decode('latin-1')!a} is wrong"
        at += len(whole)
        if not tags or tag != tags[-1] or tag != b"IDAT":
            tags.append(tag)
        if tag == b"IEND":
            break
    if tags[-1:] != [b"IEND"]:
        return "it is cut"
    if at != len(data):
        return "bytes follow its end"
    if tags[0] != b"IHDR" or tags.count(b"IHDR") != 1 or tags.count(b"IDAT") != 1:
        return "its pixels are not in one place"
    return ""


def damaged_rows(data: bytes) -> str:
    """Return what is wrong with the deflated rows of a PNG of sound chunks, or an empty string.

    Readers stop at the last pixel or forgive what comes then; here rows are whole, their
    checksum is right, and nothing follows.
    """
    width, height = struct.unpack_from(">II", data, 16)
    bits = LAYOUTS[data[25]].channels * data[24]
    sizes = _passes(width, height) if data[28] else [(width, height)]
    expected = sum(h * (1 + -(-w * bits // 8)) for w, h in sizes if w)
    stream = zlib.decompressobj()
    found = 0
    try:
        for tag, whole in _chunks(data):
            if tag == b"IDAT":
                part = stream.decompress(whole[8:-4], _LARGEST)
                while part:
                    found += len(part)
                    part = (
                        b""
                        if found > expected
                        else stream.decompress(stream.unconsumed_tail, _LARGEST)
                    )
    except zlib.error as error:
        return f"its pixels cannot be read ({error})"
    if not stream.eof or stream.unused_data or found != expected:
        return "its pixels are cut, or more than fit"
    return ""


def _passes(width: int, height: int) -> list[tuple[int, int]]:
    """Return width and height of each pass of an interlaced image (section 8.2)."""
    places = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
    return [(-(-(width - x) // w), -(-(height - y) // h)) for x, y, w, h in (*places, (0, 1, 1, 2))]


def kind(data: bytes) -> Kind | None:
    """Return the kind of pixels of a PNG that starts with IHDR, None for one that is not valid."""
    depth, colour = data[24], data[25]
    if colour not in LAYOUTS or depth not in (1, 2, 4, 8, 16):
        return None
    found = Kind(LAYOUTS[colour], depth)
    return found if found.known else None


def plain(data: bytes, *more: bytes) -> bytes:
    """Return a PNG with its pixels' chunks alone, and with those of `more` tags."""
    kept = (*_PIXELS, *more)
    return MAGIC + b"".join(whole for tag, whole in _chunks(data) if tag in kept)


def other_chunks(data: bytes) -> Metadata:
    """Return all chunks that do not hold pixels, before and after the pixels."""
    before: list[bytes] = []
    after: list[bytes] = []
    into = before
    for tag, whole in _chunks(data):
        if tag == b"IDAT":
            into = after
        elif tag not in _PIXELS:
            into.append(whole)
    return Metadata(chunks=b"".join(before), last_chunks=b"".join(after))


def write(pixels: Pixels, kind: Kind, stream: bytes, metadata: Metadata) -> bytes:
    """Return a PNG of pixels whose deflated rows are `stream`, other chunks put back.

    Raises ValueError where these are cut, or are some that hold pixels.
    """
    for chunks in (metadata.chunks, metadata.last_chunks):
        found = list(_chunks(MAGIC + chunks))
        if b"".join(whole for _, whole in found) != chunks or any(t in _PIXELS for t, _ in found):
            raise ValueError("its chunks are cut, or are some of pixels")
    height, width = pixels.shape[:2]
    colour = next(number for number, layout in LAYOUTS.items() if layout == kind.layout)
    head = struct.pack(">IIBBBBB", width, height, kind.depth, colour, 0, 0, 0)
    parts = [stream[i : i + _LARGEST] for i in range(0, len(stream), _LARGEST)]
    body = b"".join(chunk(b"IDAT", part) for part in parts)
    return b"".join(
        (
            MAGIC,
            chunk(b"IHDR", head),
            metadata.chunks,
            body,
            metadata.last_chunks,
            chunk(b"IEND", b""),
        )
    )
