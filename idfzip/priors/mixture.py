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
from idfzip.integer.jit import kernel

VALUES = 256
WEIGHT_BITS = 14
SIGMOID_BITS = 22
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


class Parameters(NamedTuple):
    """The mixture of one value; int64 (K,): weights of sum 2**14, means in 1/64, inverse scales."""

    weights: npt.NDArray[np.int64]
    means: npt.NDArray[np.int64]
    inverses: npt.NDArray[np.int64]


def tables(scales: int) -> Tables:
    """Return the tables, for a context of so many `scales`."""
    return Tables(
        np.round(2.0**20 * np.exp(-np.arange(2048) / 128)).astype(np.int64),
        np.round(2.0**SIGMOID_BITS / (1 + np.exp(-(np.arange(1025) - 512) / 32))).astype(np.int64),
        np.round(2.0 ** (21 - (np.arange(SPREADS) - LOWEST) / 16)).astype(np.int64),
        np.round(2.0 ** (10 + np.arange(scales) / 4 - 3)).astype(np.int64),
    )


@kernel
def parameters(components: int) -> Parameters:
    """Return room for a mixture."""
    return Parameters(
        np.zeros(components, np.int64),
        np.zeros(components, np.int64),
        np.zeros(components, np.int64),
    )


@kernel
def mix(
    sums: npt.NDArray[np.float32], scale: int, mean: int, tables: Tables, out: Parameters
) -> None:
    """Turn a head's sums, float32 (3 K,) of whole numbers, into the parameters of a mixture.

    `scale` is the index of the pixel's scale, `mean` the expert's mean in 1/64 of a step.
    """
    k = len(out.weights)
    best = 0
    for i in range(1, k):
        if sums[i] > sums[best]:
            best = i
    top = np.int64(sums[best])
    total = np.int64(0)
    for i in range(k):
        cell = min((top - np.int64(sums[i])) >> 7, np.int64(2047))
        out.weights[i] = tables.exp[cell]
        total += out.weights[i]
    rest = np.int64(1 << WEIGHT_BITS)
    for i in range(k):
        out.weights[i] = (out.weights[i] << WEIGHT_BITS) // total
        rest -= out.weights[i]
    out.weights[best] += rest
    for i in range(k):
        shift = (np.int64(sums[k + i]) * tables.span[scale] + (1 << 17)) >> 18
        out.means[i] = mean + shift
        spread = 4 * scale - 64 + ((np.int64(sums[2 * k + i]) + 512) >> 10) + LOWEST
        out.inverses[i] = tables.inverse[min(max(spread, 0), SPREADS - 1)]


@kernel
def cumulative(value: int, low: int, mixture: Parameters, sigmoid: npt.NDArray[np.int64]) -> int:
    """Return the frequency, of 2**24, of all values of the alphabet below `value`.

    `low` <= `value` <= `low` + 256; monotone in `value`, by at least 1 a step.
    """
    if value <= low:
        return 0
    if value >= low + VALUES:
        return TOTAL
    edge = 64 * value - 32
    mass = np.int64(0)
    for i in range(len(mixture.weights)):
        u = ((edge - mixture.means[i]) * mixture.inverses[i]) >> 12
        u = min(max(u, -(16 << 15)), (16 << 15) - 1) + (16 << 15)
        cell = u >> 10
        left = sigmoid[cell]
        mass += mixture.weights[i] * (left + (((sigmoid[cell + 1] - left) * (u & 1023)) >> 10))
    return ((mass * (TOTAL - VALUES)) >> (WEIGHT_BITS + SIGMOID_BITS)) + value - low


@kernel
def search(quantile: int, low: int, mixture: Parameters, sigmoid: npt.NDArray[np.int64]) -> int:
    """Return the value whose interval holds `quantile`: gallop from the heaviest mean, bisect."""
    heaviest = 0
    for i in range(1, len(mixture.weights)):
        if mixture.weights[i] > mixture.weights[heaviest]:
            heaviest = i
    high = low + VALUES
    at = min(max((mixture.means[heaviest] + 32) >> 6, low), high - 1)
    step = 1
    if cumulative(at, low, mixture, sigmoid) <= quantile:
        below, above = at, min(at + step, high)
        while cumulative(above, low, mixture, sigmoid) <= quantile:
            step *= 2
            below, above = above, min(above + step, high)
    else:
        below, above = max(at - step, low), at
        while cumulative(below, low, mixture, sigmoid) > quantile:
            step *= 2
            below, above = max(below - step, low), below
    while above - below > 1:
        middle = (below + above) >> 1
        if cumulative(middle, low, mixture, sigmoid) <= quantile:
            below = middle
        else:
            above = middle
    return below
