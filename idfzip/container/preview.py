"""Previews: what the first part of an `.idfz` file shows. Nothing here is verified."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idfzip.codecs import lossy_first
from idfzip.codecs.seen import Seen
from idfzip.container import fit, header, noise, parts, raw
from idfzip.container.devices import Device
from idfzip.container.effort import Effort
from idfzip.container.groups import Content
from idfzip.container.header import ImageHeader, StoredHeader
from idfzip.container.idfz import Start
from idfzip.container.model_file import Model
from idfzip.container.samples import sample_type, samples
from idfzip.errors import FormatError, UnsupportedImage
from idfzip.flows import colour
from idfzip.flows.alphabet import Integers
from idfzip.images import pnm
from idfzip.images.picture import Kind, Layout, Picture, Pixels

_SEED = 0
"""Samples of the rest of an image are always the same."""


@dataclass(frozen=True)
class Preview:
    """A picture, and the share of its values that were read, 0 to 1."""

    picture: Picture
    share: float


@dataclass(frozen=True)
class _Tile:
    """A tile's samples, where they are known, and the share of the values that was read."""

    samples: Pixels
    known: npt.NDArray[np.bool_]
    share: float


def image_header(start: Start) -> ImageHeader:
    """Return the header of a file of which a part shows something.

    Raises FormatError for a stored or packed one, UnsupportedImage for categories and CMYK.
    """
    head = start.file.head
    if not isinstance(head, ImageHeader):
        how = "as it is" if isinstance(head, StoredHeader) else f"as {head.packing}"
        raise FormatError(f"a file that is stored {how} has no preview: decompress it")
    categories = any(group.content == Content.INDEX for group in head.groups)
    if categories or head.kind.layout == Layout.CMYK:
        raise UnsupportedImage(f"an image of kind {head.kind} has no preview: decompress it")
    return head


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


def preview(
    start: Start,
    models: Sequence[Model],
    sample: bool,
    effort: Effort = Effort(),  # noqa: B008
) -> Preview:
    """Return what the beginning of a file shows.

    Where a codec goes from coarse to fine, values that were not read are the means of what the
    model expects; elsewhere the mean of their channel takes their place, or what is opaque of an
    alpha of which nothing was read. With `sample` they are
    drawn from the model in both cases. Raises FormatError where a model does not fit its tiles.
    """
    head = image_header(start)
    boxes, groups = head.boxes, head.groups
    count = len(boxes)
    for g, (group, ladder) in enumerate(zip(groups, head.ladders, strict=True)):
        fit.check(head.tiles[g * count : (g + 1) * count], models, group, ladder)
    streams = _streams(start, head)

    def see(i: int) -> _Tile:
        return _tile(head, i, streams[i], models, sample, effort.device)

    with ThreadPoolExecutor(effort.jobs) as pool:
        tiles = list(pool.map(see, range(len(streams))))
    shape = (head.height, head.width, head.kind.layout.channels)
    pixels = np.empty(shape, sample_type(head.kind))
    known = np.empty(shape, bool)
    for i, tile in enumerate(tiles):
        y, x, h, w = boxes[i % count]
        place = (slice(y, y + h), slice(x, x + w), groups[i // count].place)
        pixels[place] = tile.samples
        known[place] = tile.known[..., None]
    for c in range(shape[2]):
        plane, there = pixels[..., c], known[..., c]
        seen = plane[there]
        plane[~there] = np.rint(seen.mean()) if len(seen) else _blank(head.kind, c)
    read = sum(tile.share * tile.samples.size for tile in tiles)
    pixels = pnm.spread(pixels, head.kind, start.file.metadata.head)  # a PNG has no maximum
    picture = Picture(pixels, layout=head.kind.layout, depth=head.kind.depth)
    return Preview(picture, read / pixels.size)


def _blank(kind: Kind, channel: int) -> int:
    """Return what stands for a channel of which nothing was read: opaque, or mid-grey."""
    alpha = kind.layout in (Layout.GREY_ALPHA, Layout.RGBA)
    opaque = alpha and channel == kind.layout.channels - 1
    return (1 << kind.depth) - 1 if opaque else 1 << (kind.depth - 1)


def _streams(start: Start, head: ImageHeader) -> list[bytes]:
    """Return the stream of each tile, as far as it is there."""
    data = start.file.streams
    if start.table is not None:
        return parts.gathered(data, start.table)
    ends = np.cumsum([tile.length for tile in head.tiles])
    return [data[end - tile.length : end] for end, tile in zip(ends, head.tiles, strict=True)]


def _tile(
    head: ImageHeader,
    index: int,
    stream: bytes,
    models: Sequence[Model],
    sample: bool,
    device: Device | None,
) -> _Tile:
    row, count = head.tiles[index], len(head.boxes)
    group, ladder = head.groups[index // count], head.ladders[index // count]
    size = head.boxes[index % count][2:]
    whole = np.ones(size, bool)
    dtype = sample_type(head.kind)
    if row.codec == header.RAW:
        numbers, known = _raw(stream, row.length, len(ladder), (*size, group.channels))
        return _Tile(samples(ladder, numbers, dtype), known, float(known.mean()))
    model = models[row.model]
    if row.codec == header.LOSSY_FIRST:
        see = noise.on_device(fit.painted(models, row), lossy_first.preview, device)
    else:
        see = noise.viewer(model, device)
    alphabet = fit.alphabet(model, ladder)
    cut = len(stream) < row.length
    words = stream[: len(stream) & ~3]

    def shown(seen: Seen) -> Pixels:
        return samples(ladder, colour.inverse(seen.planes[: group.channels]), dtype)

    seen = see(words, size, cut, alphabet)
    if cut and sample:
        words += noise.stream(size, group.channels, (_SEED, index))
        return _Tile(shown(see(words, size, False, alphabet)), whole, seen.share)
    return _Tile(shown(seen), whole if seen.known is None else seen.known, seen.share)


def _raw(
    stream: bytes, length: int, alphabet: int, shape: tuple[int, int, int]
) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Return the numbers of a raw tile whose stream may be cut, and where they are known."""
    count = shape[0] * shape[1]
    fits = length == raw.length(alphabet, count * shape[2])
    numbers = raw.unpack(stream.ljust(length, b"\0"), alphabet, shape) if fits else None
    if numbers is None:
        raise FormatError(f"a raw tile of {length} bytes is damaged")
    bits = raw.width(alphabet) * shape[2]
    there = 8 * len(stream) // bits if bits else count
    return numbers, (np.arange(count) < there).reshape(shape[:2])
