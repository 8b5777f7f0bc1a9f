"""The flagship codec: autoregressive flow, integer network, mixture of logistics, ANS.

A batch of tiles advances in lockstep, a group a step: systems and inputs (`flows`), the trunk as
products for the whole group (`integer`), then channel by channel and pixel by pixel the head, the
mixture and the coder (here). Encoding takes the same steps, with the pixels known, and pushes the
intervals backwards at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.coding import ans
from idfzip.flows import autoregressive, context, expert, wavefront
from idfzip.flows.autoregressive import Design, Lockstep, Planes
from idfzip.flows.wavefront import MARGIN
from idfzip.integer import network
from idfzip.integer.dense import Floats, Product
from idfzip.integer.jit import kernel
from idfzip.integer.log2 import log2
from idfzip.integer.network import Head, Network
from idfzip.priors import mixture

NAME = "flagship"

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


class Intervals(NamedTuple):
    """The symbols of a batch in order of decoding; int32 (tiles, symbols), used int64 (tiles,)."""

    cumulative: npt.NDArray[np.int32]
    frequency: npt.NDArray[np.int32]
    used: npt.NDArray[np.int64]


class Room(NamedTuple):
    """A group's working memory; `seen` float32 (rows, 3 C), `z` float64 (rows, C)."""

    seen: Floats
    z: npt.NDArray[np.float64]
    sums: Floats
    hidden: Floats
    parameters: mixture.Parameters


@kernel
def seen_errors(
    error: int, scale: int, tables: context.Tables, out: npt.NDArray[np.float32]
) -> None:
    """Write what later channels see of an error, in 1/64 of a step: itself, size, logarithm."""
    gain = tables.gain[scale]
    size = (abs(error) * gain + 32768) >> 16
    out[0] = context.limited((error * gain + 32768) >> 16)
    out[1] = min(size, context.LIMIT)
    out[2] = context.limited(2 * log2(size + 4, tables.log) - 160)


@kernel
def code_group(
    design: Design,
    prior: mixture.Tables,
    heads: tuple[Head, ...],
    batch: Lockstep,
    fan: Floats,
    room: Room,
    coder: ans.Coder,
    intervals: Intervals,
    truth: Planes,
    t: int,
    decode: bool,
) -> None:
    """Code the pixels of step `t` of every tile, and learn from them.

    Channel by channel, then row by row. Encoding takes the values from `truth`, int32 (tiles, C,
    height, width), and notes the intervals; decoding reads `coder`.
    """
    start = 0
    for b in range(len(batch.sizes)):
        height, width = batch.sizes[b]
        first = wavefront.first_row(t, width)
        end = wavefront.end_row(t, height)
        for c in range(len(heads)):
            plane = batch.planes[b, c]
            errors = batch.errors[b, c]
            for y in range(first, end):
                x = t - 2 * y
                row = start + y - first
                value = expert.predict(batch.found, b, y, c, room.z[row])
                middle = expert.base(batch.planes[b], c, y, x)
                low = 0 if c == 0 else -batch.planes[b, 0, y + MARGIN, x + MARGIN]
                mean = expert.to_mean(value, middle, low, low + mixture.VALUES - 1)
                scale = batch.scales[row, c]
                seen = room.seen[row]
                network.head_sums(fan[row], c, seen, heads[c], room.hidden, room.sums)
                mixture.mix(room.sums, scale, mean, prior, room.parameters)
                if decode:
                    quantile = ans.peek(coder, b)
                    pixel = mixture.search(quantile, low, room.parameters, prior.sigmoid)
                else:
                    pixel = np.int64(truth[b, c, y, x])
                lower = mixture.cumulative(pixel, low, room.parameters, prior.sigmoid)
                upper = mixture.cumulative(pixel + 1, low, room.parameters, prior.sigmoid)
                if decode:
                    ans.pop(coder, b, lower, upper - lower)
                else:
                    intervals.cumulative[b, intervals.used[b]] = lower
                    intervals.frequency[b, intervals.used[b]] = upper - lower
                    intervals.used[b] += 1
                error = pixel * expert.UNIT - mean
                room.z[row, c] = np.float64(expert.clamped(pixel - middle)) - value
                seen_errors(error, scale, design.tables, seen[3 * c :])
                wavefront.place(plane, y, x, height, width, pixel)
                wavefront.place(errors, y, x, height, width, error)
        start += max(0, end - first)
    autoregressive.settle(design, batch, t)


def _room(model: Flagship, rows: int) -> Room:
    return Room(
        np.zeros((rows, network.ERROR_INPUTS * model.channels), np.float32),
        np.zeros((rows, model.channels)),
        np.zeros(3 * model.network.components, np.float32),
        np.zeros(model.network.kernel_heads[0].out.shape[0], np.float32),
        mixture.parameters(model.network.components),
    )


def _code(
    model: Flagship,
    product: Product,
    sizes: list[tuple[int, int]],
    coder: ans.Coder,
    intervals: Intervals,
    truth: Planes,
    decode: bool,
    progress: Progress | None,
) -> Lockstep:
    """Take every step of a batch; `progress` is called with the number of pixels of each."""
    batch = autoregressive.begin(model.design, sizes, model.channels)
    run = network.Run(model.network, product, len(batch.inputs))
    room = _room(model, len(batch.inputs))
    heads = model.network.kernel_heads
    for t in range(autoregressive.steps(sizes)):
        count = autoregressive.prepare(model.design, batch, t, True)
        fan = run.fan(batch.inputs[:count])
        code_group(
            model.design,
            model.prior,
            heads,
            batch,
            fan,
            room,
            coder,
            intervals,
            truth,
            t,
            decode,
        )
        if progress is not None:
            progress(count)
    return batch


def _intervals(tiles: int, symbols: int) -> Intervals:
    shape = (tiles, symbols)
    return Intervals(
        np.empty(shape, np.int32), np.empty(shape, np.int32), np.zeros(tiles, np.int64)
    )


def encode(
    model: Flagship,
    tiles: Sequence[Planes],
    product: Product,
    progress: Progress | None = None,
) -> list[bytes]:
    """Return the stream of each tile: planes, int32 (C, height, width), coded in lockstep."""
    sizes = [(tile.shape[1], tile.shape[2]) for tile in tiles]
    extent = (max(h for h, _ in sizes), max(w for _, w in sizes))
    truth = np.zeros((len(tiles), model.channels, *extent), np.int32)
    for b, tile in enumerate(tiles):
        truth[b, :, : sizes[b][0], : sizes[b][1]] = tile
    intervals = _intervals(len(tiles), max(tile.size for tile in tiles))
    _code(model, product, sizes, ans.decoder([]), intervals, truth, False, progress)
    streams = []
    for b, used in enumerate(intervals.used):
        words = ans.push_all(intervals.cumulative[b, :used], intervals.frequency[b, :used])
        streams.append(ans.to_bytes(words))
    return streams


def decode(
    model: Flagship,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    product: Product,
    progress: Progress | None = None,
) -> list[Planes | None]:
    """Return the planes of each stream, None for a stream that is visibly damaged.

    Damage that no rule of the coder shows gives wrong planes: checksums are the container's work.
    """
    words = [ans.from_bytes(stream) for stream in streams]
    coder = ans.decoder(words)
    nothing = _intervals(0, 0)
    truth = np.zeros((0, 0, 0, 0), np.int32)
    batch = _code(model, product, list(sizes), coder, nothing, truth, True, progress)
    tiles: list[Planes | None] = []
    for b, (height, width) in enumerate(sizes):
        inner = batch.planes[b, :, MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        tiles.append(np.ascontiguousarray(inner) if ans.is_finished(coder, b) else None)
    return tiles
