"""Decode an archive as section 6 of `idfzip/FORMAT.md` says, in plain Python.

Usage: `python scripts/reference_archive.py FILE.idfz MODEL.idfm... > all.ppm`; the images come in
the order of the file, one PPM or PGM after the other, stored files as they are.
"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

from reference_bitswap import ChainDecoder, Stack
from reference_decoder import Model, Reader, decode, written
from reference_learning import Learner
from reference_tile import Ans, TileDecoder


def index_of(reader: Reader) -> bytes:
    """Return the inflated index, after all sections."""
    if reader.take(5) != b"\x8aIDZ\0":
        raise ValueError("not an .idfz file of version 0")
    tag, data = b"", b""
    while tag != b"A":
        start = reader.at
        tag, data = reader.take(1), reader.take(reader.number())
        if zlib.crc32(reader.data[start : reader.at]) != reader.little(4):
            raise ValueError(f"section {tag!r} is damaged")
        if tag.isupper() and tag != b"A":
            raise ValueError(f"section {tag!r} is not known")
    return zlib.decompress(data)


def run(tiles: list[TileDecoder], learner: Learner) -> list[bytes]:
    """Return the pixels of tiles that advance in lockstep."""
    learner.pixels = []
    for t in range(max(tile.width + 2 * (tile.height - 1) for tile in tiles)):
        groups = []
        for tile in tiles:
            first = max(0, (t - tile.width + 2) >> 1)
            places = [(y, t - 2 * y) for y in range(first, min(tile.height - 1, t >> 1) + 1)]
            groups.append([(place, tile.prepare(*place)) for place in places])
        for c in range(tiles[0].channels):
            for tile, group in zip(tiles, groups, strict=True):
                for (y, x), state in group:
                    tile.code(y, x, c, state)
        for tile, group in zip(tiles, groups, strict=True):
            for (y, x), _ in group:
                tile.learn(y, x)
        learner.follow([state for group in groups for _, state in group])
    return [pixels_of(tile) for tile in tiles]


def pixels_of(tile: TileDecoder) -> bytes:
    """Return a tile's pixels after the colour transform."""
    body = bytearray()
    for y in range(tile.height):
        for x in range(tile.width):
            v = [plane.rows[y][x] for plane in tile.planes]
            body += bytes(v if len(v) == 1 else [v[1] + v[0], v[0], v[2] + v[0]])
    return bytes(body)


def block_of(
    model: Model, body: bytes, sizes: list[tuple[int, int]], lockstep: int, rate: int
) -> list[bytes]:
    """Return the pixels of a block's members."""
    reader = Reader(body)
    reader.take(reader.number())  # metadata
    ans = Ans(body[reader.at :])
    ans.take_turns()
    _, frozen, every = model.learning
    learner = Learner(model.tensors, model.channels, model.layers, rate, frozen, every)
    found = []
    for start in range(0, len(sizes), lockstep):
        tiles = [TileDecoder(model, h, w, b"") for h, w in sizes[start : start + lockstep]]
        for tile in tiles:
            tile.ans, tile.learner = ans, learner
        found += run(tiles, learner)
    ans.check_end()
    return found


def chain_of(model: Model, body: bytes, sizes: list[tuple[int, int]]) -> list[bytes]:
    """Return the pixels of the members of a block of bits back."""
    reader = Reader(body)
    reader.take(reader.number())  # metadata
    stack, found = Stack(body[reader.at :]), []
    for height, width in sizes:
        tile = ChainDecoder(model, height, width, b"")
        tile.stack = stack
        tile.decode_squares()
        found.append(pixels_of(tile))
    stack.check_end()
    return found


def unpack(data: bytes, models: list[Model]) -> list[tuple[str, bytes]]:
    """Return every member's name and file."""
    reader = Reader(data)
    index = Reader(index_of(reader))
    hashes = [index.take(8) for _ in range(index.number())]
    index.take(index.number())
    rows: list[list[int]] = []
    used: list[Model] = []
    for _ in range(index.number()):
        kind, first = index.little(1), index.little(1)
        if first & 15 not in (1, 7):
            raise ValueError(f"codec {first & 15} is not known")
        used.append(next(m for m in models if m.hash == hashes[first >> 4]))
        rows.append([kind, first & 15, *(index.number() for _ in range(4)), index.little(4)])
    small = sum(row[2] for row in rows)
    total = small + index.number()
    names = []
    for _ in range(total):
        end = index.data.index(b"\0", index.at)
        names.append(index.take(end - index.at).decode())
        index.take(1)
    for _ in range(2 * total):
        index.number()  # times and permissions
    index.take(small)  # formats
    heights = [index.number() for _ in range(small)]
    widths = [index.number() for _ in range(small)]
    crcs = [index.little(4) for _ in range(small)]
    lengths = [index.number() for _ in range(total - small)]
    found: list[tuple[str, bytes]] = []
    for (kind, codec, members, lockstep, rate, length, crc), model in zip(rows, used, strict=True):
        body = reader.take(length)
        if zlib.crc32(body) != crc:
            raise ValueError("a block is damaged")
        mine = range(len(found), len(found) + members)
        sizes = [(heights[i], widths[i]) for i in mine]
        made = (
            chain_of(model, body, sizes)
            if codec == 7
            else block_of(model, body, sizes, lockstep, rate)
        )
        for place, pixels in enumerate(made):
            i = mine[place]
            if zlib.crc32(pixels, zlib.crc32(struct.pack("<I", place))) != crcs[i]:
                raise ValueError(f"{names[i]} is damaged")
            found.append((names[i], written((kind, 8, *sizes[place], pixels))))
    for name, length in zip(names[small:], lengths, strict=True):
        found.append((name, written(decode(reader.take(length), models))))
    return found


def main() -> None:
    """Decode the file named first with the models named after it, onto standard output."""
    models = [Model(Path(name).read_bytes()) for name in sys.argv[2:]]
    for _, image in unpack(Path(sys.argv[1]).read_bytes(), models):
        sys.stdout.buffer.write(image)


if __name__ == "__main__":
    main()
