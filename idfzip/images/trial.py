"""What goes with a file's pixels is written and read again before anybody relies on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from idfzip.errors import UnsupportedImage
from idfzip.images import heads, reader, writer
from idfzip.images.picture import Picture
from idfzip.images.reader import Unread


def read(data: bytes, name: str, max_pixels: int = reader.MAX_PIXELS) -> Picture | Unread:
    """Return the picture in a file's bytes, or why they must be kept, as `reader.read`, `tried`."""
    return tried(reader.read(data, name, max_pixels))


def tried(found: Picture | Unread) -> Picture | Unread:
    """Return what was read, unless what is unpacked would not be what was packed.

    So it is where a file of one black pixel with the same metadata would not be read as such.
    """
    if isinstance(found, Unread):
        return found
    reason = _lost(found)
    return Unread(found.format, reason) if reason else found


def _lost(picture: Picture) -> str:
    """Return why a file written anew would not hold what this one does, or an empty string."""
    metadata = replace(picture.metadata, head=heads.resized(picture.metadata.head, 1, 1))
    dot = replace(picture, pixels=np.zeros_like(picture.pixels[:1, :1]), metadata=metadata)
    try:
        data = writer.write(dot)
        again = reader.read(data, "a file of one pixel")
    except UnsupportedImage as error:
        return str(error)
    if isinstance(again, Unread):
        return f"a file written anew would not be read: {again.reason}"
    same = again.kind == dot.kind and again.format == dot.format and not again.pixels.any()
    if not same or not (again.metadata == metadata or _alike(again, dot, data)):
        return "a file written anew would not be read as this one is"
    return ""


def _alike(again: Picture, dot: Picture, data: bytes) -> bool:
    """Return whether only the header is told otherwise: that is the usual one at this size."""
    one, other = (replace(p.metadata, head=b"", dpi=None) for p in (again, dot))
    return one == other and writer.write(again) == data
