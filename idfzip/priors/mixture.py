"""The prior: a mixture of discretized logistics in integers.

Introduced for images by PixelCNN++ (Salimans et al. 2017, arXiv:1701.05517) and used by IDF
(Hoogeboom et al. 2019, arXiv:1905.07376). The probability of a value is the mass of its cell
(v - 1/2, v + 1/2); the first and the last value of the alphabet take the tails, and every value
keeps a frequency of at least 1 of 2**24.

Everything is a table look-up, a product or a shift:

* a network's sum s stands for s / 2**14;
* weights: 2**14 shared out in proportion to exp(logit), the rest to the largest;
* means: the expert's, plus the network's in units of the pixel's scale, in 1/64 of a step;
* scales: sixteen to an octave, 2**-5.5 to 2**7.4 steps, as a table of their inverses;
* the sigmoid: 22 bits, 32 cells to a unit from -16 to 16, linear inside a cell (so it never falls).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.coding.ans import PRECISION, TOTAL
from idfzip.integer.jit import inlined

VALUES = 256
WEIGHT_BITS = 14
SIGMOID_BITS = 22
_WHOLE = 2.0 ** -(WEIGHT_BITS + SIGMOID_BITS)
_LEVEL = 2.0**-SIGMOID_BITS
_WEIGHT = 2.0**-WEIGHT_BITS
_UNITS = 2.0**-31
_CELL = 2.0**-15
_LN_2 = 0.693147
_DELTA_LIMIT = 127.0

END = 16 << 15
"""The ends of the sigmoid's table, in 2**-15."""

Mixture = npt.NDArray[np.int64]
"""The mixture of one value, int64 (7, K): weights of sum 2**14, means in 1/64, inverse scales, and
room for the edges of a value in each logistic and the sigmoid there (see `slope`)."""

SPREADS = 208
LOWEST = 88
"""Index of the scale of one step: index i stands for 2**((i - 88) / 16) steps."""


class Tables(NamedTuple):
    """Integer tables of a model.

    `exp` int64 (2048,): exp(-i / 128) in 2**-20; `sigmoid` int64 (1025,): at (i - 512) / 32, in
    2**-22; `inverse` int64 (208,): 2**21 over a scale; `span` int64 (52,): a pixel's scale in
    1/1024 of a step.
    """

    exp: npt.NDArray[np.int64]
    sigmoid: npt.NDArray[np.int64]
    inverse: npt.NDArray[np.int64]
    span: npt.NDArray[np.int64]


def tables(scales: int) -> Tables:
    """Return the tables, for a context of so many `scales`."""
    return Tables(
        np.round(2.0**20 * np.exp(-np.arange(2048) / 128)).astype(np.int64),
        np.round(2.0**SIGMOID_BITS / (1 + np.exp(-(np.arange(1025) - 512) / 32))).astype(np.int64),
        np.round(2.0 ** (21 - (np.arange(SPREADS) - LOWEST) / 16)).astype(np.int64),
        np.round(2.0 ** (10 + np.arange(scales) / 4 - 3)).astype(np.int64),
    )


def room(components: int) -> Mixture:
    """Return room for a mixture of so many logistics."""
    return np.zeros((7, components), np.int64)


@inlined
def mix(
    sums: npt.NDArray[np.float32],
    scale: int,
    mean: int,
    exp: npt.NDArray[np.int64],
    inverse: npt.NDArray[np.int64],
    span: int,
    out: Mixture,
) -> None:
    """Turn a head's sums, float32 (3 K,) of whole numbers, into a mixture.

    `scale` is the index of the pixel's scale, `span` the scale in 1/1024 of a step, `mean` the
    expert's mean in 1/64 of a step; `exp` and `inverse` as in `Tables`.
    """
    k = out.shape[1]
    best = 0
    for i in range(1, k):
        if sums[i] > sums[best]:
            best = i
    top = int(sums[best])
    total = 0
    for i in range(k):
        cell = min((top - int(sums[i])) >> 7, 2047)
        out[0, i] = exp[cell]
        total += out[0, i]
    rest = int(1 << WEIGHT_BITS)
    for i in range(k):
        out[0, i] = (out[0, i] << WEIGHT_BITS) // total
        rest -= out[0, i]
        shift = (int(sums[k + i]) * span + (1 << 17)) >> 18
        out[1, i] = mean + shift
        spread = 4 * scale - 64 + ((int(sums[2 * k + i]) + 512) >> 10) + LOWEST
        out[2, i] = inverse[min(max(spread, 0), SPREADS - 1)]
    out[0, best] += rest


@inlined
def _place(value: int, mixture: Mixture, i: int) -> int:
    """Return where the lower edge of `value` lies in logistic `i`, in 2**-15, within +-16."""
    u = ((64 * value - 32 - mixture[1, i]) * mixture[2, i]) >> 12
    return int(min(max(u, -END), END - 1))


@inlined
def _level(place: int, sigmoid: npt.NDArray[np.int64]) -> int:
    """Return the sigmoid there, in 2**-22; 0 and 2**22 at the ends."""
    u = place + END
    cell = u >> 10
    left = sigmoid[cell]
    return int(left + (((sigmoid[cell + 1] - left) * (u & 1023)) >> 10))


@inlined
def cumulative(value: int, low: int, mixture: Mixture, sigmoid: npt.NDArray[np.int64]) -> int:
    """Return the frequency, of 2**24, of all values of the alphabet below `value`.

    `low` <= `value` <= `low` + 256; monotone in `value`, by at least 1 a step.
    """
    mass = 0
    for i in range(mixture.shape[1]):
        mass += mixture[0, i] * _level(_place(value, mixture, i), sigmoid)
    inner = ((mass * (TOTAL - VALUES)) >> (WEIGHT_BITS + SIGMOID_BITS)) + value - low
    if value <= low:
        inner = 0
    if value >= low + VALUES:
        inner = int(TOTAL)
    return inner


@inlined
def search(
    quantile: int, low: int, mixture: Mixture, sigmoid: npt.NDArray[np.int64]
) -> tuple[int, int, int]:
    """Return the value whose interval holds `quantile`, and the interval's ends.

    Gallops from the heaviest mean until the quantile lies between two probes, then bisects.
    """
    heaviest = 0
    for i in range(1, mixture.shape[1]):
        if mixture[0, i] > mixture[0, heaviest]:
            heaviest = i
    below, above = low, low + VALUES
    lower, upper = 0, TOTAL
    probe = min(max((mixture[1, heaviest] + 32) >> 6, below + 1), above - 1)
    step = 1
    bounded_below = False
    bounded_above = False
    while above - below > 1:
        found = cumulative(probe, low, mixture, sigmoid)
        if found <= quantile:
            below, lower, bounded_below = probe, found, True
        else:
            above, upper, bounded_above = probe, found, True
        if bounded_below and bounded_above:
            probe = (below + above) >> 1
        elif bounded_below:
            probe = min(below + step, above - 1)
            step *= 2
        else:
            probe = max(above - step, below + 1)
            step *= 2
    return below, lower, upper


@inlined
def middle(low: int, mixture: Mixture) -> int:
    """Return the mean of a mixture, rounded, within the alphabet."""
    total = 0
    for i in range(mixture.shape[1]):
        total += mixture[0, i] * mixture[1, i]
    rounded = (total + (1 << (WEIGHT_BITS + 5))) >> (WEIGHT_BITS + 6)
    return int(min(max(rounded, low), low + VALUES - 1))


@inlined
def _edge(value: int, low: int, mixture: Mixture, i: int) -> int:
    """Return `_place`, with the tails at the ends of the alphabet."""
    place = _place(value, mixture, i)
    if value <= low:
        place = -END
    if value >= low + VALUES:
        place = END - 1
    return place


@inlined
def _delta(slope: float) -> np.float32:
    """Return a slope in 2**-6, rounded and clamped."""
    whole = np.floor(slope * 64.0 + 0.5)
    whole = whole if whole < _DELTA_LIMIT else _DELTA_LIMIT
    return np.float32(whole if whole > -_DELTA_LIMIT else -_DELTA_LIMIT)


@inlined
def slope(
    value: int,
    low: int,
    mixture: Mixture,
    span: int,
    sigmoid: npt.NDArray[np.int64],
    deltas: npt.NDArray[np.float32],
) -> None:
    """Write how the nats of a value depend on the head's sums: float32 (3 K,), whole numbers.

    In 2**-6, clamped to +-127 (see `idfzip.integer.learning`); `mixture` is what `mix` made of
    them. In IEEE doubles with + - * / in this order, from whole numbers.
    """
    k = mixture.shape[1]
    total = np.float64(1 << (WEIGHT_BITS + SIGMOID_BITS - PRECISION))  # each value's least share
    for i in range(k):
        lower, upper = _edge(value, low, mixture, i), _edge(value + 1, low, mixture, i)
        below, above = _level(lower, sigmoid), _level(upper, sigmoid)
        mixture[3, i], mixture[4, i] = lower, upper
        mixture[5, i], mixture[6, i] = below, above
        total += np.float64(mixture[0, i] * (above - below))
    whole = total * _WHOLE
    share = 1.0 / whole
    for i in range(k):
        top, bottom = np.float64(mixture[6, i]) * _LEVEL, np.float64(mixture[5, i]) * _LEVEL
        steep_top = top * (1.0 - top)
        steep_bottom = bottom * (1.0 - bottom)
        weight = np.float64(mixture[0, i]) * _WEIGHT * share
        deltas[i] = _delta(weight * (whole - (top - bottom)))
        units = np.float64(span * mixture[2, i]) * _UNITS
        deltas[k + i] = _delta(weight * (steep_top - steep_bottom) * units)
        far_top, far_bottom = np.float64(mixture[4, i]) * _CELL, np.float64(mixture[3, i]) * _CELL
        stretch = far_top * steep_top - far_bottom * steep_bottom
        deltas[2 * k + i] = _delta(weight * stretch * _LN_2)
