"""Blocks: many small images in one stream of a flagship.

An image of its own pays for the coder's state, and a network that learns begins anew with each. The
tiles of a block are coded in runs of `lockstep` tiles, which advance together, one run after the
other; all symbols go into one stream, and the network goes on from where the run before left it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.codecs import flagship
from idfzip.codecs.encoding import Intervals
from idfzip.codecs.flagship import Flagship
from idfzip.coding import ans, turns
from idfzip.flows import wavefront
from idfzip.flows.autoregressive import Planes
from idfzip.integer import learner
from idfzip.integer.jit import kernel
from idfzip.integer.learner import Learner
from idfzip.integer.log2 import STEPS

Progress = Callable[[int], object]


class Coded(NamedTuple):
    """A block's stream, and the bits that each tile's symbols take of it: `turns.cost_of`."""

    stream: bytes
    bits: list[float]


@kernel
def _order(
    sizes: npt.NDArray[np.int64],
    channels: int,
    found: Intervals,
    cumulative: npt.NDArray[np.int32],
    frequency: npt.NDArray[np.int32],
    start: int,
) -> int:
    """Write a run's symbols from `start` on in the order of decoding; return the place after them.

    In a step, channel by channel, in each tile by tile.
    """
    taken = np.zeros(len(sizes), np.int64)
    stop = 0
    for height, width in sizes:
        stop = max(stop, width + 2 * (height - 1))
    for t in range(stop):
        for _ in range(channels):
            for b in range(len(sizes)):
                height, width = sizes[b]
                first, end = wavefront.first_row(t, width), wavefront.end_row(t, height)
                for _ in range(first, end):
                    cumulative[start] = found.cumulative[b, taken[b]]
                    frequency[start] = found.frequency[b, taken[b]]
                    taken[b] += 1
                    start += 1
    return start


def _runs(count: int, lockstep: int) -> list[slice]:
    return [slice(i, min(i + lockstep, count)) for i in range(0, count, lockstep)]


def _learner(model: Flagship, sizes: Sequence[tuple[int, int]], runs: list[slice]) -> Learner:
    rows = max(flagship.rows(model, sizes[run]) for run in runs)
    return learner.learner(model.network, *model.learning, rows)


def encode(
    model: Flagship, tiles: Sequence[Planes], lockstep: int, progress: Progress | None = None
) -> Coded:
    """Return the stream of a block of tiles: planes, int32 (C, height, width)."""
    sizes = flagship.batch_sizes(tiles)
    runs = _runs(len(tiles), lockstep)
    state = _learner(model, sizes, runs)
    total = sum(tile.size for tile in tiles)
    cumulative, frequency = np.empty(total, np.int32), np.empty(total, np.int32)
    bits: list[float] = []
    place = 0
    for run in runs:
        found = flagship.intervals(model, tiles[run], state, progress)
        shape = np.array(sizes[run], np.int64)
        place = _order(shape, model.channels, found, cumulative, frequency, place)
        for b, used in enumerate(found.used):
            bits.append(turns.cost_of(found.frequency[b, :used]) / STEPS)
    return Coded(ans.to_bytes(turns.push_all(cumulative, frequency)), bits)


def decode(
    model: Flagship,
    stream: bytes,
    sizes: Sequence[tuple[int, int]],
    lockstep: int,
    progress: Progress | None = None,
) -> list[Planes]:
    """Return the tiles of a block's stream, whose sizes are (height, width).

    In a damaged stream what comes after the damage is wrong: checksums are the container's work.
    Raises FormatError where the stream is no whole number of words.
    """
    runs = _runs(len(sizes), lockstep)
    state = _learner(model, sizes, runs)
    coder = turns.decoder([ans.from_bytes(stream)])
    return [
        tile
        for run in runs
        for tile in flagship.planes(model, list(sizes[run]), coder, state, progress)
    ]
