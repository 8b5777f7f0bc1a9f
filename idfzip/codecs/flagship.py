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
from idfzip.coding import ans
from idfzip.flows import alphabet as alphabets
from idfzip.flows import autoregressive
from idfzip.flows.alphabet import BYTES, Alphabet
from idfzip.flows.autoregressive import Design, Lockstep, Planes
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


def _tables(model: Flagship, batch: Lockstep) -> Tables:
    prior = mixture.deepened(model.prior, batch.alphabet.deep)
    return Tables(**batch.tables._asdict(), **prior._asdict())


def encode(
    model: Flagship,
    tiles: Sequence[Planes],
    progress: Progress | None = None,
    alphabet: int = BYTES.values,
) -> list[bytes]:
    """Return the stream of each tile: planes, int32 (C, height, width).

    The first channel is in [0, alphabet), others in [-first, alphabet - 1 - first]; the alphabet is
    a number from 1 to 65536. Tiles are coded in lockstep, but one by one where the network learns:
    each has its own. `progress` is called with numbers of pixels.
    """
    one = alphabets.alphabet(alphabet)
    if model.learning.rate == 0:
        return _encode(model, tiles, progress, one)
    return [stream for tile in tiles for stream in _encode(model, [tile], progress, one)]


def _encode(
    model: Flagship, tiles: Sequence[Planes], progress: Progress | None, alphabet: Alphabet
) -> list[bytes]:
    channels = model.channels
    sizes = [(tile.shape[1], tile.shape[2]) for tile in tiles]
    extent = (max(h for h, _ in sizes), max(w for _, w in sizes))
    truth = np.zeros((len(tiles), channels, *extent), np.int32)
    for b, tile in enumerate(tiles):
        truth[b, :, : sizes[b][0], : sizes[b][1]] = tile
    residuals = np.zeros_like(truth)
    chunk = learning.PERIOD if model.learning.rate else CHUNK
    batch = autoregressive.begin(model.design, sizes, channels, chunk + ROWS, alphabet)
    rows = len(batch.inputs)
    seen = autoregressive.record(rows, channels)
    state = learner.learner(model.network, *model.learning, rows)
    buffers = model.network.buffers(rows)
    errors = np.zeros((rows, network.ERROR_INPUTS * channels), np.float32)
    mixed = mixture.room(model.network.components)
    tables = _tables(model, batch)
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
    alphabet: int = BYTES.values,
) -> list[Planes | None]:
    """Return the planes of each stream, None for a stream that is visibly damaged.

    Damage that no rule of the coder shows gives wrong planes: checksums are the container's work.
    """
    one = alphabets.alphabet(alphabet)
    if model.learning.rate == 0:
        return _decode(model, streams, sizes, progress, one)
    pairs = zip(streams, sizes, strict=True)
    return [planes for s, size in pairs for planes in _decode(model, [s], [size], progress, one)]


def _decode(
    model: Flagship,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    progress: Progress | None,
    alphabet: Alphabet,
) -> list[Planes | None]:
    channels = model.channels
    coder = ans.decoder([ans.from_bytes(stream) for stream in streams])
    room = learning.PERIOD if model.learning.rate else 0
    batch = autoregressive.begin(model.design, list(sizes), channels, room + ROWS, alphabet)
    rows = len(batch.inputs)
    view = View(
        alphabet,
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
    tables = _tables(model, batch)
    stop = autoregressive.steps(list(sizes))
    pending = 0
    for begin in range(0, stop, STEPS):
        end = min(begin + STEPS, stop)
        count, pending = decode_steps(
            model.design, state, tables, batch, view, buffers, coder, begin, end, pending
        )
        if progress is not None:
            progress(count)
    tiles: list[Planes | None] = []
    for b, (height, width) in enumerate(sizes):
        inner = batch.planes[b, :, MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        tiles.append(np.ascontiguousarray(inner, np.int32) if ans.is_finished(coder, b) else None)
    return tiles
