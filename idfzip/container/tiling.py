"""Tiles of an image: cut, coded by threads, checked, put together."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from idfzip.codecs import lossy_first, vqvae
from idfzip.codecs.flagship import Flagship
from idfzip.codecs.indexed import Indexed, Palette
from idfzip.codecs.lossy_first import LossyFirst
from idfzip.codecs.vqvae import Vqvae
from idfzip.container import header, raw
from idfzip.container.architecture import Codec, EncodeLevels, Planes
from idfzip.container.devices import Device
from idfzip.container.groups import Content, Group
from idfzip.container.header import ImageHeader, Tile
from idfzip.container.model_file import Model
from idfzip.container.parts import Parts
from idfzip.container.region import Region, whole
from idfzip.errors import FormatError, ModelError
from idfzip.flows import colour
from idfzip.flows.alphabet import Integers
from idfzip.flows.depth import Ladder
from idfzip.images.picture import Kind, Pixels

TILE_ROWS, TILE_COLUMNS = 256, 1024
"""Largest tile. Four Kodak images, bits per subpixel for 64, 128, 192, 256 and 512 rows: 2.637,
2.621, 2.617, 2.613, 2.609; 256 rows give two threads something to do. With a network that
learns, which begins anew in each tile, 256 and 512 rows give 2.899 and 2.887 (5, 13, 15, 23)."""

INDEXED = (512, 1024)
"""Largest tile of categories, whose coder notes up to 600 bytes a pixel before it codes them."""

BILEVEL = header.MAX_TILE
"""Largest tile of two values, which a coder must see many of before it knows a page."""

Progress = Callable[[int], object]
T = TypeVar("T")


def all_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Effort:
    """How work is spread: threads, tiles that one thread advances in lockstep, perhaps a device.

    One tile of 256 rows fills a processor's panels and keeps its sums in a cache of 2 MB; more in
    lockstep are for tiles of few rows, and for devices that want larger groups.
    """

    threads: int = 1
    lockstep: int = 1
    device: Device | None = None

    @property
    def alone(self) -> Effort:
        """The effort of one thread of many."""
        return replace(self, threads=1)

    @property
    def jobs(self) -> int:
        """Jobs to have under way at once: with a device many, which wait for it together."""
        return self.threads if self.device is None else max(self.threads, WAITING)


WAITING = 32
"""Threads that read, check and write while a device codes what they have brought."""


def grid(height: int, width: int, tile: tuple[int, int]) -> tuple[int, int]:
    """Return the size (rows, columns) of the tiles of an image: equal ones, as far as may be.

    No tile has more rows and columns than `tile`.
    """
    rows = -(-height // -(-height // tile[0]))
    columns = -(-width // -(-width // tile[1]))
    return rows, columns


def _tile(parts: Sequence[Part]) -> tuple[int, int]:
    """Return the most rows and columns of a tile."""
    if any(part.group.content != Content.INDEX for part in parts):
        return TILE_ROWS, TILE_COLUMNS
    return BILEVEL if all(len(part.ladder) <= 2 for part in parts) else INDEXED


def checksum(pixels: Pixels, index: int) -> int:
    """Return the CRC-32 of a tile's index and its pixels."""
    return crc32(pixels, zlib.crc32(struct.pack("<I", index)))


def crc32(pixels: Pixels, start: int = 0) -> int:
    """Return the CRC-32 of samples, those of 16 bits with the low byte first."""
    order = pixels.dtype.newbyteorder("<")
    return zlib.crc32(np.ascontiguousarray(pixels, order).data, start)


def codes(model: Model, group: Group, ladder: Ladder) -> bool:
    """Return whether a model codes such a group; one that no model codes has raw tiles."""
    architecture = model.architecture
    if (group.content == Content.INDEX) != architecture.categories:
        return False
    if isinstance(model.codec, Flagship) and model.codec.looks:
        return False
    fits = model.codec.channels == group.channels
    if architecture.lossy:  # a model of colour paints grey as colours that are grey
        fits = model.codec.channels >= group.channels
    return fits and len(ladder) <= architecture.alphabets[1]


def alphabet(model: Model, ladder: Ladder) -> int:
    """Return of how many values a model takes the numbers of a ladder to be."""
    return max(len(ladder), model.architecture.alphabets[0])


def primed(codec: Codec, palette: Palette | None, ladder: Ladder) -> Codec:
    """Return the codec of categories with the colours of a ladder's values, any other as it is."""
    if palette is None or not isinstance(codec, Indexed) or ladder.values[-1] >= len(palette):
        return codec
    return codec.with_palette(palette[ladder.values])


@dataclass(frozen=True)
class Part:
    """One group of planes to be coded: what it is, its values, the models to try, the palette."""

    group: Group
    ladder: Ladder
    models: tuple[Model, ...] = ()
    palette: Palette | None = None


@dataclass(frozen=True)
class Coded:
    """What encoding gives: the tiles' size, the models used, rows for the header, streams.

    Streams are in parts: of `levels`, or each one part.
    """

    size: tuple[int, int]
    models: tuple[Model, ...]
    tiles: tuple[Tile, ...]
    streams: list[Parts]
    levels: bool


_Row = tuple[Model | None, Tile, Parts]
"""A tile coded: the model if there is one, the row for the header, the stream."""


def encode(
    pixels: Pixels,
    parts: Sequence[Part],
    effort: Effort,
    progress: Progress | None = None,
    levels: bool = False,
    size: tuple[int, int] | None = None,
) -> Coded:
    """Return the tiles of a picture, group by group, each by the model that codes it shortest.

    A tile that no model makes smaller is raw. With `levels` streams are in parts, one for each
    level of the model, which must have some; else each is one part. `size` is that of tiles, where
    it is settled. `progress` is called with pixels of groups.
    """
    height, width, _ = pixels.shape
    size = size or grid(height, width, _tile(parts))
    places = header.boxes(height, width, size)
    count = len(places)

    def code(batch: Sequence[int]) -> list[_Row]:
        rows: list[_Row] = []
        for g, part in enumerate(parts):
            mine = [i for i in batch if i // count == g]
            if mine:
                cut = [_cut(pixels, part.group, places[i % count]) for i in mine]
                rows += _code(part, cut, mine, levels, progress, effort.device)
        return rows

    tried = [model for part in parts for model in part.models]
    results = spread(code, range(count * len(parts)), fitting(effort, tried))
    used = {model.identity: model for model, _, _ in results if model is not None}
    order = list(used)
    tiles = tuple(
        tile if model is None else replace(tile, model=order.index(model.identity))
        for model, tile, _ in results
    )
    streams = [stream for _, _, stream in results]
    return Coded(size, tuple(used.values()), tiles, streams, levels and bool(used))


def _cut(pixels: Pixels, group: Group, box: tuple[int, int, int, int]) -> Pixels:
    y, x, h, w = box
    return np.ascontiguousarray(pixels[y : y + h, x : x + w, group.place])


def _code(
    part: Part,
    cut: Sequence[Pixels],
    indices: Sequence[int],
    levels: bool,
    progress: Progress | None,
    device: Device | None,
) -> list[_Row]:
    """Return for each tile the model, if any, its row and its stream in parts."""
    ladder = part.ladder
    numbers = [ladder.forward(tile) for tile in cut]
    best: list[tuple[Model | None, Parts]] = [(None, [raw.pack(n, len(ladder))]) for n in numbers]
    if len(ladder) > 1:
        planes = [colour.forward(n) for n in numbers]
        for model in part.models:
            coder = _coder(model, levels, device)
            with_palette = primed(model.codec, part.palette, ladder)
            streams = coder(with_palette, planes, progress, alphabet(model, ladder))
            found = zip(best, streams, strict=True)
            best = [(model, new) if _size(new) < _size(old[1]) else old for old, new in found]
    rows: list[_Row] = []
    for (which, stream), tile, index in zip(best, cut, indices, strict=True):
        codec = header.RAW if which is None else which.architecture.number
        transform = int(which is not None and part.group.content == Content.COLOUR)
        row = Tile(codec, 0, transform, _size(stream), checksum(tile, index))
        rows.append((which, row, stream))
    return rows


def _coder(model: Model, levels: bool, device: Device | None) -> EncodeLevels:
    """Return the function that gives streams in parts: of the model's levels, or each one part."""
    architecture, known = model.architecture, model
    in_parts = architecture.encode_levels
    if levels and in_parts is None:
        raise ModelError(f"model {model.name} has no levels: it cannot code progressively")

    def code(
        model: Any, tiles: Sequence[Planes], progress: Progress | None = None, alphabet: int = 256
    ) -> list[list[bytes]]:
        if device is not None and device.codes(model):
            coming = device.encode(known, model, tiles, alphabet)
            streams = results(coming, [tile[0].size for tile in tiles], progress)
            return streams if levels else [[b"".join(parts)] for parts in streams]
        if levels and in_parts is not None:
            return in_parts(model, tiles, progress, alphabet)
        return [[stream] for stream in architecture.encode(model, tiles, progress, alphabet)]

    return code


def results(
    futures: Sequence[Future[T]], pixels: Sequence[int], progress: Progress | None
) -> list[T]:
    """Wait for what a device makes of tiles of so many pixels."""
    found = []
    for future, count in zip(futures, pixels, strict=True):
        found.append(future.result())
        if progress is not None:
            progress(count)
    return found


def _size(parts: Parts) -> int:
    return sum(map(len, parts))


@dataclass(frozen=True)
class Decoded:
    """Pixels, (height, width, C), and the indices of tiles that failed their checksum."""

    pixels: Pixels
    failed: list[int]


def decode(
    head: ImageHeader,
    streams: bytes,
    models: Sequence[Model],
    effort: Effort,
    progress: Progress | None = None,
    palette: Palette | None = None,
    region: Region | None = None,
) -> Decoded:
    """Return the pixels of an image; tiles that fail are mid-grey and listed.

    Of a region only those tiles are decoded that have pixels in it. Raises FormatError where a
    model does not fit the tiles that name it, and RegionError.
    """
    part = region or whole(head.height, head.width)
    part.check(head.height, head.width)
    places, groups = head.boxes, head.groups
    count = len(places)
    starts = np.cumsum([0] + [tile.length for tile in head.tiles])
    dtype = sample_type(head.kind)
    pixels = np.empty((part.height, part.width, head.kind.layout.channels), dtype)
    failed: list[int] = []
    for g, (group, ladder) in enumerate(zip(groups, head.ladders, strict=True)):
        check(head.tiles[g * count : (g + 1) * count], models, group, ladder)

    def put(index: int, numbers: Integers | None) -> None:
        g, (here, within) = index // count, part.common(places[index % count])
        target = pixels[(*here, groups[g].place)]
        tile = None if numbers is None else samples(head.ladders[g], numbers, dtype)
        if tile is None or checksum(tile, index) != head.tiles[index].crc:
            failed.append(index)
            target[:] = 1 << (head.kind.depth - 1)
        else:
            target[:] = tile[within]

    def code(batch: Sequence[int]) -> list[int]:
        parts = {i: streams[starts[i] : starts[i + 1]] for i in batch}
        coded: dict[tuple[int, int, int], list[int]] = {}
        for i in batch:
            g, tile = i // count, head.tiles[i]
            if tile.codec == header.RAW:
                shape = (*places[i % count][2:], groups[g].channels)
                put(i, raw.unpack(parts[i], len(head.ladders[g]), shape))
            elif tile.length % 4:
                put(i, None)
            else:
                coded.setdefault((g, tile.model, tile.painter), []).append(i)
        for (g, m, _), mine in coded.items():
            model, sizes = models[m], [places[i % count][2:] for i in mine]
            values, given = alphabet(model, head.ladders[g]), [parts[i] for i in mine]
            codec, decoder = model.codec, model.architecture.decode
            if head.tiles[mine[0]].codec == header.LOSSY_FIRST:
                codec, decoder = painted(models, head.tiles[mine[0]]), lossy_first.decode
            codec = primed(codec, palette, head.ladders[g])
            if effort.device is not None and effort.device.codes(codec):
                coming = effort.device.decode(model, codec, given, sizes, values)
                found = results(coming, [h * w for h, w in sizes], progress)
            else:
                found = decoder(codec, given, sizes, progress, values)
            for i, planes in zip(mine, found, strict=True):
                first = groups[g].channels
                put(i, None if planes is None else colour.inverse(planes[:first]))
        return list(batch)

    wanted = [i for i in range(len(head.tiles)) if part.meets(places[i % count])]
    apart = any(tile.codec == header.LOSSY_FIRST for tile in head.tiles)  # no device codes them
    spread(code, wanted, effort if apart else fitting(effort, models))
    all_of_it = pixels.shape[:2] == (head.height, head.width)
    if not failed and all_of_it and len(head.tiles) > 1 and crc32(pixels) != head.crc:
        failed = wanted
    return Decoded(pixels, sorted(failed))


def sample_type(kind: Kind) -> type[np.uint8 | np.uint16]:
    """Return the type of the samples of a kind."""
    return np.uint16 if kind.depth == 16 else np.uint8


def samples(ladder: Ladder, numbers: Integers, dtype: type[np.uint8 | np.uint16]) -> Pixels:
    """Return the samples of numbers; those out of range, of damaged streams, are clamped."""
    inside = np.clip(numbers, 0, len(ladder) - 1).astype(np.uint16)
    return ladder.inverse(inside).astype(dtype)


def check(rows: Sequence[Tile], models: Sequence[Model], group: Group, ladder: Ladder) -> None:
    """Raise FormatError unless each tile's model is of its codec and codes its group."""
    for row in {replace(row, length=0, crc=0) for row in rows if row.codec}:
        model = models[row.model]
        if row.codec == header.LOSSY_FIRST:
            if painted(models, row).channels != group.channels or len(ladder) != vqvae.VALUES:
                raise FormatError(f"model {model.name} does not code {group.content.value}")
            continue
        if model.architecture.number != row.codec:
            raise FormatError(f"model {model.name} is not of the codec that its tiles name")
        if not codes(model, group, ladder):
            raise FormatError(
                f"model {model.name} codes {model.codec.channels} channels, and not "
                f"{group.content.value} of {len(ladder)} values"
            )


def painted(models: Sequence[Model], row: Tile) -> LossyFirst:
    """Return the codec of a lossy-first tile; raises FormatError where its models are others."""
    painter, rest = models[row.painter].codec, models[row.model].codec
    if not isinstance(painter, Vqvae) or not isinstance(rest, Flagship):
        raise FormatError(
            f"models {models[row.painter].name} and {models[row.model].name} are not of the codec "
            "that their tiles name"
        )
    return LossyFirst(painter, rest)


def fitting(effort: Effort, models: Sequence[Model]) -> Effort:
    """Return an effort that gives a device all tiles at once if it codes all these models."""
    if effort.device is None or not all(effort.device.codes(m.codec) for m in models):
        return effort
    return replace(effort, threads=1, lockstep=1 << 30)


def spread(
    code: Callable[[Sequence[int]], list[T]], tiles: Sequence[int], effort: Effort
) -> list[T]:
    """Run `code` on runs of tiles, over threads."""
    share = max(1, min(effort.lockstep, -(-len(tiles) // effort.threads)))
    batches = [tiles[i : i + share] for i in range(0, len(tiles), share)]
    if effort.threads == 1 or len(batches) == 1:
        return [result for batch in batches for result in code(batch)]
    with ThreadPoolExecutor(effort.threads) as pool:
        return [result for part in pool.map(code, batches) for result in part]
