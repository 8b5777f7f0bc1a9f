"""Encoding a flagship's tiles: the intervals of known pixels, in order of decoding."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.codecs.last_stage import STEPS, Tables, see_error
from idfzip.flows import autoregressive, expert, wavefront
from idfzip.flows.autoregressive import Design, Lockstep, Planes, Record
from idfzip.integer import learning, network
from idfzip.integer.jit import kernel
from idfzip.integer.learner import Learner
from idfzip.integer.network import Buffers
from idfzip.integer.panel import Floats
from idfzip.priors import mixture


class Intervals(NamedTuple):
    """The symbols of a batch in order of decoding; int32 (tiles, symbols), used int64 (tiles,)."""

    cumulative: npt.NDArray[np.int32]
    frequency: npt.NDArray[np.int32]
    used: npt.NDArray[np.int64]


@kernel
def see_errors(
    tables: Tables,
    seen: Record,
    scales: npt.NDArray[np.int32],
    deep: int,
    count: int,
    out: Floats,
) -> None:
    """Write what later channels see of `count` known pixels, float32 (rows, 3 C)."""
    log_table, gains = tables.log, tables.gain
    means, values = seen.means, seen.values
    for row in range(count):
        for c in range(means.shape[1]):
            error = int(values[row, c]) * expert.UNIT - means[row, c]
            see_error(error, gains[scales[row, c]], deep, log_table, out, row, 3 * c)


@kernel
def note_intervals(
    tables: Tables,
    seen: Record,
    scales: npt.NDArray[np.int32],
    sums: tuple[Floats, ...],
    deltas: tuple[Floats, ...],
    listens: bool,
    alphabet: int,
    sizes: npt.NDArray[np.int64],
    begin: int,
    stop: int,
    mixed: mixture.Mixture,
    intervals: Intervals,
) -> None:
    """Append the intervals of the known pixels of the steps from `begin` up to `stop`.

    In the order of decoding: in a step and tile, channel by channel, then row by row. `deltas`
    take the slopes of the bits if the learner listens.
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
                    lower = mixture.cumulative(value, low, alphabet, mixed, sigmoid)
                    upper = mixture.cumulative(value + 1, low, alphabet, mixed, sigmoid)
                    cumulative[b, used[b]] = lower
                    frequency[b, used[b]] = upper - lower
                    used[b] += 1
                    if listens:
                        mixture.slope(
                            value, low, alphabet, mixed, spans[scale], sigmoid, slopes[row]
                        )
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
    mixed: mixture.Mixture,
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
        see_errors(tables, seen, batch.scales, alphabet.deep, count, errors)
        network.run_trunk(batch.inputs, 0, count, weights, buffers)
        for c in range(len(weights.outs)):
            network.run_head(c, 0, count, errors, weights, buffers)
        note_intervals(
            tables,
            seen,
            batch.scales,
            buffers.sums,
            learner.outs_deltas,
            learning.listens(learner),
            alphabet.values,
            batch.sizes,
            begin,
            t,
            mixed,
            intervals,
        )
        if learner.rate > 0.0 and count >= chunk:
            learning.close(learner, batch.inputs, errors, count, buffers)
        pixels += count
    return t, pixels
