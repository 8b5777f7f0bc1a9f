"""Portable bitmaps, greymaps and pixmaps, of their binary forms P4, P5 and P6 (Netpbm)."""

from __future__ import annotations

import re

import numpy as np

from idfzip.images import scanlines
from idfzip.images.picture import Kind, Layout, Metadata, Picture, Pixels

_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
_HEAD = re.compile(
    rb"(P4)" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})\s|"
    rb"(P[56])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,5})\s"
)


def read(data: bytes) -> Picture | str:
    """Return the picture of a file, or why its bytes must be kept.

    A file comes back byte for byte, comments and maximum as well, except for bits that fill up
    a row of a bitmap.
    """
    found = _HEAD.match(data)
    if found is None:
        return "only P4, P5 and P6 are coded"
    name, *fields = [part for part in found.groups() if part is not None]
    width, height, largest = (*map(int, fields), 1)[:3]
    head, body = found.group(), data[found.end() :]
    layout = Layout.RGB if name == b"P6" else Layout.GREY
    if not 0 < largest < 1 << 16 or width == 0 or height == 0:
        return f"it is of {width}x{height} pixels with a maximum of {largest}"
    depth = 1 if name == b"P4" else 8 if largest < 256 else 16
    row = -(-width * layout.channels * depth // 8)
    if len(body) != row * height:
        return "its pixels are cut, or bytes follow its end"
    shape = (height, width, layout.channels)
    if depth == 1:
        bits = np.unpackbits(np.frombuffer(body, np.uint8).reshape(height, row), axis=1)
        pixels: Pixels = 1 - bits[:, :width, None]
    elif depth == 8:
        pixels = np.frombuffer(body, np.uint8).reshape(shape)
    else:
        pixels = np.frombuffer(body, ">u2").astype(np.uint16).reshape(shape)
    metadata = Metadata() if head == _head(pixels, Kind(layout, depth)) else Metadata(head=head)
    return Picture(pixels, "PPM", metadata, layout, depth)


def _head(pixels: Pixels, kind: Kind) -> bytes:
    """Return the usual header."""
    name = 4 if kind.depth == 1 else 6 if kind.layout == Layout.RGB else 5
    largest = b"" if kind.depth == 1 else b"%d\n" % ((1 << kind.depth) - 1)
    return b"P%d\n%d %d\n%s" % (name, pixels.shape[1], pixels.shape[0], largest)


def resized(head: bytes, height: int, width: int) -> bytes:
    """Return a header, with its comments and maximum, for pixels of another size."""
    found = _HEAD.match(head)
    if found is None:
        return b""
    across = 2 if found.group(1) else 5
    (x, after_x), (y, after_y) = found.span(across), found.span(across + 1)
    return head[:x] + b"%d" % width + head[after_x:y] + b"%d" % height + head[after_y:]


def _told(head: bytes) -> tuple[int, int, bool, bool] | None:
    """Return the width and height of a header, whether it is a bitmap's, whether a pixmap's."""
    found = _HEAD.fullmatch(head)
    if found is None:
        return None
    name, width, height = [part for part in found.groups() if part is not None][:3]
    return int(width), int(height), name == b"P4", name == b"P6"


def maximum(head: bytes, kind: Kind) -> int:
    """Return the largest value that a header tells of, for an empty one that of the kind."""
    found = _HEAD.match(head)
    return int(found.group(7)) if found and found.group(7) else (1 << kind.depth) - 1


def spread(pixels: Pixels, kind: Kind, head: bytes) -> Pixels:
    """Return samples whose maximum is a header's as of all values of their kind."""
    most, full = maximum(head, kind), (1 << kind.depth) - 1
    if most == full:
        return pixels
    return np.rint(pixels / most * full).clip(0, full).astype(pixels.dtype)


def write(pixels: Pixels, kind: Kind, head: bytes) -> bytes:
    """Return the file of grey, RGB or bilevel pixels; raises ValueError for another's header."""
    height, width = pixels.shape[:2]
    if head and _told(head) != (width, height, kind.depth == 1, kind.layout == Layout.RGB):
        raise ValueError("a header of other sizes, or of another kind")
    body = scanlines.rows(1 - pixels if kind.depth == 1 else pixels, kind.depth)
    return (head or _head(pixels, kind)) + body.tobytes()
