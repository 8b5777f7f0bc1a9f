"""The lossy-first codec: a lossy picture, and then what makes it exact.

A tile's stream begins as one of the lossy codec (`idfzip.codecs.vqvae`), whose codes paint a
picture; in the same stream follow the pixels, on as many states as the length allows
(`idfzip.coding.turns`), coded by a flagship. A flagship that looks at the picture
(`idfzip.flows.painted`) codes them in fewer bits; any other codes them as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idfzip.codecs import flagship, vqvae
from idfzip.codecs.flagship import Flagship
from idfzip.codecs.painter import Vqvae
from idfzip.codecs.seen import Seen
from idfzip.codecs.vqvae import Sides
from idfzip.coding import ans, turns
from idfzip.errors import ModelError
from idfzip.integer import learner
from idfzip.integer.learner import Learner

Planes = npt.NDArray[np.int32]
Progress = Callable[[int], object]


@dataclass(frozen=True)
class LossyFirst:
    """What paints the picture, and what codes the pixels; raises ModelError where they differ."""

    painter: Vqvae
    rest: Flagship

    def __post_init__(self) -> None:
        """Check that the painter has the channels of the pixels; colours may be grey."""
        if self.painter.channels < self.rest.channels:
            raise ModelError("a lossy model of grey images with one of colour")

    @property
    def channels(self) -> int:
        """Channels of the images it codes: 1 or 3."""
        return self.rest.channels

    @property
    def operations(self) -> int:
        """Products and sums for a pixel."""
        return self.painter.operations + self.rest.operations

    def inner(self, planes: Planes, sides: Sides) -> Planes:
        """Return planes without their margins."""
        top, left, bottom, right = (side * self.painter.stride for side in sides)
        return planes[:, top : planes.shape[1] - bottom, left : planes.shape[2] - right]


def encode(
    model: LossyFirst,
    planes: Planes,
    stages: int,
    rate: int = 0,
    sides: Sides = (0, 0, 0, 0),
    states: int = 0,
) -> list[bytes]:
    """Return the two parts of a tile's stream: what paints the picture, and the rest.

    Arguments are those of `vqvae.encode_stages`: at `sides` the planes, int32 (C, height, width) of
    256 values, have a margin of one stride, which helps to paint and is not coded. The rest has so
    many `states`, a power of two, or with 0 as many as the stream's length allows.
    """
    noted, painted = vqvae.choose(model.painter, planes, stages, rate, sides)
    inner = model.inner(planes, sides)
    size = (inner.shape[1], inner.shape[2])
    picture = painted[: model.channels]
    state = _learner(model.rest, size)
    found = flagship.intervals(model.rest, [inner], state, picture=picture)
    rest = np.stack([found.cumulative[0, : found.used[0]], found.frequency[0, : found.used[0]]])
    first = np.concatenate(noted).T
    cumulative, frequency = np.ascontiguousarray(np.concatenate([first, rest], axis=1))
    codes = first.shape[1]
    parts = turns.push_parts(cumulative, frequency, [codes, len(frequency)], codes, states)
    return [ans.to_bytes(part) for part in parts]


def decode(
    model: LossyFirst,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    progress: Progress | None = None,
    alphabet: int = vqvae.VALUES,
) -> list[Planes | None]:
    """Return the planes of each stream, None for a stream that is visibly damaged."""
    tiles: list[Planes | None] = []
    for stream, size in zip(streams, sizes, strict=True):
        coder = ans.decoder([ans.from_bytes(stream)])
        picture = vqvae.paint(model.painter, coder, size, False)[0][: model.channels]
        rest, state = turns.going_on(coder), _learner(model.rest, size)
        (tile,) = flagship.planes(model.rest, [size], rest, state, progress, picture=picture)
        tiles.append(tile if turns.is_finished(rest, 0) else None)
    return tiles


def preview(
    model: LossyFirst, stream: bytes, size: tuple[int, int], cut: bool, alphabet: int = vqvae.VALUES
) -> Seen:
    """Return what the first part of a stream shows: the picture, and the pixels that are known.

    The share that was read is that of the pixels.
    """
    coder = ans.decoder([ans.from_bytes(stream)])
    painted, there = vqvae.paint(model.painter, coder, size, cut)
    picture = painted[: model.channels]
    if there < 1:
        return Seen(picture, 0.0)
    rest = turns.going_on(coder)
    exact, known = flagship.seen(model.rest, rest, size, cut, picture=picture)
    return Seen(np.where(known, exact, picture), float(known.mean()))


def _learner(rest: Flagship, size: tuple[int, int]) -> Learner:
    """Return the learner of a tile's pixels, at its beginning."""
    return learner.learner(rest.network, *rest.learning, flagship.rows(rest, [size]))
