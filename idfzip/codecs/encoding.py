"""Encoding a flagship's tiles: the intervals of known pixels, in order of decoding."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.codecs.last_stage import STEPS, Tables, see_error, see_lead
from idfzip.flows import autoregressive, expert, wavefront
from idfzip.flows.autoregressive import Design, Lockstep, Planes, Record
from idfzip.integer import learning, network
from idfzip.integer.jit import kernel
from idfzip.integer.learner import Learner
from idfzip.integer.network import SEEN_INPUTS, Buffers
from idfzip.integer.panel import Floats
from idfzip.priors import mixtures
from idfzip.priors.mixtures import LANES, Mixtures


class Intervals(NamedTuple):
    """The symbols of a batch in order of decoding; int32 (tiles, symbols), used int64 (tiles,)."""

    cumulative: npt.NDArray[np.int32]
    frequency: npt.NDArray[np.int32]
    used: npt.NDArray[np.int64]


@kernel
def see(
    tables: Tables,
    seen: Record,
    scales: npt.NDArray[np.int32],
    deep: int,
    count: int,
    out: Floats,
) -> None:
    """Write what heads see of `count` known pixels, float32 (rows, 4 C)."""
    log_table, gains = tables.log, tables.gain
    means, leads, values = seen.means, seen.leads, seen.values
    for row in range(count):
        for c in range(means.shape[1]):
            gain = gains[scales[row, c]]
            error = int(values[row, c]) * expert.UNIT - means[row, c]
            see_error(error, gain, deep, log_table, out, row, SEEN_INPUTS * c)
            if c > 0:
                see_lead(leads[row, c], gain, deep, out, row, SEEN_INPUTS * c - 1)


class Ends(NamedTuple):
    """The ends of the intervals of a chunk's values; int32 (rows, C)."""

    lower: npt.NDArray[np.int32]
    upper: npt.NDArray[np.int32]


def ends(rows: int, channels: int) -> Ends:
    """Return room for so many pixels."""
    return Ends(*(np.zeros((rows, channels), np.int32) for _ in Ends._fields))


@kernel
def find_intervals(
    tables: Tables,
    seen: Record,
    scales: npt.NDArray[np.int32],
    c: int,
    count: int,
    sums: Floats,
    deltas: Floats,
    listens: bool,
    alphabet: int,
    room: Mixtures,
    found: Ends,
) -> None:
    """Find the intervals of channel `c` of `count` known pixels.

    `deltas` take the slopes of the bits if the learner listens.
    """
    means, values = seen.means, seen.values
    lower, upper = found.lower, found.upper
    for start in range(0, count, LANES):
        size = min(LANES, count - start)
        for lane in range(size):
            row = start + lane
            room.scales[lane] = scales[row, c]
            room.centres[lane] = means[row, c]
            room.values[lane] = values[row, c]
            room.lows[lane] = 0 if c == 0 else -values[row, 0]
        mixtures.mix(sums, start, size, tables.exp, tables.inverse, tables.span, room)
        mixtures.edges(size, alphabet, tables.sigmoid, room)
        mixtures.intervals(size, alphabet, room)
        for lane in range(size):
            lower[start + lane, c] = room.ends[0, lane]
            upper[start + lane, c] = room.ends[1, lane]
        if listens:
            mixtures.slope(start, size, room, deltas)


@kernel
def note_intervals(
    found: Ends, sizes: npt.NDArray[np.int64], begin: int, stop: int, intervals: Intervals
) -> None:
    """Append the intervals of the steps from `begin` up to `stop`.

    In the order of decoding: in a step and tile, channel by channel, then row by row.
    """
    lower, upper = found.lower, found.upper
    cumulative, frequency, used = intervals.cumulative, intervals.frequency, intervals.used
    start = 0
    for t in range(begin, stop):
        for b in range(len(sizes)):
            height, width = sizes[b]
            size = max(0, wavefront.end_row(t, height) - wavefront.first_row(t, width))
            at = used[b]
            for c in range(lower.shape[1]):
                for row in range(start, start + size):
                    cumulative[b, at] = lower[row, c]
                    frequency[b, at] = upper[row, c] - lower[row, c]
                    at += 1
            used[b] = at
            start += size


@kernel
def encode_steps(
    design: Design,
    learner: Learner,
    tables: Tables,
    batch: Lockstep,
    truth: Planes,
    residuals: Planes,
    seen: Record,
    errors: Floats,
    buffers: Buffers,
    room: Mixtures,
    found: Ends,
    intervals: Intervals,
    t: int,
    stop: int,
    chunk: int,
) -> tuple[int, int]:
    """Take steps from `t` on, about `STEPS` of them, in chunks of at least so many pixels.

    Returns the next step and the number of pixels.
    """
    pixels = 0
    weights, alphabet = learner.network, batch.alphabet
    last = min(stop, t + STEPS)
    while t < last:
        begin = t
        t, count = autoregressive.observe(design, batch, truth, residuals, t, stop, chunk, seen)
        see(tables, seen, batch.scales, alphabet.deep, count, errors)
        network.run_trunk(batch.inputs, 0, count, weights, buffers)
        for c in range(len(weights.outs)):
            network.run_head(c, 0, count, errors, weights, buffers)
        listens = learning.listens(learner)
        for c in range(len(weights.outs)):
            sums, deltas = buffers.sums[c], learner.outs_deltas[c]
            find_intervals(
                tables,
                seen,
                batch.scales,
                c,
                count,
                sums,
                deltas,
                listens,
                alphabet.values,
                room,
                found,
            )
        note_intervals(found, batch.sizes, begin, t, intervals)
        if learner.rate > 0.0 and count >= chunk:
            learning.close(learner, batch.inputs, errors, count, buffers)
        pixels += count
    return t, pixels
