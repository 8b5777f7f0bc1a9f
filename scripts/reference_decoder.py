"""Decode an `.idfz` file as `idfzip/FORMAT.md` says, in plain Python: slow, a proof of the text.

Section 3 is in `reference_tile.py`, of it 3.7, learning, in `reference_learning.py`.
Usage: `python scripts/reference_decoder.py FILE.idfz MODEL.idfm... > pixels.ppm`
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
        self.channels, self.layers = facts["channels"], facts["layers"]
        self.learning = facts.get("learning", (0, 0, 1))

    def __getitem__(self, name: str) -> Any:
        return self.tensors[name]


def decode(data: bytes, models: list[Model]) -> tuple[int, int, int, bytes]:
    """Return channels, height, width and pixels; for a stored file 0, 0, 0 and its bytes."""
    reader = Reader(data)
    if reader.take(5) != b"\x8aIDZ\0":
        raise ValueError("not an .idfz file of version 0")
    tag = b""
    while tag != b"I":
        start = reader.at
        tag = reader.take(1)
        section = Reader(reader.take(reader.number()))
        if zlib.crc32(data[start : reader.at]) != reader.little(4):
            raise ValueError(f"section {tag!r} is damaged")
        if tag.isupper() and tag != b"I":
            raise ValueError(f"section {tag!r} is not known")
    kind, _ = section.little(1), section.little(1)
    if kind == 0:
        stored = reader.take(section.number())
        if zlib.crc32(stored) != section.little(4):
            raise ValueError("stored file is damaged")
        return 0, 0, 0, stored
    width, height = section.number(), section.number()
    flags = section.little(1)
    columns, rows = (section.number(), section.number()) if flags & 1 else (width, height)
    hashes = [section.take(8) for _ in range(flags >> 4)]
    pixels = bytearray(width * height * kind)
    places = [(y, x) for y in range(0, height, rows) for x in range(0, width, columns)]
    for index, (top, left) in enumerate(places):
        first, _ = section.little(1), section.little(1)
        length, crc = section.number(), section.little(4)
        h, w = min(rows, height - top), min(columns, width - left)
        body = bytearray(reader.take(length))
        if first & 15:
            model = next(m for m in models if m.hash == hashes[first >> 4])
            planes = [p.rows for p in TileDecoder(model, h, w, bytes(body)).decode()]
            body = bytearray()
            for y in range(h):
                for x in range(w):
                    v = [plane[y][x] for plane in planes]
                    body += bytes(v if kind == 1 else [v[1] + v[0], v[0], v[2] + v[0]])
        if zlib.crc32(bytes(body), zlib.crc32(struct.pack("<I", index))) != crc:
            raise ValueError(f"tile {index} is damaged")
        for y in range(h):
            at = ((top + y) * width + left) * kind
            pixels[at : at + w * kind] = body[y * w * kind : (y + 1) * w * kind]
    if flags & 1 and zlib.crc32(pixels) != section.little(4):
        raise ValueError("image is damaged")
    return kind, height, width, bytes(pixels)


def main() -> None:
    """Decode the file named first with the models named after it, onto standard output."""
    models = [Model(Path(name).read_bytes()) for name in sys.argv[2:]]
    channels, height, width, pixels = decode(Path(sys.argv[1]).read_bytes(), models)
    head = f"P{5 if channels == 1 else 6}\n{width} {height}\n255\n" if channels else ""
    sys.stdout.buffer.write(head.encode() + pixels)


if __name__ == "__main__":
    main()
