"""WebP files: which chunks they have (the container's specification by Google)."""

from __future__ import annotations

import struct

_KNOWN = (b"VP8X", b"VP8L", b"ICCP", b"EXIF", b"XMP ")


def reason(data: bytes) -> str:
    """Return why a file's bytes must be kept, an empty string where its parts are all known."""
    found = _tags(data)
    if b"VP8L" not in found:
        return "lossy WebP is kept as it is"
    (size,) = struct.unpack_from("<I", data, 4)
    if len(data) > 8 + size + (size & 1):
        return "bytes follow its end"
    others = {tag for tag in found if tag not in _KNOWN or found.count(tag) > 1}
    if others:
        return f"it carries chunks {', '.join(sorted(ascii(tag)[1:] for tag in others))}"
    return ""


def is_lossless(data: bytes) -> bool:
    """Return whether the pixels of a file were coded without loss."""
    return b"VP8L" in _tags(data)


def _tags(data: bytes) -> list[bytes]:
    """Return the tags of a file's chunks."""
    at, found = 12, []
    while at + 8 <= len(data):
        tag, length = struct.unpack_from("<4sI", data, at)
        found.append(tag)
        at += 8 + length + (length & 1)
    return found
