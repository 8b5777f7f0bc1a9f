"""Tiles of an image: cut, coded by threads, checked, put together."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from idfzip.container import header
from idfzip.container.architecture import EncodeLevels, Planes
from idfzip.container.header import ImageHeader, Tile
from idfzip.container.model_file import Model
from idfzip.container.parts import Parts
from idfzip.errors import ModelError
from idfzip.flows import colour
from idfzip.images.picture import Pixels

TILE_ROWS, TILE_COLUMNS = 256, 1024
"""Largest tile. Four Kodak images, bits per subpixel for 64, 128, 192, 256 and 512 rows: 2.637,
2.621, 2.617, 2.613, 2.609; 256 rows give two threads something to do. With a network that
learns, which begins anew in each tile, 256 and 512 rows give 2.899 and 2.887 (5, 13, 15, 23)."""

Progress = Callable[[int], object]
T = TypeVar("T")


def all_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Effort:
    """How work is spread: threads, and tiles that one thread advances in lockstep.

    One tile of 256 rows fills a processor's panels and keeps its sums in a cache of 2 MB; more in
    lockstep are for tiles of few rows, and for devices that want larger groups.
    """

    threads: int = 1
    lockstep: int = 1


def grid(height: int, width: int) -> tuple[int, int]:
    """Return the size (rows, columns) of the tiles of an image: equal ones, as far as may be."""
    rows = -(-height // -(-height // TILE_ROWS))
    columns = -(-width // -(-width // TILE_COLUMNS))
    return rows, columns


def checksum(pixels: Pixels, index: int) -> int:
    """Return the CRC-32 of a tile's index and its pixels."""
    return zlib.crc32(np.ascontiguousarray(pixels).data, zlib.crc32(struct.pack("<I", index)))


def encode(
    pixels: Pixels,
    model: Model,
    effort: Effort,
    progress: Progress | None = None,
    levels: bool = False,
) -> tuple[tuple[int, int], list[Tile], list[Parts]]:
    """Return the size of tiles, their rows for the header, and their streams.

    With `levels` streams are in parts, one for each level of the model; else each is one part.
    """
    height, width, _ = pixels.shape
    size = grid(height, width)
    places = header.boxes(height, width, size)
    coder = _coder(model, levels)

    def code(batch: Sequence[int]) -> list[tuple[Tile, Parts]]:
        cut = [_cut(pixels, places[i]) for i in batch]
        planes = [colour.forward(tile) for tile in cut]
        streams = coder(model.codec, planes, progress)
        number = model.architecture.number
        return [
            _smaller(number, i, tile, s) for i, tile, s in zip(batch, cut, streams, strict=True)
        ]

    results = _spread(code, len(places), effort)
    return size, [tile for tile, _ in results], [stream for _, stream in results]


def _cut(pixels: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    y, x, h, w = box
    return np.ascontiguousarray(pixels[y : y + h, x : x + w])


def _coder(model: Model, levels: bool) -> EncodeLevels:
    if levels:
        if model.architecture.encode_levels is None:
            raise ModelError(f"model {model.name} has no levels: it cannot code progressively")
        return model.architecture.encode_levels
    kind = model.architecture

    def whole(
        model: Any, tiles: Sequence[Planes], progress: Progress | None = None
    ) -> list[list[bytes]]:
        return [[stream] for stream in kind.encode(model, tiles, progress)]

    return whole


def _smaller(codec: int, index: int, pixels: Pixels, parts: Parts) -> tuple[Tile, Parts]:
    crc = checksum(pixels, index)
    length = sum(map(len, parts))
    if length < pixels.size:
        transform = int(pixels.shape[2] == 3)
        return Tile(codec, 0, transform, length, crc), parts
    return Tile(header.RAW, 0, 0, pixels.size, crc), [pixels.tobytes()]


@dataclass(frozen=True)
class Decoded:
    """Pixels, uint8 (height, width, C), and the indices of tiles that failed their checksum."""

    pixels: Pixels
    failed: list[int]


def decode(
    head: ImageHeader,
    streams: bytes,
    models: Sequence[Model],
    effort: Effort,
    progress: Progress | None = None,
) -> Decoded:
    """Return the pixels of an image; tiles that fail are mid-grey and listed."""
    places = head.boxes
    starts = np.cumsum([0] + [tile.length for tile in head.tiles])
    pixels = np.empty((head.height, head.width, head.channels), np.uint8)
    failed: list[int] = []

    def code(batch: Sequence[int]) -> list[int]:
        for i in batch:
            if head.tiles[i].codec == header.RAW:
                h, w = places[i][2:]
                raw = np.frombuffer(streams[starts[i] : starts[i + 1]], np.uint8)
                fits = raw.size == h * w * head.channels
                _put(i, raw.reshape(h, w, head.channels) if fits else None)
        for m, model in enumerate(models):
            mine = [i for i in batch if head.tiles[i].codec and head.tiles[i].model == m]
            whole = [i for i in mine if head.tiles[i].length % 4 == 0]
            for i in set(mine) - set(whole):
                _put(i, None)
            if whole:
                parts = [streams[starts[i] : starts[i + 1]] for i in whole]
                sizes = [places[i][2:] for i in whole]
                found = model.architecture.decode(model.codec, parts, sizes, progress)
                for i, planes in zip(whole, found, strict=True):
                    _put(i, None if planes is None else colour.inverse(planes))
        return list(batch)

    def _put(i: int, tile: Pixels | None) -> None:
        y, x, h, w = places[i]
        if tile is None or checksum(tile, i) != head.tiles[i].crc:
            failed.append(i)
            pixels[y : y + h, x : x + w] = 128
        else:
            pixels[y : y + h, x : x + w] = tile

    _spread(code, len(places), effort)
    if not failed and len(places) > 1 and zlib.crc32(pixels.data) != head.crc:
        failed = list(range(len(places)))
    return Decoded(pixels, sorted(failed))


def _spread(code: Callable[[Sequence[int]], list[T]], tiles: int, effort: Effort) -> list[T]:
    """Run `code` on runs of tiles, over threads."""
    share = max(1, min(effort.lockstep, -(-tiles // effort.threads)))
    batches = [range(i, min(i + share, tiles)) for i in range(0, tiles, share)]
    if effort.threads == 1 or len(batches) == 1:
        return [result for batch in batches for result in code(batch)]
    with ThreadPoolExecutor(effort.threads) as pool:
        return [result for part in pool.map(code, batches) for result in part]
