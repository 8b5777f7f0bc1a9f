"""Previews: what the first part of an `.idfz` file shows. Nothing here is verified."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idfzip.container import header, noise, parts
from idfzip.container.header import ImageHeader
from idfzip.container.idfz import Start
from idfzip.container.model_file import Model
from idfzip.errors import FormatError, IdfzipError
from idfzip.flows import colour
from idfzip.images.picture import Pixels

_GREY = 128
_SEED = 0
"""Samples of the rest of an image are always the same."""


@dataclass(frozen=True)
class Preview:
    """Pixels, uint8 (height, width, C), and the share of the values that were read, 0 to 1."""

    pixels: Pixels
    share: float


@dataclass(frozen=True)
class _Tile:
    """A tile's pixels, where they are known, and the share of the values that was read."""

    pixels: Pixels
    known: npt.NDArray[np.bool_]
    share: float


def image_header(start: Start) -> ImageHeader:
    """Return the header of a file that holds an image; raises FormatError for another."""
    if not isinstance(start.file.head, ImageHeader):
        raise FormatError("a file that is stored as it is has no preview: decompress it")
    return start.file.head


def through(start: Start, levels: int) -> int:
    """Return the number of bytes of a file up to the end of its `levels` coarsest levels.

    Raises FormatError where the file has none, or fewer.
    """
    image_header(start)
    if start.table is None:
        raise FormatError("the file has no levels: those of 'compress --progressive' have")
    count = len(start.table[0])
    if not 1 <= levels <= count:
        raise FormatError(f"level {levels}: the file has levels 1 to {count}")
    return start.size + parts.through(start.table, levels)


def preview(start: Start, models: Sequence[Model], sample: bool, threads: int = 1) -> Preview:
    """Return what the beginning of a file shows.

    Where a codec goes from coarse to fine, values that were not read are the means of what the
    model expects; elsewhere the image's mean takes their place. With `sample` they are drawn from
    the model in both cases.
    """
    head = image_header(start)
    streams = _streams(start, head)

    def see(i: int) -> _Tile:
        return _tile(head, i, streams[i], models, sample)

    with ThreadPoolExecutor(threads) as pool:
        tiles = list(pool.map(see, range(len(streams))))
    pixels = np.empty((head.height, head.width, head.channels), np.uint8)
    known = np.empty((head.height, head.width), bool)
    for (y, x, h, w), tile in zip(head.boxes, tiles, strict=True):
        pixels[y : y + h, x : x + w] = tile.pixels
        known[y : y + h, x : x + w] = tile.known
    if not known.all():
        seen = pixels[known]
        pixels[~known] = np.rint(seen.mean(0)).astype(np.uint8) if len(seen) else _GREY
    areas = [h * w for _, _, h, w in head.boxes]
    read = sum(tile.share * area for tile, area in zip(tiles, areas, strict=True))
    return Preview(pixels, read / sum(areas))


def _streams(start: Start, head: ImageHeader) -> list[bytes]:
    """Return the stream of each tile, as far as it is there."""
    data = start.file.streams
    if start.table is not None:
        return parts.gathered(data, start.table)
    ends = np.cumsum([tile.length for tile in head.tiles])
    return [data[end - tile.length : end] for end, tile in zip(ends, head.tiles, strict=True)]


def _tile(
    head: ImageHeader, index: int, stream: bytes, models: Sequence[Model], sample: bool
) -> _Tile:
    tile = head.tiles[index]
    height, width = head.boxes[index][2:]
    shape = (height, width, head.channels)
    if tile.codec == header.RAW:
        count = min(len(stream), height * width * head.channels) // head.channels
        pixels = np.zeros(shape, np.uint8)
        whole = np.frombuffer(stream, np.uint8, count * head.channels)
        pixels.reshape(-1, head.channels)[:count] = whole.reshape(count, head.channels)
        known = (np.arange(height * width) < count).reshape(height, width)
        return _Tile(pixels, known, float(known.mean()))
    model = models[tile.model]
    see = model.architecture.preview
    if see is None:
        raise IdfzipError(f"model {model.name}: its architecture has no preview")
    cut = len(stream) < tile.length
    words = stream[: len(stream) & ~3]
    seen = see(model.codec, words, (height, width), cut)
    if cut and sample:
        words += noise.stream((height, width), head.channels, (_SEED, index))
        drawn = see(model.codec, words, (height, width), False)
        return _Tile(colour.inverse(drawn.planes), np.ones((height, width), bool), seen.share)
    known = np.ones((height, width), bool) if seen.known is None else seen.known
    return _Tile(colour.inverse(seen.planes), known, seen.share)
