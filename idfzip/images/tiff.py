"""TIFF files: their tags as they are, and whole files from pixels (TIFF 6.0).

What does not say how the pixels lie in the file is kept: as a TIFF of its own without pixels, into
which pixels are put again.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from idfzip.images import scanlines
from idfzip.images.picture import Kind, Layout, Pixels

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
OFFSETS, ORIENTATION, SAMPLES, ROWS, COUNTS, PLANAR, PREDICTOR = 273, 274, 277, 278, 279, 284, 317
EXTRA, FORMAT, COLOURS = 338, 339, 320
_TILE_OFFSETS, _TILE_COUNTS = 324, 325
XRES, YRES, UNIT, XMP, ICC = 282, 283, 296, 700, 34675
"""Numbers of tags."""

_PLACES = {
    *(WIDTH, HEIGHT, BITS, COMPRESSION, FILL_ORDER, OFFSETS, SAMPLES, ROWS, COUNTS),
    *(PLANAR, PREDICTOR, 288, 289, 292, 293, 322, 323, _TILE_OFFSETS, _TILE_COUNTS),
}
"""Tags that say how and where the pixels lie; all others are kept."""

EXIF, GPS, _INTEROPERABILITY = 34665, 34853, 40965
_DIRECTORIES = {EXIF, GPS, _INTEROPERABILITY}
_TIED = {330: "pictures inside", 400: "parameters", 37500: "a maker's note", 50706: "raw data"}
"""Tags whose values hold places in the file, which would become wrong."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of a value by its type."""

_CODES = {1: "B", 3: "H", 4: "I"}
MAGICS = {b"II*\0": "<", b"MM\0*": ">"}
"""How files begin, and their order of bytes."""

BYTE, SHORT, LONG, RATIONAL, UNDEFINED = 1, 3, 4, 5, 7
DEFLATE = 8
_STRIP = 1 << 18
"""Bytes of pixels in a strip, about."""


class Unfit(ValueError):
    """A file whose tags cannot be kept; the text says why."""


@dataclass(frozen=True)
class Value:
    """A tag's value: its type, its bytes in the file's order, or a directory below."""

    type: int
    data: bytes
    below: Directory | None = None


Directory = dict[int, Value]


@dataclass(frozen=True)
class Tags:
    """A file's order of bytes, `<` or `>`, its first directory, and which bytes its tags take."""

    order: str
    directory: Directory
    spans: tuple[tuple[int, int], ...] = ()

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the whole numbers of a tag, none where it is missing; raises Unfit for others."""
        value = self.directory.get(tag)
        if value is None:
            return ()
        if value.type not in _CODES:
            raise Unfit(f"its tag {tag} is of type {value.type}")
        count = len(value.data) // _SIZES[value.type]
        return struct.unpack(f"{self.order}{count}{_CODES[value.type]}", value.data)

    def number(self, tag: int, default: int) -> int:
        """Return the one number of a tag; raises Unfit where there are others."""
        found = self.numbers(tag)
        if len(found) > 1:
            raise Unfit(f"its tag {tag} has {len(found)} numbers")
        return found[0] if found else default

    def is_more(self, data: bytes) -> bool:
        """Return whether the file has bytes, not 0, to which no tag points.

        The one that puts what follows on an even place may be anything: libtiff skips it.
        """
        pixels = [
            (at, at + count)
            for offsets, counts in ((OFFSETS, COUNTS), (_TILE_OFFSETS, _TILE_COUNTS))
            for at, count in zip(self.numbers(offsets), self.numbers(counts), strict=False)
        ]
        reached = 8
        for start, end in sorted([*self.spans, *pixels, *self._plain_strips()]):
            is_filling = start == reached + 1 and start % 2 == 0
            if data[reached:start].strip(b"\0") and not is_filling:
                return True
            reached = max(reached, end)
        return bool(data[reached:].strip(b"\0"))

    def _plain_strips(self) -> list[tuple[int, int]]:
        """Return where strips are that are not compressed, whatever their counts say."""
        starts, bits = self.numbers(OFFSETS), self.numbers(BITS)
        if self.number(COMPRESSION, 1) != 1 or not starts:
            return []
        height, samples = self.number(HEIGHT, 0), self.number(SAMPLES, 1)
        per, planes = self.number(ROWS, height), self.number(PLANAR, 1)
        row = self.number(WIDTH, 0) * max(bits, default=1) * (samples if planes == 1 else 1)
        count = max(1, -(-height // max(per, 1)))
        rows = [min(per, height - i % count * per) for i in range(len(starts))]
        return [(at, at + n * -(-row // 8)) for at, n in zip(starts, rows, strict=True)]


def parse(data: bytes) -> Tags:
    """Return the tags of a file; raises Unfit where they are damaged or cannot be kept."""
    order = MAGICS.get(data[:4])
    if order is None:
        raise Unfit("it is a BigTIFF or none")
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        spans: list[tuple[int, int]] = []
        return Tags(order, _directory(data, order, start, spans, 0), tuple(spans))
    except struct.error:
        raise Unfit("its tags are cut") from None


def _directory(
    data: bytes, order: str, at: int, spans: list[tuple[int, int]], depth: int
) -> Directory:
    """Return the directory at a place; what it and its values take is added to `spans`."""
    found: Directory = {}
    (count,) = struct.unpack_from(f"{order}H", data, at)
    spans.append((at, at + 2 + 12 * count + 4))
    for i in range(count):
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, at + 2 + 12 * i)
        size = length * _SIZES.get(kind, 0)
        place = at + 10 + 12 * i
        if size > 4:
            (place,) = struct.unpack_from(f"{order}I", data, place)
        if tag in found or tag in _TIED or kind not in _SIZES:
            raise Unfit(f"it carries {_TIED.get(tag, f'tag {tag} twice or of an unknown type')}")
        if place + size > len(data):
            raise Unfit(f"its tag {tag} is cut")
        value = Value(kind, data[place : place + size])
        spans.append((place, place + size))
        if tag in _DIRECTORIES:
            if depth == 2 or kind != LONG or length != 1:
                raise Unfit(f"its tag {tag} is no directory")
            (start,) = struct.unpack(f"{order}I", value.data)
            below = _directory(data, order, start, spans, depth + 1)
            value = Value(kind, b"", below)
        found[tag] = value
    return found


def kept(tags: Tags) -> bytes:
    """Return a TIFF of all tags but those that say where the pixels are."""
    left = {tag: value for tag, value in tags.directory.items() if tag not in _PLACES}
    return of_tags(tags.order, left)


def of_tags(order: str, directory: Directory) -> bytes:
    """Return a TIFF of tags alone."""
    return _file(order, directory, b"")


def _file(order: str, directory: Directory, body: bytes) -> bytes:
    body += bytes(len(body) & 1)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(body))
    return head + body + _packed(order, directory, 8 + len(body))


def _packed(order: str, directory: Directory, at: int) -> bytes:
    """Return the bytes of a directory that begins at a place, its values after it."""
    rows = bytearray(struct.pack(f"{order}H", len(directory)))
    after = bytearray()
    start = at + 2 + 12 * len(directory) + 4
    for tag, value in sorted(directory.items()):
        data, count = value.data, len(value.data) // _SIZES[value.type]
        if value.below is not None:
            count = 1
            data = struct.pack(f"{order}I", start + len(after))
            after += _packed(order, value.below, start + len(after))
        elif len(data) > 4:
            data = struct.pack(f"{order}I", start + len(after))
            after += value.data
        after += bytes(len(after) & 1)
        rows += struct.pack(f"{order}HHI", tag, value.type, count) + data.ljust(4, b"\0")
    return bytes(rows + bytes(4) + after)


def numbers(order: str, kind: int, *values: int) -> Value:
    """Return a tag's value of whole numbers of a type."""
    return Value(kind, struct.pack(f"{order}{len(values)}{_CODES[kind]}", *values))


def write(pixels: Pixels, kind: Kind, kept: bytes) -> bytes:
    """Return a deflated TIFF of pixels with these tags, or with those that the kind needs."""
    tags = parse(kept) if kept else Tags("<", {})
    order = tags.order
    channels, depth = kind.layout.channels, kind.depth
    if tags.number(PHOTOMETRIC, 1) == 0:  # white is zero
        pixels = (1 << depth) - 1 - pixels
    height, width = pixels.shape[:2]
    per_strip = max(1, _STRIP * 8 // (width * channels * depth))
    predicted = depth >= 8 and kind.layout != Layout.PALETTE
    strips = [
        zlib.compress(_strip(pixels[y : y + per_strip], depth, order, predicted), 9)
        for y in range(0, height, per_strip)
    ]
    places = 8 + np.cumsum([0, *map(len, strips)])[:-1]
    entries = needed(kind, order) if not kept else dict(tags.directory)
    entries |= {
        WIDTH: numbers(order, LONG, width),
        HEIGHT: numbers(order, LONG, height),
        BITS: numbers(order, SHORT, *[depth] * channels),
        COMPRESSION: numbers(order, SHORT, DEFLATE),
        OFFSETS: numbers(order, LONG, *places.tolist()),
        SAMPLES: numbers(order, SHORT, channels),
        ROWS: numbers(order, LONG, per_strip),
        COUNTS: numbers(order, LONG, *map(len, strips)),
    }
    if predicted:
        entries[PREDICTOR] = numbers(order, SHORT, 2)
    return _file(order, entries, b"".join(strips))


def needed(kind: Kind, order: str) -> Directory:
    """Return the tags that say what the samples of a kind are."""
    photometric = {Layout.RGB: 2, Layout.RGBA: 2, Layout.PALETTE: 3, Layout.CMYK: 5}
    found = {PHOTOMETRIC: numbers(order, SHORT, photometric.get(kind.layout, 1))}
    if kind.layout in (Layout.GREY_ALPHA, Layout.RGBA):
        found[EXTRA] = numbers(order, SHORT, 2)
    return found


def _strip(pixels: Pixels, depth: int, order: str, predicted: bool) -> bytes:
    if predicted:  # each sample less the one to its left, modulo its range (TIFF 6.0, section 14)
        pixels = np.concatenate([pixels[:, :1], np.diff(pixels, axis=1)], axis=1)
    if depth == 16:
        return pixels.astype(f"{order}u2").tobytes()
    return scanlines.rows(pixels, depth).tobytes()
