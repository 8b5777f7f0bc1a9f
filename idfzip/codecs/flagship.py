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
from idfzip.integer import network
from idfzip.integer.jit import inlined, kernel
from idfzip.integer.log2 import log2
from idfzip.integer.network import Buffers, Network, Weights
from idfzip.integer.panel import Floats
from idfzip.priors import mixture

Progress = Callable[[int], object]


@dataclass(frozen=True)
class Flagship:
    """All that coding needs of a model."""

    design: Design
    network: Network
    prior: mixture.Tables

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
    same in steps; `mixture` int64 (3, K).
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
    tables: Tables, view: View, sums: Floats, coder: ans.Coder, t: int, c: int
) -> None:
    """Decode channel `c` of the pixels of step `t` of every tile, and place it.

    `sums` float32 (rows, >= 3 K) are the head's.
    """
    # Attributes of named tuples are fetched once: each costs a count of references.
    log_table, gains, exp, sigmoid = tables.log, tables.gain, tables.exp, tables.sigmoid
    inverse, spans = tables.inverse, tables.span
    seen, z, mixed, scales = view.seen, view.z, view.mixture, view.scales
    words, place, state = coder.words, coder.place, coder.state
    start = 0
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
            error = pixel * expert.UNIT - mean
            z[row, c] = np.float64(window.clamped(pixel - middle)) - value
            see_error(error, gains[scale], log_table, seen, row, 3 * c)
            wavefront.place(plane, y, x, height, width, pixel)
            wavefront.place(errors, y, x, height, width, error)
        start += max(0, end - first)


@kernel
def decode_steps(
    design: Design,
    weights: Weights,
    tables: Tables,
    batch: Lockstep,
    view: View,
    buffers: Buffers,
    coder: ans.Coder,
    begin: int,
    stop: int,
) -> int:
    """Take the steps from `begin` up to `stop`; return the number of pixels decoded."""
    pixels = 0
    for t in range(begin, stop):
        count = autoregressive.advance(design, batch, t, 0, True)
        network.run_trunk(batch.inputs, count, weights, buffers)
        for c in range(len(weights.outs)):
            network.run_head(c, count, view.seen, weights, buffers)
            decode_channel(tables, view, buffers.sums[c], coder, t, c)
        pixels += count
    return pixels


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
    sizes: npt.NDArray[np.int64],
    begin: int,
    stop: int,
    mixed: mixture.Mixture,
    intervals: Intervals,
) -> None:
    """Append the intervals of the known pixels of the steps from `begin` up to `stop`.

    In the order of decoding: in a step and tile, channel by channel, then row by row.
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
                mine = sums[c]
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
            start += size


def _tables(model: Flagship) -> Tables:
    return Tables(**model.design.tables._asdict(), **model.prior._asdict())


def encode(
    model: Flagship,
    tiles: Sequence[Planes],
    progress: Progress | None = None,
) -> list[bytes]:
    """Return the stream of each tile: planes, int32 (C, height, width), coded in lockstep.

    `progress` is called with numbers of pixels.
    """
    channels = model.channels
    sizes = [(tile.shape[1], tile.shape[2]) for tile in tiles]
    extent = (max(h for h, _ in sizes), max(w for _, w in sizes))
    truth = np.zeros((len(tiles), channels, *extent), np.int32)
    for b, tile in enumerate(tiles):
        truth[b, :, : sizes[b][0], : sizes[b][1]] = tile
    residuals = np.zeros_like(truth)
    batch = autoregressive.begin(model.design, sizes, channels, CHUNK)
    rows = len(batch.inputs)
    seen = autoregressive.record(rows, channels)
    weights, buffers = model.network.weights, model.network.buffers(rows)
    errors = np.zeros((rows, network.ERROR_INPUTS * channels), np.float32)
    mixed = mixture.room(model.network.components)
    tables = _tables(model)
    shape = (len(tiles), max(tile.size for tile in tiles))
    intervals = Intervals(
        np.empty(shape, np.int32), np.empty(shape, np.int32), np.zeros(len(tiles), np.int64)
    )
    t, stop = 0, autoregressive.steps(sizes)
    while t < stop:
        begin = t
        t, count = autoregressive.observe(
            model.design, batch, truth, residuals, t, stop, CHUNK, seen
        )
        see_errors(tables, seen, batch.scales, count, errors)
        network.run_trunk(batch.inputs, count, weights, buffers)
        for c in range(channels):
            network.run_head(c, count, errors, weights, buffers)
        note_intervals(
            tables, seen, batch.scales, buffers.sums, batch.sizes, begin, t, mixed, intervals
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
    channels = model.channels
    coder = ans.decoder([ans.from_bytes(stream) for stream in streams])
    batch = autoregressive.begin(model.design, list(sizes), channels)
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
    weights, buffers = model.network.weights, model.network.buffers(rows)
    tables = _tables(model)
    stop = autoregressive.steps(list(sizes))
    for begin in range(0, stop, STEPS):
        end = min(begin + STEPS, stop)
        count = decode_steps(model.design, weights, tables, batch, view, buffers, coder, begin, end)
        if progress is not None:
            progress(count)
    tiles: list[Planes | None] = []
    for b, (height, width) in enumerate(sizes):
        inner = batch.planes[b, :, MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        tiles.append(np.ascontiguousarray(inner) if ans.is_finished(coder, b) else None)
    return tiles
