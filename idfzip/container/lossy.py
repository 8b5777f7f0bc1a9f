"""Lossy files: colour and grey painted by a lossy model, alpha kept as it is.

A lossy file holds a picture of its own, the one that the model paints, exactly: its checksums are
of the painted pixels, and reading it is reading any other `.idfz` file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from idfzip.codecs import vqvae
from idfzip.codecs.vqvae import Vqvae
from idfzip.container import groups, header, idfz, models, tiling
from idfzip.container.groups import Content, Group
from idfzip.container.header import Tile
from idfzip.container.model_file import Model
from idfzip.container.parts import Parts
from idfzip.container.tiling import Coded, Effort, Part, Progress
from idfzip.errors import ModelError, UnsupportedImage
from idfzip.flows import colour
from idfzip.images.picture import Layout, Picture, Pixels

TILE = (1024, 1024)
"""Largest tile: rows and columns. Each is painted alone, so that memory is bounded."""

MOST_QUALITY = 100
DEFAULT_QUALITY = 50

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
    codec = model.codec
    if not isinstance(codec, Vqvae):
        raise ModelError(f"model {model.name} is not lossy: leave out --lossy, or name another")
    kind = picture.kind
    if kind.depth != 8 or kind.layout not in _LAYOUTS:
        raise UnsupportedImage(
            f"{kind}: only grey and RGB of 8 bits, with or without alpha, are coded with loss"
        )
    alpha, painted = _groups(picture)
    if codec.channels == 1 and painted.channels == 3:
        raise ModelError(f"model {model.name} is of grey images, the image is {kind}")
    height, width, _ = picture.pixels.shape
    size = tiling.grid(height, width, TILE)
    pixels = picture.pixels.copy()
    coded, parts = _alpha(picture, alpha, size, effort, progress)
    wanted = plan(codec, quality)
    rows, streams = _paint(pixels, painted, codec, wanted, size, len(coded.tiles), effort, progress)
    if not levels:
        streams = [[b"".join(stream)] for stream in streams]
    whole = Coded(
        size,
        (*coded.models, model),
        (*coded.tiles, *(replace(row, model=len(coded.models)) for row in rows)),
        [*coded.streams, *streams],
        levels,
    )
    parts.append(Part(painted, groups.full(8), (model,)))
    found = replace(picture, pixels=pixels)
    return Lossy(idfz.assemble(found, whole, parts, embed), found)


def _groups(picture: Picture) -> tuple[Group | None, Group]:
    """Return the group of alpha, if there is one, and that which is painted."""
    found = groups.of(picture.kind)
    return (found[0] if len(found) > 1 else None), found[-1]


def _alpha(
    picture: Picture,
    group: Group | None,
    size: tuple[int, int],
    effort: Effort,
    progress: Progress | None,
) -> tuple[Coded, list[Part]]:
    """Return the tiles of alpha, coded without loss, and what they are of; nothing without it."""
    if group is None:
        return Coded(size, (), (), [], False), []
    samples = picture.pixels[:, :, group.place]
    ladder = groups.ladder(group, samples, 8)
    known = tuple(m for m in models.released(Content.GREY) if tiling.codes(m, group, ladder))
    part = Part(group, ladder, known)
    return tiling.encode(picture.pixels, [part], effort, progress, size=size), [part]


def _cut(around: Pixels, sides: Sequence[int], margin: int) -> Pixels:
    """Return pixels without margins that are narrower than a whole one."""
    top, left, bottom, right = (side % margin for side in sides)
    return around[top : around.shape[0] - bottom, left : around.shape[1] - right]


def _paint(
    pixels: Pixels,
    group: Group,
    model: Vqvae,
    wanted: tuple[int, int],
    size: tuple[int, int],
    first: int,
    effort: Effort,
    progress: Progress | None,
) -> tuple[list[Tile], list[Parts]]:
    """Return rows and streams of a group's tiles, and paint them over `pixels`."""
    height, width, _ = pixels.shape
    boxes, source, margin = header.boxes(height, width, size), pixels.copy(), model.stride
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
            stream, painted = vqvae.encode_stages(model, whole, *wanted, sides)
            tile = colour.inverse(painted[: group.channels]).astype(np.uint8)
            pixels[place] = tile
            length, crc = sum(map(len, stream)), tiling.checksum(tile, first + i)
            rows.append((Tile(header.VQVAE, 0, transform, length, crc), stream))
            if progress is not None:
                progress(h * w)
        return rows

    found = tiling.spread(code, range(len(boxes)), effort)
    return [row for row, _ in found], [stream for _, stream in found]
