"""Mixtures of up to 64 values side by side: made, and, where values are known, used.

Short loops along the lanes, each of a few arrays, are what a compiler turns into vectors: mixture
and interval of a value take 35 ns so, and 107 ns one value at a time (mixtures of 4, one core,
AVX-512; the same integers). Quotients of whole numbers are taken in IEEE doubles: the true one is
further from the next whole number than the rounding reaches, so what is left of the point is the
integer quotient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.coding.ans import PRECISION, TOTAL
from idfzip.integer.jit import inlined, kernel
from idfzip.priors.mixture import END, LOWEST, SIGMOID_BITS, WEIGHT_BITS, Integers

LANES = 64
"""Values whose mixtures are made at once: their numbers fit a cache of the first level."""

_LEAST_SHARE = 1 << (WEIGHT_BITS + SIGMOID_BITS - PRECISION)
_WHOLE = 2.0 ** -(WEIGHT_BITS + SIGMOID_BITS)
_LEVEL = 2.0**-SIGMOID_BITS
_WEIGHT = 2.0**-WEIGHT_BITS
_UNITS = 2.0**-31
_CELL = 2.0**-15
_LN_2 = 0.693147
_DELTA_LIMIT = 127.0

Doubles = npt.NDArray[np.float64]


class Mixtures(NamedTuple):
    """Mixtures and what belongs to them; int64 (K, 64) or (64,), a lane for each value.

    `mix` takes `scales`, the indices of the pixels' scales, and `centres`, the expert's means, in
    1/64 of a step; it gives `weights` of sum 2**14, `means` in 1/64, `inverses` of scales as in
    `mixture.Tables`, and `spans`, the pixels' scales in 1/1024. `edges` takes `values` and `lows`,
    the ends of their alphabets, and gives for the lower and the upper edge of each value where it
    lies in each logistic, in 2**-15 (`places`), and the sigmoid there, in 2**-22 (`levels`), all
    of shape (2, K, 64). `ends` (2, 64) are those of the values' intervals. The rest is scratch.
    """

    scales: Integers
    centres: Integers
    values: Integers
    lows: Integers
    spans: Integers
    weights: Integers
    means: Integers
    inverses: Integers
    places: Integers
    levels: Integers
    ends: Integers
    sums: Integers
    best: Integers
    cells: Integers
    other: Integers
    first: Doubles
    second: Doubles
    slopes: Doubles


def mixtures(components: int) -> Mixtures:
    """Return room for mixtures of so many logistics."""

    def whole(*shape: int) -> Integers:
        return np.zeros((*shape, LANES), np.int64)

    k = components
    return Mixtures(
        *(whole(), whole(), whole(), whole(), whole()),
        *(whole(k), whole(k), whole(k)),
        *(whole(2, k), whole(2, k), whole(2), whole(3 * k)),
        *(whole(), whole(), whole()),
        *(np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)),
    )


@inlined
def _look_up(table: Integers, cells: Integers, count: int, out: Integers) -> None:
    for lane in range(count):
        out[lane] = table[cells[lane]]


@kernel
def mix(
    sums: npt.NDArray[np.float32] | npt.NDArray[np.int32],
    start: int,
    count: int,
    exp: Integers,
    inverse: Integers,
    span: Integers,
    room: Mixtures,
) -> None:
    """Turn a head's sums into mixtures: the rows from `start` on of (rows, >= 3 K).

    They are whole numbers, float32 or int32; the tables are those of `mixture.Tables`.
    """
    taken, weights, scales = room.sums, room.weights, room.scales
    best, cells, rest, top, total = room.best, room.cells, room.other, room.spans, room.first
    k = len(weights)
    for lane in range(count):
        row = sums[start + lane]
        for j in range(3 * k):
            taken[j, lane] = np.int64(row[j])
    for lane in range(count):
        best[lane] = 0
        top[lane] = taken[0, lane]
        total[lane] = 0.0
    for i in range(1, k):
        logits = taken[i]
        for lane in range(count):
            best[lane] = i if logits[lane] > top[lane] else best[lane]
            top[lane] = max(top[lane], logits[lane])
    for i in range(k):
        logits, mine = taken[i], weights[i]
        for lane in range(count):
            cells[lane] = min((top[lane] - logits[lane]) >> 7, 2047)
        _look_up(exp, cells, count, mine)
        for lane in range(count):
            total[lane] += np.float64(mine[lane])
    for lane in range(count):
        rest[lane] = 1 << WEIGHT_BITS
    for i in range(k):
        mine = weights[i]
        for lane in range(count):
            share = np.int64(np.float64(mine[lane] << WEIGHT_BITS) / total[lane])
            mine[lane] = share
            rest[lane] -= share
    for i in range(k):
        mine = weights[i]
        for lane in range(count):
            mine[lane] += rest[lane] if best[lane] == i else 0
    _scale(count, scales, inverse, span, room)


@inlined
def _scale(count: int, scales: Integers, inverse: Integers, span: Integers, room: Mixtures) -> None:
    """Write the means and the inverse scales."""
    spans, cells, centres, taken = room.spans, room.cells, room.centres, room.sums
    k, last = len(room.weights), len(inverse) - 1
    _look_up(span, scales, count, spans)
    for i in range(k):
        shifts, means = taken[k + i], room.means[i]
        for lane in range(count):
            means[lane] = centres[lane] + ((shifts[lane] * spans[lane] + (1 << 17)) >> 18)
        logs = taken[2 * k + i]
        for lane in range(count):
            spread = 4 * scales[lane] - 64 + ((logs[lane] + 512) >> 10) + LOWEST
            cells[lane] = min(max(spread, 0), last)
        _look_up(inverse, cells, count, room.inverses[i])


@kernel
def edges(count: int, alphabet: int, sigmoid: Integers, room: Mixtures) -> None:
    """Write `places` and `levels` of known values; the tails go to the ends of the alphabet."""
    values, lows, cells, part = room.values, room.lows, room.cells, room.other
    for i in range(len(room.weights)):
        means, inverses = room.means[i], room.inverses[i]
        for up in range(2):
            places, levels, after = room.places[up, i], room.levels[up, i], room.best
            for lane in range(count):
                edge = 64 * (values[lane] + up) - 32 - means[lane]
                places[lane] = min(max((edge * inverses[lane]) >> 12, -END), END - 1)
            for lane in range(count):
                step = values[lane] + up - lows[lane]
                place = places[lane] if step > 0 else -END
                places[lane] = place if step < alphabet else END - 1
            for lane in range(count):
                u = places[lane] + END
                cells[lane] = u >> 10
                part[lane] = u & 1023
            _look_up(sigmoid, cells, count, levels)
            for lane in range(count):
                cells[lane] += 1
            _look_up(sigmoid, cells, count, after)
            for lane in range(count):
                levels[lane] += ((after[lane] - levels[lane]) * part[lane]) >> 10


@kernel
def intervals(count: int, alphabet: int, room: Mixtures) -> None:
    """Write the ends of known values' intervals, of 2**24, from their edges; see `cumulative`."""
    values, lows = room.values, room.lows
    for up in range(2):
        ends = room.ends[up]
        for lane in range(count):
            ends[lane] = 0
        for i in range(len(room.weights)):
            weights, levels = room.weights[i], room.levels[up, i]
            for lane in range(count):
                ends[lane] += weights[lane] * levels[lane]
        for lane in range(count):
            step = values[lane] + up - lows[lane]
            end = ((ends[lane] * (TOTAL - alphabet)) >> (WEIGHT_BITS + SIGMOID_BITS)) + step
            end = end if step > 0 else 0
            ends[lane] = end if step < alphabet else TOTAL


@inlined
def _store(
    slopes: Doubles, start: int, count: int, column: int, deltas: npt.NDArray[np.float32]
) -> None:
    """Write slopes in 2**-6, rounded and clamped."""
    for lane in range(count):
        whole = np.floor(slopes[lane] * 64.0 + 0.5)
        whole = whole if whole < _DELTA_LIMIT else _DELTA_LIMIT
        slopes[lane] = whole if whole > -_DELTA_LIMIT else -_DELTA_LIMIT
    for lane in range(count):
        deltas[start + lane, column] = np.float32(slopes[lane])


@kernel
def slope(start: int, count: int, room: Mixtures, deltas: npt.NDArray[np.float32]) -> None:
    """Write how the nats of known values depend on the head's sums, from their edges.

    Into rows from `start` on, float32 (rows, >= 3 K), whole numbers, in 2**-6, clamped to +-127
    (see `idfzip.integer.learning`). In IEEE doubles with + - * / in this order, from whole numbers.
    """
    whole, share, slopes, spans = room.first, room.second, room.slopes, room.spans
    k = len(room.weights)
    for lane in range(count):
        whole[lane] = np.float64(_LEAST_SHARE)
    for i in range(k):
        weights, below, above = room.weights[i], room.levels[0, i], room.levels[1, i]
        for lane in range(count):
            whole[lane] += np.float64(weights[lane] * (above[lane] - below[lane]))
    for lane in range(count):
        whole[lane] = whole[lane] * _WHOLE
        share[lane] = 1.0 / whole[lane]
    for i in range(k):
        weights, below, above = room.weights[i], room.levels[0, i], room.levels[1, i]
        inverses, lower, upper = room.inverses[i], room.places[0, i], room.places[1, i]
        for lane in range(count):
            top, bottom = np.float64(above[lane]) * _LEVEL, np.float64(below[lane]) * _LEVEL
            weight = np.float64(weights[lane]) * _WEIGHT * share[lane]
            slopes[lane] = weight * (whole[lane] - (top - bottom))
        _store(slopes, start, count, i, deltas)
        for lane in range(count):
            top, bottom = np.float64(above[lane]) * _LEVEL, np.float64(below[lane]) * _LEVEL
            steep = top * (1.0 - top) - bottom * (1.0 - bottom)
            weight = np.float64(weights[lane]) * _WEIGHT * share[lane]
            units = np.float64(spans[lane] * inverses[lane]) * _UNITS
            slopes[lane] = weight * steep * units
        _store(slopes, start, count, k + i, deltas)
        for lane in range(count):
            top, bottom = np.float64(above[lane]) * _LEVEL, np.float64(below[lane]) * _LEVEL
            far_top, far_bottom = np.float64(upper[lane]) * _CELL, np.float64(lower[lane]) * _CELL
            stretch = far_top * (top * (1.0 - top)) - far_bottom * (bottom * (1.0 - bottom))
            weight = np.float64(weights[lane]) * _WEIGHT * share[lane]
            slopes[lane] = weight * stretch * _LN_2
        _store(slopes, start, count, 2 * k + i, deltas)
