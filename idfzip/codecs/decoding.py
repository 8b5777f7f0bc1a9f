"""Decoding a flagship's tiles: the steps of the wavefront, compiled as a whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.codecs.last_stage import Tables, see_error, see_lead
from idfzip.coding import ans
from idfzip.flows import autoregressive, expert, wavefront, window
from idfzip.flows.alphabet import Alphabet, Integers
from idfzip.flows.autoregressive import Design, Lockstep
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

    `seen` float32 (rows, 4 C), what heads see of the channels; `z` float64 (rows, C), in steps, the
    expert's predictions and, once a value is known, their errors; `middles` int64 (64,), the bases
    of the pixels at hand.
    """

    alphabet: Alphabet
    planes: Integers
    errors: Integers
    sizes: npt.NDArray[np.int64]
    scales: npt.NDArray[np.int32]
    partial: npt.NDArray[np.float64]
    link: npt.NDArray[np.float64]
    seen: Floats
    z: npt.NDArray[np.float64]
    room: Mixtures
    middles: npt.NDArray[np.int64]


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

    The coder has a stream for each tile, or one for all.
    `sums` float32 (rows, >= 3 K) are the head's, used from row `start` on; `deltas`, of the same
    shape or empty, takes the slopes of the bits.
    """
    # Attributes of named tuples are fetched once: each costs a count of references.
    log_table, gains, exp, sigmoid = tables.log, tables.gain, tables.exp, tables.sigmoid
    inverse, spans = tables.inverse, tables.span
    seen, z, scales, room, middles = view.seen, view.z, view.scales, view.room, view.middles
    chosen, centres, values, lows = room.scales, room.centres, room.values, room.lows
    weights, means, inverses = room.weights, room.means, room.inverses
    alphabet, deep, limit, _ = view.alphabet
    words, place, state = coder.words, coder.place, coder.state
    for b in range(len(view.sizes)):
        stream = min(b, len(state) - 1)
        height, width = view.sizes[b]
        first = wavefront.first_row(t, width)
        end = wavefront.end_row(t, height)
        planes = view.planes[b]
        plane, channels = planes[c], len(planes)
        errors = view.errors[b, c]
        partial = view.partial[b]
        link = view.link[b]
        for top in range(first, end, LANES):
            size = min(LANES, end - top)
            above = start + top - first
            for lane in range(size):
                y, row = top + lane, above + lane
                x = t - 2 * y
                low = 0 if c == 0 else -int(planes[0, y + MARGIN, x + MARGIN])
                middle = window.base(planes, c, y, x)
                if c == 0:
                    z[row, c] = expert.predict(partial, link, y, c, z, row, limit)
                centres[lane] = expert.to_mean(z[row, c], middle, low, low + alphabet - 1)
                chosen[lane], lows[lane], middles[lane] = scales[row, c], low, middle
            mixtures.mix(sums, above, size, exp, inverse, spans, room)
            for lane in range(size):
                y, row = top + lane, above + lane
                x = t - 2 * y
                quantile = ans.peek(state, stream)
                pixel, lower, upper = mixture.search(
                    quantile, lows[lane], alphabet, weights, means, inverses, lane, sigmoid
                )
                ans.pop(words, place, state, stream, lower, upper - lower)
                values[lane] = pixel
                error = pixel * expert.UNIT - centres[lane]
                difference = window.clamped(pixel - middles[lane], limit)
                z[row, c] = np.float64(difference) - z[row, c]
                see_error(error, gains[chosen[lane]], deep, log_table, seen, row, SEEN_INPUTS * c)
                wavefront.place(plane, y, x, height, width, pixel)
                wavefront.place(errors, y, x, height, width, error)
                if c + 1 < channels:
                    low = -int(planes[0, y + MARGIN, x + MARGIN])
                    middle = window.base(planes, c + 1, y, x)
                    z[row, c + 1] = expert.predict(partial, link, y, c + 1, z, row, limit)
                    mean = expert.to_mean(z[row, c + 1], middle, low, low + alphabet - 1)
                    gain = gains[scales[row, c + 1]]
                    lead = mean - middle * expert.UNIT
                    see_lead(lead, gain, deep, seen, row, SEEN_INPUTS * c + 3)
            if len(deltas) > 0:
                mixtures.edges(size, alphabet, sigmoid, room)
                mixtures.slope(above, size, room, deltas)
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
