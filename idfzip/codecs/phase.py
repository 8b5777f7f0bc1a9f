"""A phase of the lattice that is coded: a third of all places, with a network of its own.

Known values give intervals, a stream gives values; both ways are one kernel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.codecs.encoding import Intervals
from idfzip.codecs.flagship import Learning
from idfzip.codecs.last_stage import Tables, see_error
from idfzip.coding import ans, turns
from idfzip.flows import lattice
from idfzip.flows.alphabet import BYTES
from idfzip.flows.lattice import PIECE, Design, Group, Level, Planes
from idfzip.integer import learner as learners
from idfzip.integer import learning, network
from idfzip.integer.jit import kernel
from idfzip.integer.learner import Learner
from idfzip.integer.network import ERROR_INPUTS, Buffers, Network
from idfzip.integer.panel import ROWS, Floats, padded
from idfzip.priors import mixture, mixtures
from idfzip.priors.mixtures import LANES, Mixtures

_ROOM = learning.PERIOD + PIECE
"""Rows of a group: pixels that wait to be learned from, and a piece."""

_VALUES = BYTES.values
"""The values of a channel; for kernels, to which globals are constants."""

_UNIFORM = ans.TOTAL // _VALUES
"""The frequency of each value of the first pixel."""


class Phase(NamedTuple):
    """What the coding of a phase goes on with from level to level.

    `pending` int64 (1,): rows of the group from which nothing was learned yet; `seen` float32
    (rows, 3 C): errors as later channels see them.
    """

    learner: Learner
    buffers: Buffers
    group: Group
    seen: Floats
    pending: npt.NDArray[np.int64]


class Source(NamedTuple):
    """Where values come from: known ones (C, height, width), or the stream of a coder.

    `cut`: whether words are missing at the stream's end.
    """

    truth: Planes
    coder: turns.Turns
    cut: bool


def phase(net: Network, how: Learning) -> Phase:
    """Return a phase of which nothing was coded yet."""
    rows, channels = _ROOM + ROWS, net.channels
    inputs = np.zeros((padded(rows, ROWS), padded(net.inputs, ROWS)), np.float32)
    return Phase(
        learners.learner(net, *how, rows),
        net.buffers(rows),
        Group(inputs, *(np.zeros((rows, channels), np.int32) for _ in range(3))),
        np.zeros((rows, ERROR_INPUTS * channels), np.float32),
        np.zeros(1, np.int64),
    )


@kernel
def code_first(planes: Planes, source: Source, intervals: Intervals) -> None:
    """Code the pixel of the coarsest planes (C, 1, 1), each value as likely as the others.

    Of a stream that is cut before a value it is 128, or 0 of the later channels.
    """
    words, place, state, states, turn = source.coder
    cumulative, frequency, used = intervals.cumulative, intervals.frequency, intervals.used
    for c in range(len(planes)):
        low = 0 if c == 0 else -int(planes[0, 0, 0])
        if source.truth.shape[1] > 0:
            planes[c] = source.truth[c, 0, 0]
            cumulative[0, used[0]] = (int(planes[c, 0, 0]) - low) * _UNIFORM
            frequency[0, used[0]] = _UNIFORM
        elif source.cut and turns.is_starved(place, state, 0):
            planes[c] = 128 if c == 0 else 0
            continue
        else:
            step = turns.peek(state, 0, turn[0]) // _UNIFORM
            turns.pop(words, place, state, 0, turn[0], step * _UNIFORM, _UNIFORM)
            turn[0] = (turn[0] + 1) & (states[0] - 1)
            planes[c] = step + low
        used[0] += 1


@kernel
def code_piece(
    tables: Tables,
    phase: Phase,
    source: Source,
    intervals: Intervals,
    room: Mixtures,
    level_bits: int,
    y: int,
    x: int,
    count: int,
    c: int,
) -> None:
    """Code channel `c` of the piece at (y, x), whose head has been run."""
    exp, sigmoid, inverse, spans = tables.exp, tables.sigmoid, tables.inverse, tables.span
    words, place, state, states, turn = source.coder
    whose, last = turn[0], states[0] - 1
    cumulative, frequency, used = intervals.cumulative, intervals.frequency, intervals.used
    group, seen, gains, log_table = phase.group, phase.seen, tables.gain, tables.log
    sums, deltas = phase.buffers.sums[c], phase.learner.outs_deltas[c]
    chosen, centres, found, lows = room.scales, room.centres, room.values, room.lows
    weights, means, inverses = room.weights, room.means, room.inverses
    listens = learning.listens(phase.learner)
    known = source.truth.shape[1] > 0
    for begin in range(0, count, LANES):
        size = min(LANES, count - begin)
        above = phase.pending[0] + begin
        for lane in range(size):
            row = above + lane
            low = 0 if c == 0 else -int(group.values[row, 0])
            chosen[lane], lows[lane] = group.scales[row, c], low
            centres[lane] = 64 * min(max(int(group.bases[row, c]), low), low + _VALUES - 1)
        mixtures.mix(sums, above, size, exp, inverse, spans, room)
        for lane in range(size):
            if known:
                column = (x + 2 * (begin + lane)) << level_bits
                found[lane] = source.truth[c, y << level_bits, column]
            elif source.cut and turns.is_starved(place, state, 0):
                found[lane] = mixture.middle(lows[lane], _VALUES, weights, means, lane)
            else:
                quantile = turns.peek(state, 0, whose)
                value, lower, upper = mixture.search(
                    quantile, lows[lane], _VALUES, weights, means, inverses, lane, sigmoid
                )
                turns.pop(words, place, state, 0, whose, lower, upper - lower)
                whose = (whose + 1) & last
                found[lane] = value
                used[0] += 1
        if known or listens:
            mixtures.edges(size, _VALUES, sigmoid, room)
        if known:
            mixtures.intervals(size, _VALUES, room)
            for lane in range(size):
                cumulative[0, used[0]] = room.ends[0, lane]
                frequency[0, used[0]] = room.ends[1, lane] - room.ends[0, lane]
                used[0] += 1
        if listens:
            mixtures.slope(above, size, room, deltas)
        for lane in range(size):
            row = above + lane
            group.values[row, c] = found[lane]
            error = 64 * found[lane] - centres[lane]
            see_error(error, gains[chosen[lane]], 0, log_table, seen, row, ERROR_INPUTS * c)
    turn[0] = whose


@kernel
def code_phase(
    design: Design,
    tables: Tables,
    level: Level,
    number: int,
    top: int,
    left: int,
    phase: Phase,
    source: Source,
    intervals: Intervals,
    room: Mixtures,
) -> None:
    """Code all pixels of phase `number` of a level, of which the first is at (top, left)."""
    channels, height, width = level.planes.shape
    learner, buffers, group, pending = phase.learner, phase.buffers, phase.group, phase.pending
    weights = learner.network
    for y in range(top, height, 2):
        for x in range(left, width, 2 * PIECE):
            count = min(PIECE, (width - x + 1) >> 1)
            start = pending[0]
            lattice.gather(design, level, number, y, x, count, group, start)
            network.run_trunk(group.inputs, start, count, weights, buffers)
            for c in range(channels):
                network.run_head(c, start, count, phase.seen, weights, buffers)
                code_piece(tables, phase, source, intervals, room, level.bits, y, x, count, c)
            lattice.settle(level, y, x, count, group, start)
            starved = source.cut and turns.is_starved(source.coder.place, source.coder.state, 0)
            if learner.rate > 0.0 and not starved:
                pending[0] += count
            if pending[0] >= learning.PERIOD:
                learning.close(learner, group.inputs, phase.seen, pending[0], buffers)
                pending[0] = 0
