"""Lossy files, and lossless ones that begin as such; alpha is kept as it is in both.

A lossy file holds a picture of its own, the one that the model paints, exactly: its checksums are
of the painted pixels, and reading it is reading any other `.idfz` file. A lossy-first file goes on
with what makes the picture exact; the codes of all tiles come first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from idfzip.codecs import lossy_first, vqvae
from idfzip.codecs.flagship import Flagship
from idfzip.codecs.lossy_first import LossyFirst
from idfzip.codecs.painter import Vqvae
from idfzip.codecs.vqvae import Planes, Sides
from idfzip.container import fit, groups, header, idfz, models, tiling
from idfzip.container.devices import Device
from idfzip.container.effort import Effort, Progress, spread
from idfzip.container.groups import Content, Group
from idfzip.container.header import Tile
from idfzip.container.model_file import Model
from idfzip.container.parts import Parts
from idfzip.container.plan import Part
from idfzip.container.samples import checksum, crc32
from idfzip.container.tiling import Coded
from idfzip.errors import ModelError, UnsupportedImage
from idfzip.flows import colour
from idfzip.images import pnm
from idfzip.images.picture import Layout, Picture, Pixels

Paint = Callable[..., tuple[list[bytes], Planes]]
"""Returns stream and painting of planes, stages, rate and sides, as `vqvae.encode_stages`."""

TILE = (1024, 1024)
"""Largest tile: rows and columns. Each is painted alone, so that memory is bounded."""

MOST_QUALITY = 100
DEFAULT_QUALITY = 50

FIRST_TILE = (512, 1024)
"""The same of a lossless file that begins with a lossy picture."""

FIRST_QUALITY = 40
"""The quality of that picture, unless another is asked for."""

_LAYOUTS = (Layout.GREY, Layout.GREY_ALPHA, Layout.RGB, Layout.RGBA)

_RATE = 1 << 15
"""Weight of bits, in 1/16 of a squared distance, at the lower end of a number of stages."""


@dataclass(frozen=True)
class Lossy:
    """A lossy file, and the picture that it holds."""

    data: bytes
    picture: Picture


def plan(model: Vqvae, quality: int) -> tuple[int, int]:
    """Return the number of stages of a quality, 1 to 100, and the weight of bits.

    Every number of stages has its share of the qualities; within it bits weigh less and less.
    """
    place = quality * model.stages
    stages = -(-place // MOST_QUALITY)
    missing = stages * MOST_QUALITY - place
    return stages, _RATE * missing // MOST_QUALITY


def psnr(first: Pixels, second: Pixels) -> float:
    """Return the peak signal-to-noise ratio of 8-bit samples in dB; infinite where all are equal.

    >>> round(psnr(np.zeros((2, 2, 1), np.uint8), np.full((2, 2, 1), 1, np.uint8)), 2)
    48.13
    """
    error = float(np.mean((first.astype(np.float64) - second) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def compress(
    picture: Picture,
    model: Model,
    quality: int = DEFAULT_QUALITY,
    effort: Effort = Effort(),  # noqa: B008
    progress: Progress | None = None,
    embed: bool = False,
    levels: bool = False,
) -> Lossy:
    """Return a lossy file of a picture; with `levels` it begins with the coarse ones of all tiles.

    Raises ModelError where the model is not lossy or does not fit, and UnsupportedImage for
    pictures that are neither grey nor colour of 8 bits.
    """
    codec = check(picture, model)
    if (
        picture.format == "PPM"
        and pnm.maximum(picture.metadata.head, picture.kind) != vqvae.VALUES - 1
    ):
        raise UnsupportedImage("samples of a PNM whose maximum is not 255 cannot be lossy")
    wanted, paint = plan(codec, quality), _painter(model, codec, effort.device)

    def code(whole: Planes, sides: Sides) -> tuple[Parts, Planes]:
        stream, painted = paint(whole, *wanted, sides)
        return stream if levels else [b"".join(stream)], painted

    work = _Work(header.VQVAE, TILE, codec.stride, code)
    return _file(picture, work, (model,), effort, progress, embed, levels)


def compress_first(
    picture: Picture,
    model: Model,
    rest: Model | None = None,
    quality: int = FIRST_QUALITY,
    effort: Effort = Effort(),  # noqa: B008
    progress: Progress | None = None,
    embed: bool = False,
    level: int = models.DEFAULT_LEVEL,
) -> bytes:
    """Return a lossless file that begins with what `model` paints of a picture.

    `rest` codes the pixels; without it a released model, of an effort `level`. Raises errors as
    `compress`, and ModelError where the rest does not fit.
    """
    codec = check(picture, model)
    group = groups.of(picture.kind)[-1]
    rest = rest or models.lossy_first(group.content, level)
    flagship = rest.codec
    if not isinstance(flagship, Flagship) or flagship.channels != group.channels:
        raise ModelError(f"model {rest.name} does not code {picture.kind} after a lossy picture")
    both, wanted = LossyFirst(codec, flagship), plan(codec, quality)
    encode = _first_coder(fit.Pair(rest, model, both), effort.device)

    def code(whole: Planes, sides: Sides) -> tuple[Parts, Planes]:
        return encode(whole, *wanted, sides), both.inner(whole, sides)

    work = _Work(header.LOSSY_FIRST, FIRST_TILE, codec.stride, code)
    return _file(picture, work, (rest, model), effort, progress, embed, True).data


def told_apart(given: Model | None) -> tuple[Model, Model | None]:
    """Return the lossy model of a lossy-first file, and that of the rest where it was given.

    One that is given is either; the released ones take the place of what is not.
    """
    if given is not None and given.architecture.lossy:
        return given, None
    return models.packaged(models.LOSSY), given


def check(picture: Picture, model: Model) -> Vqvae:
    """Return the codec of a lossy model that fits a picture; raises errors as `compress`."""
    codec, kind = model.codec, picture.kind
    if not isinstance(codec, Vqvae):
        raise ModelError(f"model {model.name} is not lossy: leave out --lossy, or name another")
    if kind.depth != 8 or kind.layout not in _LAYOUTS:
        raise UnsupportedImage(
            f"{kind}: only grey and RGB of 8 bits, with or without alpha, are coded with loss"
        )
    if codec.channels == 1 and groups.of(kind)[-1].channels == 3:
        raise ModelError(f"model {model.name} is of grey images, the image is {kind}")
    return codec


@dataclass(frozen=True)
class _Work:
    """How a group is coded: the codec's number, the largest tile, the margin, and the function.

    `code` takes planes with margins at the sides that are told, and gives the stream's parts and
    the planes that decoding gives.
    """

    number: int
    tile: tuple[int, int]
    margin: int
    code: Callable[[Planes, Sides], tuple[Parts, Planes]]


def _file(
    picture: Picture,
    work: _Work,
    needed: Sequence[Model],
    effort: Effort,
    progress: Progress | None,
    embed: bool,
    levels: bool,
) -> Lossy:
    """Return the file of a picture, its alpha without loss, and what it holds.

    The first of the models that are needed codes the tiles, the last one paints.
    """
    height, width, _ = picture.pixels.shape
    size = tiling.grid(height, width, work.tile)
    pixels = picture.pixels.copy()
    coded, parts = _alpha(picture, size, effort, progress)
    group = groups.of(picture.kind)[-1]
    rows, streams = _tiles(pixels, group, work, size, len(coded.tiles), effort, progress)
    used = {model.identity: model for model in (*coded.models, *needed)}
    first, last = (list(used).index(needed[i].identity) for i in (0, -1))
    painter = last if len(needed) > 1 else 0
    whole = Coded(
        size,
        tuple(used.values()),
        (*coded.tiles, *(replace(row, model=first, painter=painter) for row in rows)),
        [*coded.streams, *streams],
        levels,
        crc32(pixels, effort.threads),
    )
    parts.append(Part(group, groups.full(8), tuple(needed)))
    found = replace(picture, pixels=pixels)
    return Lossy(idfz.assemble(found, whole, parts, embed), found)


def _alpha(
    picture: Picture, size: tuple[int, int], effort: Effort, progress: Progress | None
) -> tuple[Coded, list[Part]]:
    """Return the tiles of alpha, coded without loss, and what they are of; nothing without it."""
    group, *others = groups.of(picture.kind)
    if not others:
        return Coded(size, (), (), [], False, 0), []
    samples = picture.pixels[:, :, group.place]
    ladder = groups.ladder(group, samples, 8)
    known = tuple(m for m in models.released(Content.GREY) if fit.codes(m, group, ladder))
    part = Part(group, ladder, known)
    return tiling.encode(picture.pixels, [part], effort, progress, size=size), [part]


def _cut(around: Pixels, sides: Sequence[int], margin: int) -> Pixels:
    """Return pixels without margins that are narrower than a whole one."""
    top, left, bottom, right = (side % margin for side in sides)
    return around[top : around.shape[0] - bottom, left : around.shape[1] - right]


def _painter(model: Model, codec: Vqvae, device: Device | None) -> Paint:
    """Return `vqvae.encode_stages` of a model, or the like that waits for a device."""
    if device is None:
        return partial(vqvae.encode_stages, codec)
    there = partial(device.paint, model, codec)
    return lambda *given: there(*given).result()


def _first_coder(pair: fit.Pair, device: Device | None) -> Callable[..., Parts]:
    """Return `lossy_first.encode` of two models, or the like that waits for a device."""
    if device is None or not device.codes(pair.codec):
        return partial(lossy_first.encode, pair.codec)
    there = partial(device.encode_first, pair, pair.codec)
    return lambda *given: there(*given).result()


def _tiles(
    pixels: Pixels,
    group: Group,
    work: _Work,
    size: tuple[int, int],
    first: int,
    effort: Effort,
    progress: Progress | None,
) -> tuple[list[Tile], list[Parts]]:
    """Return rows and streams of a group's tiles, and write what they decode to into `pixels`."""
    height, width, _ = pixels.shape
    boxes, source, margin = header.boxes(height, width, size), pixels.copy(), work.margin
    transform = int(group.content == Content.COLOUR)

    def code(batch: Sequence[int]) -> list[tuple[Tile, Parts]]:
        rows: list[tuple[Tile, Parts]] = []
        for i in batch:
            y, x, h, w = boxes[i]
            place = (slice(y, y + h), slice(x, x + w), group.place)
            top, left = min(y, margin), min(x, margin)
            bottom, right = min(height - y - h, margin), min(width - x - w, margin)
            around = source[y - top : y + h + bottom, x - left : x + w + right, group.place]
            sides = (top // margin, left // margin, bottom // margin, right // margin)
            whole = colour.forward(_cut(around, (top, left, bottom, right), margin))
            stream, planes = work.code(whole, sides)
            tile = colour.inverse(planes[: group.channels]).astype(np.uint8)
            pixels[place] = tile
            length, crc = sum(map(len, stream)), checksum(tile, first + i)
            rows.append((Tile(work.number, 0, transform, length, crc), stream))
            if progress is not None:
                progress(h * w)
        return rows

    found = spread(code, range(len(boxes)), replace(effort, threads=effort.jobs))
    return [row for row, _ in found], [stream for _, stream in found]
