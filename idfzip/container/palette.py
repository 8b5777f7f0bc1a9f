"""The palette of a PNG: side information for the codec of categories, and coded by its model.

The chunks PLTE and tRNS are taken out of the others and put back where they were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from idfzip.codecs import indexed
from idfzip.codecs.indexed import Indexed, Palette
from idfzip.container.sections import Reader, Section, number
from idfzip.errors import FormatError
from idfzip.images import png
from idfzip.images.picture import Metadata

TAG = b"P"
"""Tag of the section; an upper-case one, without which indices cannot be decoded."""


@dataclass(frozen=True)
class Taken:
    """A palette and the places of its chunks among those before the pixels.

    `colours` uint8 (K, 3); `alpha` uint8 (n,), of the first n <= K of them.
    """

    colours: npt.NDArray[np.uint8]
    alpha: npt.NDArray[np.uint8]
    places: tuple[int, int]

    @property
    def palette(self) -> Palette:
        """The entries, uint8 (K, 3), or (K, 4) where some are transparent."""
        if not len(self.alpha):
            return self.colours
        column = np.full((len(self.colours), 1), 255, np.uint8)
        column[: len(self.alpha), 0] = self.alpha
        return np.concatenate([self.colours, column], 1)


def take(metadata: Metadata) -> tuple[Taken | None, Metadata]:
    """Return the palette, None where there is none that can be coded, and all other metadata."""
    chunks = png.contents(metadata.chunks)
    tags = [tag for tag, _ in chunks]
    if tags.count(b"PLTE") != 1 or tags.count(b"tRNS") > 1:
        return None, metadata
    colours = np.frombuffer(dict(chunks)[b"PLTE"], np.uint8)
    alpha = np.frombuffer(dict(chunks).get(b"tRNS", b""), np.uint8)
    whole = len(colours) % 3 == 0 and 0 < len(colours) <= 3 * indexed.MOST
    if not whole or 3 * len(alpha) > len(colours) or (b"tRNS" in tags and not len(alpha)):
        return None, metadata
    places = (tags.index(b"PLTE"), tags.index(b"tRNS") if len(alpha) else 0)
    rest = b"".join(png.chunk(t, data) for t, data in chunks if t not in (b"PLTE", b"tRNS"))
    taken = Taken(colours.reshape(-1, 3), alpha, places)
    return taken, replace(metadata, chunks=rest)


def put_back(taken: Taken, metadata: Metadata) -> Metadata:
    """Undo `take`."""
    chunks = [png.chunk(tag, data) for tag, data in png.contents(metadata.chunks)]
    added = [(taken.places[0], png.chunk(b"PLTE", taken.colours.tobytes()))]
    if len(taken.alpha):
        added.append((taken.places[1], png.chunk(b"tRNS", taken.alpha.tobytes())))
    for place, chunk in sorted(added):
        chunks.insert(place, chunk)
    return replace(metadata, chunks=b"".join(chunks))


def pack(taken: Taken, codec: Indexed) -> Section:
    """Return the section of a palette."""
    head = number(len(taken.colours)) + number(len(taken.alpha)) + number(taken.places[0])
    if len(taken.alpha):
        head += number(taken.places[1])
    return Section(TAG, head + indexed.encode_palette(codec, taken.palette))


def unpack(section: Section, codec: Indexed) -> Taken:
    """Return the palette in a section; raises FormatError."""
    reader = Reader(section.data)
    entries, transparent, place = reader.number(), reader.number(), reader.number()
    if not 0 < entries <= indexed.MOST or transparent > entries:
        raise FormatError(f"palette of {entries} entries, {transparent} of them transparent")
    places = (place, reader.number() if transparent else 0)
    channels = 4 if transparent else 3
    found = indexed.decode_palette(codec, reader.bytes(reader.left), entries, channels)
    alpha = found[:transparent, 3] if transparent else np.empty(0, np.uint8)
    return Taken(np.ascontiguousarray(found[:, :3]), np.ascontiguousarray(alpha), places)
