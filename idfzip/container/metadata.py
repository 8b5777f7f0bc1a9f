"""Ancillary sections: what goes with an image's pixels, deflated."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from idfzip.container.sections import Section
from idfzip.errors import FormatError
from idfzip.images.picture import MAX_METADATA, Metadata

_METADATA = {
    b"p": "chunks",
    b"q": "last_chunks",
    b"t": "tags",
    b"h": "head",
    b"c": "icc",
    b"e": "exif",
    b"x": "xmp",
}
"""Tags of ancillary sections, deflated, and what they hold; `d` holds pixels per inch."""


def pack_metadata(metadata: Metadata) -> list[Section]:
    """Return the ancillary sections of what goes with an image's pixels."""
    found = [
        Section(tag, zlib.compress(getattr(metadata, name), 9))
        for tag, name in _METADATA.items()
        if getattr(metadata, name)
    ]
    if metadata.dpi is not None:
        found.append(Section(b"d", struct.pack("<2d", *metadata.dpi)))
    return found


def unpack_metadata(parts: Sequence[Section]) -> Metadata:
    """Return what ancillary sections hold; raises FormatError."""
    values: dict[str, bytes] = {}
    dpi: tuple[float, float] | None = None
    for section in parts:
        if section.tag in _METADATA:
            values[_METADATA[section.tag]] = inflate(section)
        elif section.tag == b"d" and len(section.data) == 16:
            dpi = struct.unpack("<2d", section.data)
    return Metadata(**values, dpi=dpi)


def inflate(section: Section) -> bytes:
    """Return a section's data inflated; raises FormatError."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(section.data, MAX_METADATA)
    except zlib.error as error:
        raise FormatError(f"metadata {section.tag!r} is damaged ({error})") from None
    if not stream.eof:
        raise FormatError(f"metadata {section.tag!r} is cut or over {MAX_METADATA} bytes")
    return data
