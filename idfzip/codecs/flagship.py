"""The flagship codec: autoregressive flow, integer network, mixture of logistics, ANS.

A batch of tiles advances in lockstep. Decoding takes a group a step: systems and inputs (`flows`),
the trunk as products for the whole group (`integer`), then channel by channel the head, the
mixture and the coder (`decoding`). Encoding knows the pixels, so it takes many groups to the
network at once, notes the intervals in the order of decoding (`encoding`), and pushes them
backwards at the end. A network that learns (`integer.learning`) does so alike in both, tile by
tile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from idfzip.codecs.decoding import View, decode_steps
from idfzip.codecs.encoding import Intervals, encode_steps
from idfzip.codecs.last_stage import STEPS, Tables
from idfzip.codecs.seen import Seen
from idfzip.coding import ans
from idfzip.flows import autoregressive, wavefront
from idfzip.flows.autoregressive import Design, Planes
from idfzip.flows.wavefront import MARGIN
from idfzip.integer import learner, learning, network
from idfzip.integer.network import Network
from idfzip.integer.panel import ROWS
from idfzip.priors import mixture

Progress = Callable[[int], object]


class Learning(NamedTuple):
    """How the network follows an image.

    `rate` in 2**-20; `frozen` trunk layers stay; one of `every` periods is learned from.
    """

    rate: int = 0
    frozen: int = 0
    every: int = 1


STATIC = Learning()
"""A network that stays as it was trained."""


@dataclass(frozen=True)
class Flagship:
    """All that coding needs of a model."""

    design: Design
    network: Network
    prior: mixture.Tables
    learning: Learning = STATIC

    def __post_init__(self) -> None:
        """Raise ModelError where learning could leave what float32 carries exactly."""
        if self.learning.rate:
            learner.check(self.network, self.learning.frozen)

    @property
    def channels(self) -> int:
        """Channels of the images it codes: 1 or 3."""
        return self.network.channels

    @property
    def operations(self) -> int:
        """Products and sums for a pixel."""
        return self.network.operations


CHUNK = 2048
"""Rows that encoding takes to the network at once: groups may be joined, the pixels are known."""


def _tables(model: Flagship) -> Tables:
    return Tables(**model.design.tables._asdict(), **model.prior._asdict())


def encode(
    model: Flagship,
    tiles: Sequence[Planes],
    progress: Progress | None = None,
) -> list[bytes]:
    """Return the stream of each tile: planes, int32 (C, height, width).

    Tiles are coded in lockstep, but one by one where the network learns: each has its own.
    `progress` is called with numbers of pixels.
    """
    if model.learning.rate == 0:
        return _encode(model, tiles, progress)
    return [stream for tile in tiles for stream in _encode(model, [tile], progress)]


def _encode(model: Flagship, tiles: Sequence[Planes], progress: Progress | None) -> list[bytes]:
    channels = model.channels
    sizes = [(tile.shape[1], tile.shape[2]) for tile in tiles]
    extent = (max(h for h, _ in sizes), max(w for _, w in sizes))
    truth = np.zeros((len(tiles), channels, *extent), np.int32)
    for b, tile in enumerate(tiles):
        truth[b, :, : sizes[b][0], : sizes[b][1]] = tile
    residuals = np.zeros_like(truth)
    chunk = learning.PERIOD if model.learning.rate else CHUNK
    batch = autoregressive.begin(model.design, sizes, channels, chunk + ROWS)
    rows = len(batch.inputs)
    seen = autoregressive.record(rows, channels)
    state = learner.learner(model.network, *model.learning, rows)
    buffers = model.network.buffers(rows)
    errors = np.zeros((rows, network.ERROR_INPUTS * channels), np.float32)
    mixed = mixture.room(model.network.components)
    tables = _tables(model)
    shape = (len(tiles), max(tile.size for tile in tiles))
    intervals = Intervals(
        np.empty(shape, np.int32), np.empty(shape, np.int32), np.zeros(len(tiles), np.int64)
    )
    t, stop = 0, autoregressive.steps(sizes)
    while t < stop:
        t, count = encode_steps(
            model.design,
            state,
            tables,
            batch,
            truth,
            residuals,
            seen,
            errors,
            buffers,
            mixed,
            intervals,
            t,
            stop,
            chunk,
        )
        if progress is not None:
            progress(count)
    streams = []
    for b, used in enumerate(intervals.used):
        words = ans.push_all(intervals.cumulative[b, :used], intervals.frequency[b, :used])
        streams.append(ans.to_bytes(words))
    return streams


def decode(
    model: Flagship,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    progress: Progress | None = None,
) -> list[Planes | None]:
    """Return the planes of each stream, None for a stream that is visibly damaged.

    Damage that no rule of the coder shows gives wrong planes: checksums are the container's work.
    """
    if model.learning.rate == 0:
        return _decode(model, streams, sizes, progress)
    pairs = zip(streams, sizes, strict=True)
    return [planes for s, size in pairs for planes in _decode(model, [s], [size], progress)]


def _decode(
    model: Flagship,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    progress: Progress | None,
) -> list[Planes | None]:
    coder = ans.decoder([ans.from_bytes(stream) for stream in streams])
    planes, _ = _run(model, coder, sizes, STEPS, False, progress)
    return [tile if ans.is_finished(coder, b) else None for b, tile in enumerate(planes)]


def preview(model: Flagship, stream: bytes, size: tuple[int, int], cut: bool) -> Seen:
    """Return what the first part of a stream shows: the steps before the cut, if there is one."""
    coder = ans.decoder([ans.from_bytes(stream)])
    (planes,), done = _run(model, coder, [size], 1, cut, None)
    y, x = np.mgrid[: size[0], : size[1]]
    known = x + wavefront.SLOPE * y < done
    return Seen(planes, float(known.mean()), known)


def _run(
    model: Flagship,
    coder: ans.Coder,
    sizes: Sequence[tuple[int, int]],
    stride: int,
    cut: bool,
    progress: Progress | None,
) -> tuple[list[Planes], int]:
    """Decode tiles, `stride` steps at a time; return their planes, and how many steps were taken.

    If streams are `cut`, one of them ends the work before the step that lacks a word.
    """
    channels = model.channels
    room = learning.PERIOD if model.learning.rate else 0
    batch = autoregressive.begin(model.design, list(sizes), channels, room + ROWS)
    rows = len(batch.inputs)
    view = View(
        batch.planes,
        batch.errors,
        batch.sizes,
        batch.scales,
        batch.found.partial,
        batch.found.link,
        np.zeros((rows, network.ERROR_INPUTS * channels), np.float32),
        np.zeros((rows, channels)),
        mixture.room(model.network.components),
    )
    buffers = model.network.buffers(rows)
    state = learner.learner(model.network, *model.learning, rows)
    tables = _tables(model)
    stop = autoregressive.steps(list(sizes))
    pending = 0
    for begin in range(0, stop, stride):
        end = min(begin + stride, stop)
        count, pending = decode_steps(
            model.design, state, tables, batch, view, buffers, coder, begin, end, pending
        )
        if cut and any(ans.is_starved(coder.place, coder.state, b) for b in range(len(sizes))):
            stop = begin
            break
        if progress is not None:
            progress(count)
    tiles = []
    for b, (height, width) in enumerate(sizes):
        inner = batch.planes[b, :, MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        tiles.append(np.ascontiguousarray(inner))
    return tiles, stop
