"""Decoding a flagship's tiles: the steps of the wavefront, compiled as a whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.codecs.last_stage import Tables, see_error, see_lead
from idfzip.coding import turns
from idfzip.flows import autoregressive, expert, wavefront, window
from idfzip.flows.alphabet import Alphabet, Integers
from idfzip.flows.autoregressive import Design, Lockstep, Planes
from idfzip.flows.wavefront import MARGIN
from idfzip.integer import learning, network
from idfzip.integer.jit import kernel
from idfzip.integer.learner import Learner
from idfzip.integer.network import SEEN_INPUTS, Buffers
from idfzip.integer.panel import Floats
from idfzip.priors import mixture, mixtures
from idfzip.priors.mixtures import LANES, Mixtures


class View(NamedTuple):
    """The part of a batch, and a group's working memory, that decoding a channel touches.

    `bases` are those of the group's samples; `seen` float32 (rows, 4 C), what heads see of the
    channels; `z` float64 (C, rows), in steps, the expert's predictions and, once a value is known,
    their errors; `made` int32 (tiles, C, height, width) takes what is decoded.
    """

    alphabet: Alphabet
    planes: Integers
    errors: Integers
    bases: Integers
    sizes: npt.NDArray[np.int64]
    scales: npt.NDArray[np.int32]
    partial: npt.NDArray[np.float64]
    link: npt.NDArray[np.float64]
    seen: Floats
    z: npt.NDArray[np.float64]
    room: Mixtures
    made: Planes


@kernel
def decode_channel(
    tables: Tables,
    view: View,
    sums: Floats,
    deltas: Floats,
    coder: turns.Turns,
    t: int,
    c: int,
    start: int,
) -> None:
    """Decode channel `c` of the pixels of step `t` of every tile, and place it.

    The coder has a stream for each tile, or one for all.
    `sums` float32 (rows, >= 3 K) are the head's, used from row `start` on; `deltas`, of the same
    shape or empty, takes the slopes of the bits.
    """
    # Attributes of named tuples are fetched once: each costs a count of references.
    log_table, gains, exp, sigmoid = tables.log, tables.gain, tables.exp, tables.sigmoid
    inverse, spans = tables.inverse, tables.span
    seen, z, scales, room = view.seen, view.z, view.scales, view.room
    chosen, centres, values, lows = room.scales, room.centres, room.values, room.lows
    weights, means, inverses = room.weights, room.means, room.inverses
    alphabet, deep, limit, _ = view.alphabet
    words, place, state, states = coder.words, coder.place, coder.state, coder.states
    at = wavefront.slot(t)
    for b in range(len(view.sizes)):
        stream = min(b, len(state) - 1)
        turn, last = coder.turn[stream], states[stream] - 1
        height, width = view.sizes[b]
        first = wavefront.first_row(t, width)
        end = wavefront.end_row(t, height)
        planes, bases, made = view.planes[b], view.bases[b], view.made[b, c]
        plane, error_ring, channels = planes[c], view.errors[b, c], len(planes)
        here, lowest, errors = plane[at, MARGIN:], planes[0, at, MARGIN:], error_ring[at, MARGIN:]
        partial = view.partial[b]
        link = view.link[b]
        for top in range(first, end, LANES):
            size = min(LANES, end - top)
            above = start + top - first
            for lane in range(size):
                y, row = top + lane, above + lane
                low = 0 if c == 0 else -int(lowest[y])
                if c == 0:
                    z[c, row] = expert.predict(partial, link, y, c, z, row, limit)
                centres[lane] = expert.to_mean(z[c, row], bases[c, y], low, low + alphabet - 1)
                chosen[lane], lows[lane] = scales[row, c], low
            mixtures.mix(sums, above, size, exp, inverse, spans, room)
            for lane in range(size):
                y, row = top + lane, above + lane
                quantile = turns.peek(state, stream, turn)
                pixel, lower, upper = mixture.search(
                    quantile, lows[lane], alphabet, weights, means, inverses, lane, sigmoid
                )
                turns.pop(words, place, state, stream, turn, lower, upper - lower)
                turn = (turn + 1) & last
                values[lane] = pixel
                here[y] = made[y, t - 2 * y] = pixel
            for lane in range(size):
                y, row = top + lane, above + lane
                error = values[lane] * expert.UNIT - centres[lane]
                errors[y] = error
                difference = window.clamped(values[lane] - bases[c, y], limit)
                z[c, row] = np.float64(difference) - z[c, row]
                see_error(error, gains[chosen[lane]], deep, log_table, seen, row, SEEN_INPUTS * c)
                if c + 1 < channels:
                    low, middle = -int(lowest[y]), int(bases[c + 1, y])
                    z[c + 1, row] = expert.predict(partial, link, y, c + 1, z, row, limit)
                    mean = expert.to_mean(z[c + 1, row], middle, low, low + alphabet - 1)
                    gain = gains[scales[row, c + 1]]
                    lead = mean - middle * expert.UNIT
                    see_lead(lead, gain, deep, seen, row, SEEN_INPUTS * c + 3)
            if len(deltas) > 0:
                mixtures.edges(size, alphabet, sigmoid, room)
                mixtures.slope(above, size, room, deltas)
        wavefront.spread(plane, t, height, width)
        wavefront.spread(error_ring, t, height, width)
        coder.turn[stream] = turn
        start += max(0, end - first)


@kernel
def decode_steps(
    design: Design,
    learner: Learner,
    tables: Tables,
    batch: Lockstep,
    view: View,
    buffers: Buffers,
    coder: turns.Turns,
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
