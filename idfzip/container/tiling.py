"""Tiles of an image: cut, coded by threads, checked, put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from idfzip.codecs import lossy_first
from idfzip.codecs.indexed import Palette
from idfzip.container import fit, header, raw
from idfzip.container.architecture import EncodeLevels, Planes
from idfzip.container.devices import Device
from idfzip.container.effort import Effort, Progress, each, fitting, results, spread
from idfzip.container.groups import Content, Group
from idfzip.container.header import ImageHeader, Tile
from idfzip.container.model_file import Model
from idfzip.container.parts import Parts
from idfzip.container.plan import Part
from idfzip.container.region import Region, whole
from idfzip.container.samples import checksum, crc32, sample_type, samples
from idfzip.errors import ModelError
from idfzip.flows import colour
from idfzip.images.picture import Pixels

TILE_ROWS, TILE_COLUMNS = 256, 1024
"""Largest tile. Four Kodak images, bits per subpixel for 64, 128, 192, 256 and 512 rows: 2.637,
2.621, 2.617, 2.613, 2.609; 256 rows give two threads something to do. With a network that
learns, which begins anew in each tile, 256 and 512 rows give 2.899 and 2.887 (5, 13, 15, 23)."""

INDEXED = (512, 1024)
"""Largest tile of categories, whose coder notes up to 600 bytes a pixel before it codes them."""

BILEVEL = header.MAX_TILE
"""Largest tile of two values, which a coder must see many of before it knows a page."""


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


@dataclass(frozen=True)
class Coded:
    """What encoding gives: the tiles' size, the models used, rows for the header, streams.

    Streams are in parts: of `levels`, or each one part. `crc` is that of the whole picture.
    """

    size: tuple[int, int]
    models: tuple[Model, ...]
    tiles: tuple[Tile, ...]
    streams: list[Parts]
    levels: bool
    crc: int


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

    def take(group: Group, i: int) -> Pixels:
        return _cut(pixels, group, places[i % count])

    def code(batch: Sequence[int]) -> list[_Row]:
        rows: list[_Row] = []
        for g, part in enumerate(parts):
            mine = [i for i in batch if i // count == g]
            if mine:
                cut = each(partial(take, part.group), mine, len(mine), beside)
                rows += _code(part, cut, mine, levels, progress, effort.device, beside)
        return rows

    tried = [model for part in parts for model in part.models]
    how = fitting(effort, tried)
    beside = effort.threads // how.threads
    results = spread(code, range(count * len(parts)), how)
    used = {model.identity: model for model, _, _ in results if model is not None}
    order = list(used)
    tiles = tuple(
        tile if model is None else replace(tile, model=order.index(model.identity))
        for model, tile, _ in results
    )
    streams = [stream for _, _, stream in results]
    crc = crc32(pixels, effort.threads)
    return Coded(size, tuple(used.values()), tiles, streams, levels and bool(used), crc)


def _cut(pixels: Pixels, group: Group, box: tuple[int, int, int, int]) -> Pixels:
    """Return a copy of what a tile has of a group, which one compiled kernel fits."""
    y, x, h, w = box
    return np.array(pixels[y : y + h, x : x + w, group.place], order="C")


def _code(
    part: Part,
    cut: Sequence[Pixels],
    indices: Sequence[int],
    levels: bool,
    progress: Progress | None,
    device: Device | None,
    threads: int,
) -> list[_Row]:
    """Return for each tile the model, if any, its row and its stream in parts.

    What is to be done beside coding is done in `threads`.
    """
    ladder = part.ladder
    best: list[tuple[Model, Parts] | None] = [None] * len(cut)
    least = [raw.length(len(ladder), tile.size) for tile in cut]
    if len(ladder) > 1:
        numbers = ladder.numbers
        planes = each(lambda tile: colour.to_planes(tile, numbers), cut, len(cut), threads)
        for model in part.models:
            coder = _coder(model, levels, device)
            with_palette = fit.primed(model.codec, part.palette, ladder)
            streams = coder(with_palette, planes, progress, fit.alphabet(model, ladder))
            for i, stream in enumerate(streams):
                if _size(stream) < least[i]:
                    best[i], least[i] = (model, stream), _size(stream)

    def row(k: int) -> _Row:
        crc = checksum(cut[k], indices[k])
        found = best[k]
        if found is None:
            stream = [raw.pack(ladder.forward(cut[k]), len(ladder))]
            return None, Tile(header.RAW, 0, 0, least[k], crc), stream
        number, transform = found[0].architecture.number, part.group.content == Content.COLOUR
        return found[0], Tile(number, 0, int(transform), least[k], crc), found[1]

    return each(row, range(len(cut)), len(cut), threads)


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
            streams = list(results(coming, [tile[0].size for tile in tiles], progress))
            return streams if levels else [[b"".join(parts)] for parts in streams]
        if levels and in_parts is not None:
            return in_parts(model, tiles, progress, alphabet)
        return [[stream] for stream in architecture.encode(model, tiles, progress, alphabet)]

    return code


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
        fit.check(head.tiles[g * count : (g + 1) * count], models, group, ladder)

    def put(index: int, tile: Pixels | None) -> None:
        g, (here, within) = index // count, part.common(places[index % count])
        target = pixels[(*here, groups[g].place)]
        if tile is None or checksum(tile, index) != head.tiles[index].crc:
            failed.append(index)
            target[:] = 1 << (head.kind.depth - 1)
        else:
            target[:] = tile[within]

    def finish(channels: int, values: Pixels, one: tuple[int, Planes | None]) -> None:
        index, planes = one
        put(index, None if planes is None else colour.to_samples(planes[:channels], values))

    def code(batch: Sequence[int]) -> list[int]:
        parts = {i: streams[starts[i] : starts[i + 1]] for i in batch}
        coded: dict[tuple[int, int, int], list[int]] = {}
        for i in batch:
            g, tile = i // count, head.tiles[i]
            if len(parts[i]) < tile.length:
                put(i, None)
            elif tile.codec == header.RAW:
                shape = (*places[i % count][2:], groups[g].channels)
                numbers = raw.unpack(parts[i], len(head.ladders[g]), shape)
                put(i, None if numbers is None else samples(head.ladders[g], numbers, dtype))
            elif tile.length % 4:
                put(i, None)
            else:
                coded.setdefault((g, tile.model, tile.painter), []).append(i)
        for (g, m, _), mine in coded.items():
            model, sizes = models[m], [places[i % count][2:] for i in mine]
            values, given = fit.alphabet(model, head.ladders[g]), [parts[i] for i in mine]
            known: Model | fit.Pair = model
            decoder = model.architecture.decode
            if head.tiles[mine[0]].codec == header.LOSSY_FIRST:
                known, decoder = fit.painted(models, head.tiles[mine[0]]), lossy_first.decode
            codec = fit.primed(known.codec, palette, head.ladders[g])
            found: Iterable[Planes | None]
            if effort.device is not None and effort.device.codes(codec):
                coming = effort.device.decode(known, codec, given, sizes, values)
                found = results(coming, [h * w for h, w in sizes], progress)
            else:
                found = decoder(codec, given, sizes, progress, values)
            last = partial(finish, groups[g].channels, head.ladders[g].values.astype(dtype))
            each(last, zip(mine, found, strict=True), len(mine), beside)
        return list(batch)

    wanted = [i for i in range(len(head.tiles)) if part.meets(places[i % count])]
    how = fitting(effort, models)
    beside = effort.threads // how.threads
    spread(code, wanted, how)
    all_of_it = pixels.shape[:2] == (head.height, head.width)
    sound = not failed and all_of_it and len(head.tiles) > 1
    if sound and crc32(pixels, effort.threads) != head.crc:
        failed = wanted
    return Decoded(pixels, sorted(failed))
