"""The window of the adaptive expert: running sums of the samples before a pixel, in integers.

A sample is the vector of the neighbours of all channels followed by the channels themselves, each
less the mean of its channel's four nearest neighbours. The window decays exponentially and is
updated by recursion. With P a sample's outer product, d the decay (27/32) and x running along row
y::

    F(y, x) = d F(y, x-1) + P(y, x)                                  the row so far
    D(y, x) = F(y-2, x) + d (P(y-2, x+1) + d P(y-2, x+2)) + d D(y-1, x)
    A(y, x) = F(y, x-1) + F(y-1, x) + d P(y-1, x+1) + d D(y, x)      the window of pixel (y, x)

Beside the products a window counts its samples and sums the sizes of the errors made in it. P is
not kept: P(y, x) = F(y, x) - d F(y, x-1), exactly. Samples outside the tile are nothing, so that F
is 0 before a row begins and only decays behind its end.

Differences in a sample are clamped to the alphabet's limit. For 8 bits a product is below 2**16,
ONE adds 8 bits, and the weights of a window sum to less than 57 (6 bits), so that the sums fit 32
bits; each bit more adds two, and the sums are of 64 bits, below 2**46 for 16.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.flows.alphabet import Alphabet, Integers, integer_type
from idfzip.flows.recursion import ONE, add_samples
from idfzip.flows.wavefront import MARGIN, end_row, first_row, lanes, slot
from idfzip.integer.jit import inlined, kernel
from idfzip.integer.lanes import LANES

ERROR_STEPS = 32
"""Errors are summed in 1/16 of a step, below this many times the limit of differences and one."""

ABOVE = 2
"""Rows of nothing above the first, to which the recursion reaches."""

BEHIND = 2
"""Columns behind the end of a row that the recursion reaches to."""


class Window(NamedTuple):
    """The running sums of a batch of tiles, by steps modulo 4.

    `row` is F, `above` D of the module's text; shape (tiles, 4, terms, ABOVE + rows or more), where
    terms are the lower triangle of the outer product, the count, and each channel's error.
    """

    row: Integers
    above: Integers


class Samples(NamedTuple):
    """The samples of a group, with places for all rows of a tile; lanes are whole vectors of rows.

    `bases` (tiles, C, lanes): the rounded means of W, N, NW, NE; `values` (tiles, n + 1 + C,
    lanes): the neighbours' differences, those of the channels themselves, ONE, and the sizes of the
    errors in 1/16 of a step, times ONE; all 0 beside the group.
    """

    bases: Integers
    values: Integers


def terms(regressors: int, channels: int) -> int:
    """Return the number of running sums."""
    n = regressors + channels
    return n * (n + 1) // 2 + 1 + channels


def window(tiles: int, rows: int, regressors: int, channels: int, alphabet: Alphabet) -> Window:
    """Return the empty sums of `tiles` tiles of at most `rows` rows."""
    # An odd number of cache lines to a term, lest all terms of a row meet in a few sets.
    wide = lanes(rows) + LANES * (1 + lanes(rows) // LANES % 2)
    shape = (tiles, 4, terms(regressors, channels), wide)
    kind = integer_type(alphabet)
    return Window(np.zeros(shape, kind), np.zeros(shape, kind))


def samples(tiles: int, rows: int, regressors: int, channels: int, alphabet: Alphabet) -> Samples:
    """Return room for the samples of a group."""
    kind, wide = integer_type(alphabet), lanes(rows)
    return Samples(
        np.zeros((tiles, channels, wide), kind),
        np.zeros((tiles, regressors + 2 * channels + 1, wide), kind),
    )


@inlined
def clamped(value: int, limit: int) -> int:
    """Return a difference within the limit of a sample."""
    return min(max(value, -limit), limit)


@inlined
def reached(t: int, height: int, width: int) -> tuple[int, int]:
    """Return the rows, in whole vectors, whose sums change in step `t`: from, to."""
    top = first_row(t, width + BEHIND) // LANES * LANES
    return top, (end_row(t, height) + LANES - 1) // LANES * LANES


@kernel
def sample(
    planes: Integers,
    regressors: npt.NDArray[np.int64],
    t: int,
    height: int,
    width: int,
    limit: int,
    bases: Integers,
    values: Integers,
) -> None:
    """Write the bases of the group of step `t`, and what is known of its samples.

    `planes` (C, RING, ..) are rings; `bases` and `values` a tile's part of `Samples`.
    """
    m = MARGIN
    first, end = first_row(t, width), end_row(t, height)
    top, stop = reached(t, height, width)
    for i in range(len(values)):
        values[i, top:stop] = 0
    for c in range(len(planes)):
        ring, out = planes[c], bases[c]
        west, north = ring[slot(t - 1), m:], ring[slot(t - 2), m - 1 :]
        north_west, north_east = ring[slot(t - 3), m - 1 :], ring[slot(t - 1), m - 1 :]
        for y in range(first, end):
            out[y] = (west[y] + north[y] + north_west[y] + north_east[y] + 2) >> 2
    for i in range(len(regressors)):
        c, dy, dx = regressors[i]
        near, base, out = planes[c, slot(t + dx + 2 * dy), m + dy :], bases[c], values[i]
        for y in range(first, end):
            out[y] = clamped(near[y] - base[y], limit)


@kernel
def learn(
    planes: Integers,
    errors: Integers,
    sums: Window,
    samples: Samples,
    b: int,
    t: int,
    height: int,
    width: int,
    limit: int,
) -> None:
    """Add the samples of the pixels placed in step `t` of tile `b` to the sums.

    `planes` and `errors` (C, RING, ..) are its rings, errors in 1/64 of a step.
    """
    bases, values, row = samples.bases[b], samples.values[b], sums.row[b]
    channels = len(planes)
    n = len(values) - 1 - channels
    error_limit = ERROR_STEPS * (limit + 1) - 1
    first, end = first_row(t, width), end_row(t, height)
    values[n, first:end] = ONE
    for c in range(channels):
        plane, error = planes[c, slot(t), MARGIN:], errors[c, slot(t), MARGIN:]
        base, out, size = bases[c], values[n - channels + c], values[n + 1 + c]
        for y in range(first, end):
            out[y] = clamped(plane[y] - base[y], limit)
        for y in range(first, end):
            size[y] = min(abs(error[y]) >> 2, error_limit) * ONE
    top, stop = reached(t, height, width)
    for y in range(top, stop, LANES):
        add_samples(row, t, y + ABOVE, values, y, n)
