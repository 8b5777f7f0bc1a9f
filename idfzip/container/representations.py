"""The section `w`: how a picture can be in a file, and how large the file would be otherwise."""

from __future__ import annotations

from idfzip.container.header import PACKINGS
from idfzip.container.sections import Reader, Section, number

TAG = b"w"
"""Tag of the section."""

REPRESENTATIONS = ("source", "models", *PACKINGS[1:])
"""How a picture can be in a file: the source's own bytes, coded by models, packed by others."""

Sizes = dict[str, int]
"""Bytes of a file by representation."""


def pack(sizes: Sizes | None) -> list[Section]:
    """Return the section of sizes, none where nothing was tried."""
    if not sizes:
        return []
    rows = [bytes([REPRESENTATIONS.index(name)]) + number(size) for name, size in sizes.items()]
    return [Section(TAG, b"".join(rows))]


def unpack(section: Section) -> Sizes:
    """Return sizes by representation; those of a later release are left out."""
    reader = Reader(section.data)
    found: Sizes = {}
    while reader.left:
        name, size = reader.byte(), reader.number()
        if name < len(REPRESENTATIONS):
            found[REPRESENTATIONS[name]] = size
    return found
