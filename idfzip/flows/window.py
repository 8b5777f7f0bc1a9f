"""The window of the adaptive expert: running sums of the samples before a pixel, in integers.

A sample is the vector of the neighbours of all channels followed by the channels themselves, each
less the mean of its channel's four nearest neighbours. The window decays exponentially and is
updated by recursion. With P a sample's outer product, d the decay (27/32) and x running along row
y::

    F(y, x) = d F(y, x-1) + P(y, x)                                  the row so far
    D(y, x) = F(y-2, x) + d (P(y-2, x+1) + d P(y-2, x+2)) + d D(y-1, x)
    A(y, x) = F(y, x-1) + F(y-1, x) + d P(y-1, x+1) + d D(y, x)      the window of pixel (y, x)

Beside the products a window counts its samples and sums the sizes of the errors made in it.

Differences in a sample are clamped to the alphabet's limit. For 8 bits a product is below 2**16,
ONE adds 8 bits, and the weights of a window sum to less than 57 (6 bits), so that the sums fit 32
bits; each bit more adds two, and the sums are of 64 bits, below 2**46 for 16.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.flows.alphabet import Alphabet, Integers, integer_type
from idfzip.flows.wavefront import MARGIN
from idfzip.integer.jit import inlined, kernel

ONE = 256
"""The weight of one sample in the sums: 8 fractional bits."""

ERROR_STEPS = 32
"""Errors are summed in 1/16 of a step, below this many times the limit of differences and one."""

BLOCK = 8
"""Rows of which products are held at a time."""

VECTOR = 16
"""Entries that a processor multiplies at once, at best."""


class Window(NamedTuple):
    """The running sums of a batch of tiles, one slot of four for each of the last columns.

    `row` is F, `above` D of the module's text; shape (tiles, rows, 4, terms), where terms are the
    lower triangle of the outer product, the count, and each channel's error. P is not kept:
    P(y, x) = F(y, x) - d F(y, x-1), exactly.
    """

    row: Integers
    above: Integers


def terms(regressors: int, channels: int) -> int:
    """Return the number of running sums, with room for the last row's excess (see `learn`)."""
    n = regressors + channels
    return max(n * (n + 1) // 2 + 1 + channels, n * (n - 1) // 2 + VECTOR)


def window(tiles: int, rows: int, regressors: int, channels: int, alphabet: Alphabet) -> Window:
    """Return the empty sums of `tiles` tiles of at most `rows` rows."""
    shape = (tiles, rows, 4, terms(regressors, channels))
    kind = integer_type(alphabet)
    return Window(np.zeros(shape, kind), np.zeros(shape, kind))


@inlined
def decayed(whole: Any, value: Any) -> Any:
    """Return 27/32 of `value`, each part rounded down; both of the type `whole`."""
    return whole(whole(value - (value >> 3)) - (value >> 5))


@inlined
def base(planes: Integers, c: int, y: int, x: int) -> int:
    """Return the rounded mean of W, N, NW, NE of channel `c` of the pixel (y, x)."""
    m = MARGIN
    above = planes[c, y + m - 1]
    total = int(planes[c, y + m, x + m - 1]) + above[x + m] + above[x + m - 1] + above[x + m + 1]
    return int((total + 2) >> 2)


@inlined
def clamped(value: int, limit: int) -> int:
    """Return a difference within the limit of a sample."""
    return min(max(value, -limit), limit)


@inlined
def sample(
    planes: Integers,
    regressors: npt.NDArray[np.int64],
    y: int,
    x: int,
    limit: int,
    bases: npt.NDArray[np.int64],
    out: Integers,
) -> None:
    """Write the neighbours' part of the sample of pixel (y, x), and its channels' bases."""
    for c in range(len(planes)):
        bases[c] = base(planes, c, y, x)
    for i in range(len(regressors)):
        c = regressors[i, 0]
        value = planes[c, y + MARGIN + regressors[i, 1], x + MARGIN + regressors[i, 2]]
        out[i] = clamped(value - bases[c], limit)


@kernel
def sum_window(
    row: Integers,
    above: Integers,
    y: int,
    x: int,
    width: int,
    total: Integers,
) -> None:
    """Write the window's sums of pixel (y, x) into `total` and keep D for the row below.

    `row` and `above` are a tile's part of a `Window`. Columns right of the tile add nothing.
    """
    whole = row.dtype.type
    d = above[y, x & 3]
    n = len(total)
    if y >= 2:
        f0, f1, f2 = row[y - 2, x & 3], row[y - 2, (x + 1) & 3], row[y - 2, (x + 2) & 3]
        before = above[y - 1, x & 3]
        if x + 2 < width:
            for k in range(n):
                p1 = whole(f1[k] - decayed(whole, f0[k]))
                p2 = whole(f2[k] - decayed(whole, f1[k]))
                right = decayed(whole, whole(p1 + decayed(whole, p2)))
                d[k] = whole(whole(f0[k] + right) + decayed(whole, before[k]))
        elif x + 1 < width:
            for k in range(n):
                p1 = whole(f1[k] - decayed(whole, f0[k]))
                d[k] = whole(whole(f0[k] + decayed(whole, p1)) + decayed(whole, before[k]))
        else:
            for k in range(n):
                d[k] = whole(f0[k] + decayed(whole, before[k]))
    else:
        for k in range(n):
            d[k] = 0
    if y >= 1:
        g0, g1 = row[y - 1, x & 3], row[y - 1, (x + 1) & 3]
        if x + 1 < width:
            for k in range(n):
                q1 = whole(g1[k] - decayed(whole, g0[k]))
                total[k] = whole(whole(g0[k] + decayed(whole, q1)) + decayed(whole, d[k]))
        else:
            for k in range(n):
                total[k] = whole(g0[k] + decayed(whole, d[k]))
    else:
        for k in range(n):
            total[k] = 0
    if x > 0:
        left = row[y, (x - 1) & 3]
        for k in range(n):
            total[k] = whole(total[k] + left[k])


@kernel
def learn(
    planes: Integers,
    errors: Integers,
    regressors: npt.NDArray[np.int64],
    sums: Window,
    b: int,
    t: int,
    first: int,
    end: int,
    limit: int,
) -> None:
    """Add the samples of the pixels placed in step `t` of tile `b` to the sums.

    `errors` holds, as `planes` holds the pixels, their errors in 1/64 of a step.
    """
    channels = planes.shape[0]
    m = len(regressors)
    n = m + channels
    row = sums.row[b]
    whole = row.dtype.type
    one, error_limit = whole(ONE), ERROR_STEPS * (limit + 1) - 1
    f = np.zeros(max(n, VECTOR), row.dtype)
    bases = np.zeros(channels, np.int64)
    size = row.shape[2]
    nothing = np.zeros(size, row.dtype)
    # Products of a few rows first, then their sums: what was just stored is slow to load again.
    products = np.zeros((BLOCK, size), row.dtype)
    for block in range(first, end, BLOCK):
        last = min(end, block + BLOCK)
        for y in range(block, last):
            x = t - 2 * y
            sample(planes, regressors, y, x, limit, bases, f)
            for c in range(channels):
                f[m + c] = clamped(planes[c, y + MARGIN, x + MARGIN] - bases[c], limit)
            p = products[y - block]
            # Rows of the triangle are written in whole vectors; the next overwrites the excess.
            k = 0
            for i in range(n):
                scaled = whole(f[i] * one)
                for j in range(VECTOR):
                    p[k + j] = whole(scaled * f[j])
                for j in range(VECTOR, i + 1):
                    p[k + j] = whole(scaled * f[j])
                k += i + 1
            p[k] = ONE
            for c in range(channels):
                error = min(abs(int(errors[c, y + MARGIN, x + MARGIN])) >> 2, error_limit)
                p[k + 1 + c] = whole(error * ONE)
        for y in range(block, last):
            x = t - 2 * y
            p = products[y - block]
            r = row[y, x & 3]
            previous = row[y, (x - 1) & 3] if x > 0 else nothing
            for k in range(size):
                r[k] = whole(decayed(whole, previous[k]) + p[k])
