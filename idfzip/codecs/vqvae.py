"""The lossy codec: a vector-quantised autoencoder on the grids, and a prior over its codes.

VQ-VAE (van den Oord et al. 2017, arXiv:1711.00937) with one level, VQ-VAE-2 (Razavi et al. 2019,
arXiv:1906.00446) with two or more, each of one codebook or several, of which the later ones
quantise what the earlier ones left (residual vector quantisation, Juang and Gray 1982; trained to
be cut after any of them, as in SoundStream, Zeghidour et al. 2021, arXiv:2107.03312).

A tile that has neighbours is coded with a margin of their pixels, one stride wide, which is painted
and cut off again: so it is painted as if the picture went on, and no seam shows.

A tile's stream holds codes stage by stage: the coarsest level's first codebook, its second one, and
so on to the finest level's last. Any number of stages paints a picture. Encoder, prior and painter
are integer networks, so the pixels that a file paints are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from idfzip.codecs.painter import Vqvae
from idfzip.codecs.seen import Seen
from idfzip.coding import ans
from idfzip.errors import ModelError
from idfzip.flows import colour
from idfzip.integer.conv import LIMIT
from idfzip.integer.stack import Values

Planes = npt.NDArray[np.int32]
Progress = Callable[[int], object]

Sides = tuple[int, int, int, int]
"""Whether there is a margin at the top, the left, the bottom and the right: 1, or 0."""

VALUES = 256
"""Values of a channel."""

_ODD = 1 << 16
"""Frequency of each number of stages but all of them, which has the rest."""


def to_values(model: Vqvae, planes: Planes) -> Values:
    """Return what the encoder takes: twice the pixels less 128, edges mirrored to whole strides."""
    pixels = colour.inverse(planes)
    if pixels.shape[2] < model.channels:
        pixels = np.repeat(pixels, model.channels, axis=2)
    height, width = pixels.shape[:2]
    tall, wide = model.extent(height, width)
    rows, columns = _mirrored(height, tall), _mirrored(width, wide)
    return 2 * (pixels[rows][:, columns] - 128)


def _mirrored(count: int, extent: int) -> npt.NDArray[np.int64]:
    """Return 0, 1, .. count - 1, count - 1, .. 1, 0, 0, 1 and so on, `extent` of them."""
    index = np.arange(extent) % (2 * count)
    return np.minimum(index, 2 * count - 1 - index)


def to_planes(model: Vqvae, painted: Values, shape: tuple[int, ...], sides: Sides) -> Planes:
    """Return the planes of what the painter gives, of `shape` (C, height, width) less margins."""
    top, left, bottom, right = (side * model.stride for side in sides)
    inside = painted[top : shape[1] - bottom, left : shape[2] - right]
    return colour.forward((inside + 128).clip(0, VALUES - 1))


def _count_interval(model: Vqvae, count: int) -> tuple[int, int]:
    """Return the interval of a number of stages: 0 .. all less 1 are rare."""
    rest = model.stages * _ODD
    return (count * _ODD, _ODD) if count < model.stages else (rest, ans.TOTAL - rest)


def opening(model: Vqvae, stages: int, sides: Sides) -> npt.NDArray[np.int32]:
    """Return the intervals with which a stream begins, int32 (2, 2): stages and sides."""
    margins = int("".join(map(str, sides)), 2) << 20, 1 << 20
    return np.array([_count_interval(model, stages), margins], np.int32)


def open_stream(model: Vqvae, coder: ans.Coder, cut: bool) -> tuple[int, Sides]:
    """Return the number of stages and the sides with which a coder's stream begins.

    No stages where it is `cut` before.
    """
    if cut and coder.is_starved():
        return 0, (0, 0, 0, 0)
    stages = min(coder.peek() // _ODD, model.stages)
    coder.pop(*_count_interval(model, stages))
    flags = coder.peek() >> 20
    coder.pop(flags << 20, 1 << 20)
    return stages, (flags >> 3 & 1, flags >> 2 & 1, flags >> 1 & 1, flags & 1)


def encode_stages(
    model: Vqvae, planes: Planes, stages: int, rate: int = 0, sides: Sides = (0, 0, 0, 0)
) -> tuple[list[bytes], Planes]:
    """Return the parts of a tile's stream, one for each stage, and the planes that it paints.

    Arguments are those of `choose`.
    """
    noted, painted = choose(model, planes, stages, rate, sides)
    cumulative, frequency = np.ascontiguousarray(np.concatenate(noted).T)
    ends = np.cumsum([len(part) for part in noted]).tolist()
    parts = ans.push_parts(cumulative, frequency, ends)
    return [ans.to_bytes(part) for part in parts], painted


def choose(
    model: Vqvae, planes: Planes, stages: int, rate: int = 0, sides: Sides = (0, 0, 0, 0)
) -> tuple[list[npt.NDArray[np.int32]], Planes]:
    """Return the intervals of a tile's symbols, and the planes that these paint.

    Intervals are int32 (symbols, 2) for each stage, the first of which holds the number of stages
    and the sides as well. `stages` is 1 to `model.stages`; `rate` weighs bits against distance
    (`CodePrior.choose`). At `sides` the planes, int32 (C, height, width), have a margin of one
    stride, which is not among what is painted.
    """
    features = [to_values(model, planes)]
    for level in reversed(model.levels):
        features.append(level.encoder.values(features[-1]))
    noted = [opening(model, stages, sides)]
    left = stages

    def code(index: int, context: Values) -> Values:
        nonlocal left
        level = model.levels[index]
        seen = np.concatenate([features[-1 - index], context], axis=2)
        wanted = level.head.values(seen)
        found = np.zeros_like(wanted)
        for prior in level.priors[:left]:
            known = np.concatenate([context, found.clip(-LIMIT, LIMIT)], axis=2)
            codes, intervals = prior.choose(known, wanted - found, rate, model.tables)
            found += prior.codebook[codes]
            noted.append(intervals)
        left -= min(left, len(level.priors))
        return found.clip(-LIMIT, LIMIT)

    painted = _through(model, features[0].shape[:2], code)
    start, first, *others = noted
    found = [np.concatenate([start, first]), *others]
    return found, to_planes(model, painted, planes.shape, sides)


def _through(
    model: Vqvae, extent: tuple[int, ...], code: Callable[[int, Values], Values]
) -> Values:
    """Return what is painted where `code` gives each level's quantised values for its context."""
    side = model.stride
    context: Values = np.zeros((extent[0] // side, extent[1] // side, 0), np.int32)
    for i, level in enumerate(model.levels):
        context = level.lift.values(np.concatenate([context, code(i, context)], axis=2))
    return context


def encode_levels(
    model: Vqvae,
    tiles: Sequence[Planes],
    progress: Progress | None = None,
    alphabet: int = VALUES,
) -> list[list[bytes]]:
    """Return the parts of each tile's stream, one for each stage, all of which are coded."""
    check_alphabet(alphabet)
    found = []
    for planes in tiles:
        found.append(encode_stages(model, planes, model.stages)[0])
        if progress is not None:
            progress(planes[0].size)
    return found


def encode(
    model: Vqvae,
    tiles: Sequence[Planes],
    progress: Progress | None = None,
    alphabet: int = VALUES,
) -> list[bytes]:
    """Return the stream of each tile, as `encode_levels`."""
    return [b"".join(parts) for parts in encode_levels(model, tiles, progress, alphabet)]


def check_alphabet(alphabet: int) -> None:
    """Raise ModelError unless a channel has 256 values."""
    if alphabet != VALUES:
        raise ModelError(f"{alphabet} values a channel: a lossy model paints {VALUES}")


def decode(
    model: Vqvae,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    progress: Progress | None = None,
    alphabet: int = VALUES,
) -> list[Planes | None]:
    """Return the planes of each stream, None for a stream that is visibly damaged."""
    check_alphabet(alphabet)
    tiles: list[Planes | None] = []
    for stream, size in zip(streams, sizes, strict=True):
        coder = ans.decoder([ans.from_bytes(stream)])
        planes, _ = paint(model, coder, size, False)
        tiles.append(planes if ans.is_finished(coder, 0) else None)
        if progress is not None:
            progress(size[0] * size[1])
    return tiles


def preview(
    model: Vqvae, stream: bytes, size: tuple[int, int], cut: bool, alphabet: int = VALUES
) -> Seen:
    """Return what the first part of a stream paints: the stages that are whole in it."""
    check_alphabet(alphabet)
    planes, share = paint(model, ans.decoder([ans.from_bytes(stream)]), size, cut)
    return Seen(planes, share)


def paint(model: Vqvae, coder: ans.Coder, size: tuple[int, int], cut: bool) -> tuple[Planes, float]:
    """Return the planes of a tile, and the share of its stages that were in the one stream.

    The coder then stands behind the tile's codes. `cut` tells whether the stream may end before.
    """
    stages, sides = open_stream(model, coder, cut)
    left, read = stages, 0
    height = size[0] + (sides[0] + sides[2]) * model.stride
    width = size[1] + (sides[1] + sides[3]) * model.stride

    def code(index: int, context: Values) -> Values:
        nonlocal left, read
        level = model.levels[index]
        found = np.zeros((*context.shape[:2], level.size), np.int32)
        for prior in level.priors[:left]:
            known = np.concatenate([context, found.clip(-LIMIT, LIMIT)], axis=2)
            codes = prior.decode(known, coder, model.tables, cut)
            if codes is None:
                left = 0
                break
            found += prior.codebook[codes]
            read += 1
        left -= min(left, len(level.priors))
        return found.clip(-LIMIT, LIMIT)

    painted = _through(model, model.extent(height, width), code)
    planes = to_planes(model, painted, (model.channels, height, width), sides)
    return planes, read / max(stages, 1)
