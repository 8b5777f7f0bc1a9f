"""Windows bitmaps of 24 bits a pixel: BITMAPINFOHEADER, and its later forms 4 and 5."""

from __future__ import annotations

import struct

import numpy as np

from idfzip.images.picture import Kind, Layout, Metadata, Picture, Pixels

MAGIC = b"BM"
_FIRST, _INFO, _FORM_4 = 14, 40, 108
"""Bytes of the file's header, of the picture's, and of the latter's fourth form."""

_SIZE, _START, _WIDTH, _HEIGHT, _BYTES, _ACROSS = 2, 10, 18, 22, 34, 38
_COLOURS, _PROFILE = _FIRST + 56, _FIRST + 112
"""Where fields are in a file."""

_CALIBRATED, _SRGB, _SYSTEM, _EMBEDDED = 0, 0x73524742, 0x57696E20, 0x4D424544
"""What colours are (LogicalColorSpace)."""

_METRE = 39.3701
"""Inches, as Pillow has them."""


def read(data: bytes) -> Picture | str:
    """Return the picture of a file, or why its bytes must be kept.

    A file comes back byte for byte, except for bytes that fill up its rows, which become 0, and for
    three bytes of 0 that may follow its end.
    """
    if len(data) < _FIRST + _INFO:
        return "its header is cut"
    (start,) = struct.unpack_from("<I", data, _START)
    size, width, rows, _, depth, packing = struct.unpack_from("<IiiHHI", data, _FIRST)
    if size < _INFO or depth != 24 or packing:
        bits = depth if size >= _INFO else struct.unpack_from("<H", data, 24)[0]
        return f"BMP of {bits} bits a pixel, with a header of {size} bytes, has no model"
    height, across = abs(rows), _across(width)
    end = start + across * height
    filling = across - 3 * width
    if width < 1 or height < 1 or start < _FIRST + size or end - filling > len(data):
        return "its pixels are cut"
    if len(data) > end + 3 or any(data[end:]):
        return "bytes follow its pixels"
    body = data[start:end].ljust(across * height, b"\0")  # the last row may lack what fills it up
    lines = np.frombuffer(body, np.uint8).reshape(height, across)
    pixels = lines[:, : 3 * width].reshape(height, width, 3)[:, :, ::-1]
    head = data[:start]
    found = resolution(head)
    usual = Metadata(dpi=found)
    metadata = usual if head == _head(height, width, found) else Metadata(head=head)
    return Picture(np.ascontiguousarray(pixels if rows < 0 else pixels[::-1]), "BMP", metadata)


def _across(width: int) -> int:
    """Return the bytes of a row."""
    return -(-3 * width // 4) * 4


def _head(height: int, width: int, dpi: tuple[float, float] | None) -> bytes:
    """Return the usual header."""
    count = _across(width) * height
    x, y = (int(value * _METRE + 0.5) for value in dpi or (0, 0))
    start = _FIRST + _INFO
    first = MAGIC + struct.pack("<IHHI", start + count, 0, 0, start)
    return first + struct.pack("<IiiHHIIiiII", _INFO, width, height, 1, 24, 0, count, x, y, 0, 0)


def resolution(head: bytes) -> tuple[float, float] | None:
    """Return the pixels per inch of a header, None where it tells none."""
    if len(head) < _FIRST + _INFO:
        return None
    x, y = struct.unpack_from("<ii", head, _ACROSS)
    return (x / _METRE, y / _METRE) if x > 0 and y > 0 else None


def profile(head: bytes) -> bytes | None:
    """Return the colour profile in a header, empty where colours are sRGB; None for others."""
    if len(head) < _FIRST + _INFO or struct.unpack_from("<I", head, _FIRST)[0] < _FORM_4:
        return b""
    (colours,) = struct.unpack_from("<I", head, _COLOURS)
    if colours == _EMBEDDED and len(head) >= _PROFILE + 8:
        at, count = struct.unpack_from("<II", head, _PROFILE)
        found = head[_FIRST + at : _FIRST + at + count]
        return found if count and len(found) == count else None
    nothing = colours == _CALIBRATED and not any(head[_COLOURS + 4 : _COLOURS + 4 + 48])
    return b"" if nothing or colours in (_SRGB, _SYSTEM) else None


def resized(head: bytes, height: int, width: int) -> bytes:
    """Return a header for pixels of another size."""
    if len(head) < _FIRST + _INFO:
        return b""
    found, count = bytearray(head), _across(width) * height
    rows, before = struct.unpack_from("<iiiiii", head, _HEIGHT)[0::3]
    struct.pack_into("<I", found, _SIZE, len(head) + count)
    struct.pack_into("<ii", found, _WIDTH, width, -height if rows < 0 else height)
    if before:
        struct.pack_into("<I", found, _BYTES, count)
    return bytes(found)


def write(pixels: Pixels, kind: Kind, metadata: Metadata) -> bytes:
    """Return the file of RGB pixels of 8 bits; raises ValueError for another's header."""
    height, width = pixels.shape[:2]
    head = metadata.head or _head(height, width, metadata.dpi)
    if kind != Kind(Layout.RGB, 8) or not _fits(head, height, width):
        raise ValueError("a header of other sizes, or of another kind")
    lines = np.zeros((height, _across(width)), np.uint8)
    lines[:, : 3 * width] = pixels[:, :, ::-1].reshape(height, 3 * width)
    upwards = struct.unpack_from("<i", head, _HEIGHT)[0] > 0
    return head + (lines[::-1] if upwards else lines).tobytes()


def _fits(head: bytes, height: int, width: int) -> bool:
    """Return whether a header is that of pixels of this size."""
    if len(head) < _FIRST + _INFO or head[:2] != MAGIC:
        return False
    (start,) = struct.unpack_from("<I", head, _START)
    size, across, rows, _, depth, packing = struct.unpack_from("<IiiHHI", head, _FIRST)
    told = (start, across, abs(rows), depth, packing)
    return told == (len(head), width, height, 24, 0) and _INFO <= size <= start - _FIRST
