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

from idfzip.coding.ans import TOTAL
from idfzip.integer.jit import inlined

WEIGHT_BITS = 14
SIGMOID_BITS = 22

END = 16 << 15
"""The ends of the sigmoid's table, in 2**-15."""

Integers = npt.NDArray[np.int64]

SPREADS = 208
LOWEST = 88
"""Index of the scale of one step: index i stands for 2**((i - 88) / 16) steps."""


class Tables(NamedTuple):
    """Integer tables of a model.

    `exp` int64 (2048,): exp(-i / 128) in 2**-20; `sigmoid` int64 (1025,): at (i - 512) / 32, in
    2**-22; `inverse` int64 (208,): 2**21 over a scale; `span` int64 (52,): a pixel's scale in
    1/1024 of a step.
    """

    exp: Integers
    sigmoid: Integers
    inverse: Integers
    span: Integers


def tables(scales: int) -> Tables:
    """Return the tables, for a context of so many `scales`."""
    return Tables(
        np.round(2.0**20 * np.exp(-np.arange(2048) / 128)).astype(np.int64),
        np.round(2.0**SIGMOID_BITS / (1 + np.exp(-(np.arange(1025) - 512) / 32))).astype(np.int64),
        np.round(2.0 ** (21 - (np.arange(SPREADS) - LOWEST) / 16)).astype(np.int64),
        np.round(2.0 ** (10 + np.arange(scales) / 4 - 3)).astype(np.int64),
    )


def deepened(tables: Tables, deep: int) -> Tables:
    """Return tables for `deep` bits beyond 8: both kinds of scales go on for so many octaves."""
    return tables._replace(
        inverse=_octaves(tables.inverse, 16, deep, False),
        span=_octaves(tables.span, 4, deep, True),
    )


def _octaves(table: Integers, octave: int, more: int, doubling: bool) -> Integers:
    """Return a table continued by doubling or halving what lies an octave before."""
    index = np.arange(len(table) + octave * more)
    past = np.maximum(0, (index - len(table) + octave) // octave)
    found: Integers = table[index - octave * past]
    return found << past if doubling else found >> past


@inlined
def cumulative(
    value: int,
    low: int,
    values: int,
    weights: Integers,
    means: Integers,
    inverses: Integers,
    lane: int,
    sigmoid: Integers,
) -> int:
    """Return the frequency, of 2**24, of all values of the alphabet below `value`.

    `low` <= `value` <= `low` + `values`; monotone in `value`, by at least 1 a step. The mixture is
    that of a `lane` of a `mixtures.Mixtures`.
    """
    mass = 0
    for i in range(len(weights)):
        u = ((64 * value - 32 - means[i, lane]) * inverses[i, lane]) >> 12
        u = min(max(u, -END), END - 1) + END
        cell = u >> 10
        left = sigmoid[cell]
        level = left + (((sigmoid[cell + 1] - left) * (u & 1023)) >> 10)
        mass += weights[i, lane] * level
    inner = ((mass * (TOTAL - values)) >> (WEIGHT_BITS + SIGMOID_BITS)) + value - low
    if value <= low:
        inner = 0
    if value >= low + values:
        inner = int(TOTAL)
    return inner


@inlined
def search(
    quantile: int,
    low: int,
    values: int,
    weights: Integers,
    means: Integers,
    inverses: Integers,
    lane: int,
    sigmoid: Integers,
) -> tuple[int, int, int]:
    """Return the value whose interval holds `quantile`, and the interval's ends.

    Gallops from the heaviest mean until the quantile lies between two probes, then bisects.
    """
    heaviest = 0
    for i in range(1, len(weights)):
        if weights[i, lane] > weights[heaviest, lane]:
            heaviest = i
    below, above = low, low + values
    lower, upper = 0, TOTAL
    probe = min(max((means[heaviest, lane] + 32) >> 6, below + 1), above - 1)
    step = 1
    bounded_below = False
    bounded_above = False
    while above - below > 1:
        found = cumulative(probe, low, values, weights, means, inverses, lane, sigmoid)
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
def middle(low: int, values: int, weights: Integers, means: Integers, lane: int) -> int:
    """Return the mean of a mixture, rounded, within the alphabet; arguments are as of `search`."""
    total = 0
    for i in range(len(weights)):
        total += weights[i, lane] * means[i, lane]
    rounded = (total + (1 << (WEIGHT_BITS + 5))) >> (WEIGHT_BITS + 6)
    return int(min(max(rounded, low), low + values - 1))
