"""Decode an `.idfz` file as `idfzip/FORMAT.md` says, in plain Python: slow, a proof of the text.

Section 3 is in `reference_tile.py`, of it 3.7, learning, in `reference_learning.py`.
Usage: `python scripts/reference_decoder.py FILE.idfz MODEL.idfm... > pixels.ppm`

What other codecs have packed is written as the WebP or PNG it is.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

from reference_tile import TileDecoder


class Reader:
    """Numbers from bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        self.at += count
        if self.at > len(self.data):
            raise ValueError("file is cut")
        return self.data[self.at - count : self.at]

    def little(self, count: int) -> int:
        """Return a little-endian number of `count` bytes."""
        return int.from_bytes(self.take(count), "little")

    def number(self) -> int:
        """Return a number of seven bits a byte."""
        byte = self.little(1)
        return byte if byte < 128 else byte - 128 + (self.number() << 7)


class Model:
    """Tensors of an `.idfm` file as nested lists, and its identity."""

    def __init__(self, data: bytes) -> None:
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__")
        self.tensors: dict[str, Any] = {}
        digest = hashlib.sha256()
        names = {"I16": ("h", "int16"), "I32": ("i", "int32"), "I64": ("q", "int64")}
        for name in sorted(header):
            entry = header[name]
            code, dtype = names[entry["dtype"]]
            begin, end = entry["data_offsets"]
            raw = data[8 + length + begin : 8 + length + end]
            shape = entry["shape"]
            digest.update(f"{name}\0{dtype}\0{'x'.join(map(str, shape))}\0".encode() + raw)
            flat = list(struct.unpack(f"<{math.prod(shape)}{code}", raw))
            rows = range(0, len(flat), shape[-1])
            self.tensors[name] = [flat[i : i + shape[1]] for i in rows] if shape[1:] else flat
        digest.update(metadata["decoding"].encode())
        self.hash = digest.digest()[:8]
        facts = json.loads(metadata["decoding"])
        self.channels, self.layers = facts["channels"], facts.get("layers", 0)
        self.side: tuple[bytes, list[int]] = (b"", [])
        self.painter: Model | None = None
        self.learning = facts.get("learning", (0, 0, 1))

    def __getitem__(self, name: str) -> Any:
        return self.tensors[name]


COLOUR = [0, 1, 2]
GROUPS = {1: [[0]], 2: [[1], [0]], 3: [COLOUR], 4: [[3], COLOUR], 5: [[0]], 6: [[3], COLOUR]}
"""Channels of each group of planes, by layout."""

Image = tuple[int, int, int, int, bytes]
"""Layout, depth, height, width, samples."""


def ladder(section: Reader) -> list[int]:
    """Return the values that a group's numbers stand for."""
    values, more = [section.number()], section.number()
    if more:
        step, listed = section.number(), section.take(section.number())
        gaps = Reader(zlib.decompress(listed)) if listed else None
        for _ in range(more):
            values.append(values[-1] + step * (gaps.number() if gaps else 1))
    return values


def raw(stream: bytes, count: int, alphabet: int) -> list[int]:
    """Return the numbers of a raw tile."""
    bits = (alphabet - 1).bit_length()
    whole = int.from_bytes(stream, "big") >> (8 * len(stream) - count * bits)
    return [(whole >> (bits * (count - 1 - i))) & ((1 << bits) - 1) for i in range(count)]


def tile(stream: bytes, model: Model | None, size: tuple[int, int], channels: int, n: int) -> Any:
    """Return the numbers of a tile, rows of pixels of channels."""
    h, w = size
    if model is None:
        flat = raw(stream, h * w * channels, n)
        pixels = [flat[i : i + channels] for i in range(0, len(flat), channels)]
        return [pixels[y * w : (y + 1) * w] for y in range(h)]
    planes = [p.rows for p in TileDecoder(model, h, w, stream, n).decode()]
    if channels == 1:
        return [[[v] for v in row] for row in planes[0]]
    together = [zip(*(plane[y] for plane in planes), strict=True) for y in range(h)]
    return [[[b + a, a, c + a] for a, b, c in row] for row in together]


def sections(reader: Reader) -> tuple[Reader, bytes]:
    """Return the sections `I` and `P` (empty, if there is none), all of them checked."""
    if reader.take(5) != b"\x8aIDZ\0":
        raise ValueError("not an .idfz file of version 0")
    tag = palette = b""
    while tag != b"I":
        start = reader.at
        tag = reader.take(1)
        section = Reader(reader.take(reader.number()))
        if zlib.crc32(reader.data[start : reader.at]) != reader.little(4):
            raise ValueError(f"section {tag!r} is damaged")
        if tag == b"P":
            palette = section.data
        elif tag.isupper() and tag != b"I":
            raise ValueError(f"section {tag!r} is not known")
    return section, palette


def decode(data: bytes, models: list[Model]) -> Image | bytes:
    """Return an image, or the bytes of a file: of a stored one, or of WebP or PNG."""
    reader = Reader(data)
    section, palette = sections(reader)
    kind, form = section.little(1), section.little(1)
    if kind == 0:
        stored = reader.take(section.number())
        if zlib.crc32(stored) != section.little(4):
            raise ValueError("stored file is damaged")
        return stored
    layout, depth = kind & 15, 1 << (kind >> 4)
    width, height = section.number(), section.number()
    if form >> 6:
        return reader.take(section.number())
    flags = section.little(1)
    columns, rows = (section.number(), section.number()) if flags & 1 else (width, height)
    hashes = [section.take(8) for _ in range(flags >> 4)]
    groups = GROUPS[layout]
    ladders = [ladder(section) if flags & 2 else list(range(1 << depth)) for _ in groups]
    places = [(y, x) for y in range(0, height, rows) for x in range(0, width, columns)]
    image = [[[0] * sum(map(len, groups)) for _ in range(width)] for _ in range(height)]
    for index in range(len(groups) * len(places)):
        group, values = groups[index // len(places)], ladders[index // len(places)]
        top, left = places[index % len(places)]
        first, second = section.little(1), section.little(1)
        length, crc = section.number(), section.little(4)
        size = (min(rows, height - top), min(columns, width - left))
        model = next(m for m in models if m.hash == hashes[first >> 4]) if first & 15 else None
        if model:
            model.side = (palette, values)
            painters = [m for m in models if first & 15 == 6 and m.hash == hashes[second >> 4]]
            model.painter = painters[0] if painters else None
        numbers = tile(reader.take(length), model, size, len(group), len(values))
        samples = [[[values[n] for n in pixel] for pixel in row] for row in numbers]
        if zlib.crc32(packed(samples, depth), zlib.crc32(struct.pack("<I", index))) != crc:
            raise ValueError(f"tile {index} is damaged")
        for y, row in enumerate(samples):
            for x, pixel in enumerate(row):
                for c, sample in zip(group, pixel, strict=True):
                    image[top + y][left + x][c] = sample
    body = packed(image, depth)
    if len(places) * len(groups) > 1 and zlib.crc32(body) != section.little(4):
        raise ValueError("image is damaged")
    return layout, depth, height, width, body


def packed(samples: list[list[list[int]]], depth: int) -> bytes:
    """Return samples as bytes, those of 16 bits with the low byte first."""
    flat = [sample for row in samples for pixel in row for sample in pixel]
    return struct.pack(f"<{len(flat)}{'H' if depth == 16 else 'B'}", *flat)


def written(found: Image | bytes) -> bytes:
    """Return an image as a file of Netpbm's, the bytes of a file as they are."""
    if isinstance(found, tuple):
        layout, depth, height, width, body = found
        if depth == 16:  # samples of Netpbm's formats have the high byte first
            body = b"".join(body[i : i + 2][::-1] for i in range(0, len(body), 2))
        channels = sum(map(len, GROUPS[layout]))
        head = f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {channels}\n"
        head += f"MAXVAL {(1 << depth) - 1}\nENDHDR\n"
        if layout in (1, 3) and depth >= 8:
            head = f"P{5 if layout == 1 else 6}\n{width} {height}\n{(1 << depth) - 1}\n"
        found = head.encode() + body
    return found


def main() -> None:
    """Decode the file named first with the models named after it, onto standard output."""
    models = [Model(Path(name).read_bytes()) for name in sys.argv[2:]]
    sys.stdout.buffer.write(written(decode(Path(sys.argv[1]).read_bytes(), models)))


if __name__ == "__main__":
    main()
