"""The flagship codec: autoregressive flow, integer network, mixture of logistics, ANS.

A batch of tiles advances in lockstep. Decoding takes a group a step: systems and inputs (`flows`),
the trunk as products for the whole group (`integer`), then channel by channel the head, the
mixture and the coder (here). Encoding knows the pixels, so it takes many groups to the network at
once, notes the intervals in the order of decoding, and pushes them backwards at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.coding import ans
from idfzip.flows import autoregressive, context, expert, wavefront, window
from idfzip.flows.autoregressive import Design, Lockstep, Planes, Record
from idfzip.flows.wavefront import MARGIN
from idfzip.integer import learning, network
from idfzip.integer.jit import inlined, kernel
from idfzip.integer.learning import Learner
from idfzip.integer.log2 import log2
from idfzip.integer.network import Buffers, Network
from idfzip.integer.panel import ROWS, Floats
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
            learning.check(self.network, self.learning.frozen)

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


STEPS = 64
"""Steps that decoding takes before it looks up: for progress, and for an interrupt."""


class Tables(NamedTuple):
    """All tables that the last stage reads; see `context.Tables` and `mixture.Tables`."""

    log: npt.NDArray[np.int32]
    gain: npt.NDArray[np.int64]
    exp: npt.NDArray[np.int64]
    sigmoid: npt.NDArray[np.int64]
    inverse: npt.NDArray[np.int64]
    span: npt.NDArray[np.int64]


class View(NamedTuple):
    """The part of a batch, and a group's working memory, that decoding a channel touches.

    `seen` float32 (rows, 3 C), the errors as later channels see them; `z` float64 (rows, C), the
    same in steps; `mixture` int64 (7, K).
    """

    planes: Planes
    errors: Planes
    sizes: npt.NDArray[np.int64]
    scales: npt.NDArray[np.int32]
    partial: npt.NDArray[np.float64]
    link: npt.NDArray[np.float64]
    seen: Floats
    z: npt.NDArray[np.float64]
    mixture: mixture.Mixture


class Intervals(NamedTuple):
    """The symbols of a batch in order of decoding; int32 (tiles, symbols), used int64 (tiles,)."""

    cumulative: npt.NDArray[np.int32]
    frequency: npt.NDArray[np.int32]
    used: npt.NDArray[np.int64]


@inlined
def see_error(
    error: int,
    gain: int,
    log_table: npt.NDArray[np.int32],
    seen: Floats,
    row: int,
    column: int,
) -> None:
    """Write what later channels see of an error, in 1/64 of a step: itself, size, logarithm."""
    size = (abs(error) * gain + 32768) >> 16
    seen[row, column] = context.limited((error * gain + 32768) >> 16)
    seen[row, column + 1] = min(size, context.LIMIT)
    seen[row, column + 2] = context.limited(2 * log2(size + 4, log_table) - 160)


@kernel
def decode_channel(
    tables: Tables,
    view: View,
    sums: Floats,
    deltas: Floats,
    coder: ans.Coder,
    t: int,
    c: int,
    start: int,
) -> None:
    """Decode channel `c` of the pixels of step `t` of every tile, and place it.

    `sums` float32 (rows, >= 3 K) are the head's, used from row `start` on; `deltas` of the same
    shape, if it is not empty, takes the slopes of the bits.
    """
    # Attributes of named tuples are fetched once: each costs a count of references.
    log_table, gains, exp, sigmoid = tables.log, tables.gain, tables.exp, tables.sigmoid
    inverse, spans = tables.inverse, tables.span
    seen, z, mixed, scales = view.seen, view.z, view.mixture, view.scales
    words, place, state = coder.words, coder.place, coder.state
    for b in range(len(view.sizes)):
        height, width = view.sizes[b]
        first = wavefront.first_row(t, width)
        end = wavefront.end_row(t, height)
        planes = view.planes[b]
        plane = planes[c]
        errors = view.errors[b, c]
        partial = view.partial[b]
        link = view.link[b]
        for y in range(first, end):
            x = t - 2 * y
            row = start + y - first
            value = expert.predict(partial, link, y, c, z, row)
            middle = window.base(planes, c, y, x)
            low = 0 if c == 0 else -int(planes[0, y + MARGIN, x + MARGIN])
            mean = expert.to_mean(value, middle, low, low + mixture.VALUES - 1)
            scale = scales[row, c]
            mixture.mix(sums[row], scale, mean, exp, inverse, spans[scale], mixed)
            quantile = ans.peek(state, b)
            pixel, lower, upper = mixture.search(quantile, low, mixed, sigmoid)
            ans.pop(words, place, state, b, lower, upper - lower)
            if len(deltas) > 0:
                mixture.slope(pixel, low, mixed, spans[scale], sigmoid, deltas[row])
            error = pixel * expert.UNIT - mean
            z[row, c] = np.float64(window.clamped(pixel - middle)) - value
            see_error(error, gains[scale], log_table, seen, row, 3 * c)
            wavefront.place(plane, y, x, height, width, pixel)
            wavefront.place(errors, y, x, height, width, error)
        start += max(0, end - first)


@kernel
def decode_steps(
    design: Design,
    learner: Learner,
    tables: Tables,
    batch: Lockstep,
    view: View,
    buffers: Buffers,
    coder: ans.Coder,
    begin: int,
    stop: int,
    pending: int,
) -> tuple[int, int]:
    """Take the steps from `begin` up to `stop`; return the number of pixels decoded.

    `pending` is the number of pixels from which nothing was learned yet; the second result, too.
    """
    pixels = 0
    weights = learner.network
    for t in range(begin, stop):
        end = autoregressive.advance(design, batch, t, pending, True)
        count = end - pending
        network.run_trunk(batch.inputs, pending, count, weights, buffers)
        listens = learning.listens(learner)
        for c in range(len(weights.outs)):
            network.run_head(c, pending, count, view.seen, weights, buffers)
            sums, deltas = buffers.sums[c], learner.outs_deltas[c]
            deltas = deltas if listens else deltas[:0]
            decode_channel(tables, view, sums, deltas, coder, t, c, pending)
        pixels += count
        if learner.rate == 0.0:
            continue
        pending = end
        if pending >= learning.PERIOD:
            learning.close(learner, batch.inputs, view.seen, pending, buffers)
            pending = 0
    return pixels, pending


@kernel
def see_errors(
    tables: Tables, seen: Record, scales: npt.NDArray[np.int32], count: int, out: Floats
) -> None:
    """Write what later channels see of `count` known pixels, float32 (rows, 3 C)."""
    log_table, gains = tables.log, tables.gain
    means, values = seen.means, seen.values
    for row in range(count):
        for c in range(means.shape[1]):
            error = int(values[row, c]) * expert.UNIT - means[row, c]
            see_error(error, gains[scales[row, c]], log_table, out, row, 3 * c)


@kernel
def note_intervals(
    tables: Tables,
    seen: Record,
    scales: npt.NDArray[np.int32],
    sums: tuple[Floats, ...],
    deltas: tuple[Floats, ...],
    sizes: npt.NDArray[np.int64],
    begin: int,
    stop: int,
    mixed: mixture.Mixture,
    intervals: Intervals,
) -> None:
    """Append the intervals of the known pixels of the steps from `begin` up to `stop`.

    In the order of decoding: in a step and tile, channel by channel, then row by row. `deltas`,
    where they are not empty, take the slopes of the bits.
    """
    exp, sigmoid, inverse, spans = tables.exp, tables.sigmoid, tables.inverse, tables.span
    means, values = seen.means, seen.values
    cumulative, frequency, used = intervals.cumulative, intervals.frequency, intervals.used
    start = 0
    for t in range(begin, stop):
        for b in range(len(sizes)):
            height, width = sizes[b]
            size = max(0, wavefront.end_row(t, height) - wavefront.first_row(t, width))
            for c in range(means.shape[1]):
                mine, slopes = sums[c], deltas[c]
                for row in range(start, start + size):
                    scale = scales[row, c]
                    low = 0 if c == 0 else -int(values[row, 0])
                    mixture.mix(mine[row], scale, means[row, c], exp, inverse, spans[scale], mixed)
                    value = int(values[row, c])
                    lower = mixture.cumulative(value, low, mixed, sigmoid)
                    upper = mixture.cumulative(value + 1, low, mixed, sigmoid)
                    cumulative[b, used[b]] = lower
                    frequency[b, used[b]] = upper - lower
                    used[b] += 1
                    if len(slopes) > 0:
                        mixture.slope(value, low, mixed, spans[scale], sigmoid, slopes[row])
            start += size


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
    learner = learning.learner(model.network, *model.learning, rows)
    weights, buffers = learner.network, model.network.buffers(rows)
    errors = np.zeros((rows, network.ERROR_INPUTS * channels), np.float32)
    mixed = mixture.room(model.network.components)
    tables = _tables(model)
    shape = (len(tiles), max(tile.size for tile in tiles))
    intervals = Intervals(
        np.empty(shape, np.int32), np.empty(shape, np.int32), np.zeros(len(tiles), np.int64)
    )
    silent = tuple(deltas[:0] for deltas in learner.outs_deltas)
    t, stop = 0, autoregressive.steps(sizes)
    while t < stop:
        begin = t
        t, count = autoregressive.observe(
            model.design, batch, truth, residuals, t, stop, chunk, seen
        )
        see_errors(tables, seen, batch.scales, count, errors)
        network.run_trunk(batch.inputs, 0, count, weights, buffers)
        for c in range(channels):
            network.run_head(c, 0, count, errors, weights, buffers)
        note_intervals(
            tables,
            seen,
            batch.scales,
            buffers.sums,
            learner.outs_deltas if learning.listens(learner) else silent,
            batch.sizes,
            begin,
            t,
            mixed,
            intervals,
        )
        if count >= chunk and model.learning.rate:
            learning.close(learner, batch.inputs, errors, count, buffers)
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
    channels = model.channels
    coder = ans.decoder([ans.from_bytes(stream) for stream in streams])
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
    learner = learning.learner(model.network, *model.learning, rows)
    tables = _tables(model)
    stop = autoregressive.steps(list(sizes))
    pending = 0
    for begin in range(0, stop, STEPS):
        end = min(begin + STEPS, stop)
        count, pending = decode_steps(
            model.design, learner, tables, batch, view, buffers, coder, begin, end, pending
        )
        if progress is not None:
            progress(count)
    tiles: list[Planes | None] = []
    for b, (height, width) in enumerate(sizes):
        inner = batch.planes[b, :, MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        tiles.append(np.ascontiguousarray(inner) if ans.is_finished(coder, b) else None)
    return tiles
