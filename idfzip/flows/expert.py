"""The adaptive linear expert: least squares on the causal neighbourhood, solved at every pixel.

As in TMW (Meyer and Tischer 2001) and GLICBAWLS (Meyer and Tischer 2001), the weights that predict
a pixel from its neighbours are fitted to the pixels coded before it. Three things make it cheap:

* One system serves all channels. A sample is the vector of the neighbours of all channels followed
  by the channels themselves, each less the mean of its channel's four nearest neighbours. The
  factor L D L^T of the weighted sum of outer products holds, in the rows of the channels, the
  prediction of each channel from the neighbours *and the channels before it*, and in D the
  energies that are left.
* The window decays exponentially and is updated by recursion, in integers. With P a sample's outer
  product, d the decay (27/32) and x running along row y::

      F(y, x) = d F(y, x-1) + P(y, x)                                  the row so far
      D(y, x) = F(y-2, x) + d (P(y-2, x+1) + d P(y-2, x+2)) + d D(y-1, x)
      A(y, x) = F(y, x-1) + F(y-1, x) + d P(y-1, x+1) + d D(y, x)      the window of pixel (y, x)

* Systems are solved sixteen side by side, one lane a pixel, in IEEE doubles with + - * / in a
  fixed order: the same bits on every machine (no fused operations, no reordering).

Tries (bits per subpixel of residuals given their local energy, 7 crops of 256x192 of Kodak, CID22
and photographs, direct sums over the window unless said otherwise): 16 separate weights a channel
3.326; shared, 6-4-4 neighbours, decay 0.85 3.242; 8-4-4 3.236; 6-6-6 3.244; 6-2-2 3.293; looking
one column to the right instead of two 3.253, three 3.241; ridge 64 3.257; this recursion with
8-4-4, the centre of the window weighted more, 3.214.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.flows.wavefront import MARGIN
from idfzip.integer.jit import inlined, kernel
from idfzip.integer.lanes import LANES, aligned, subtract
from idfzip.integer.log2 import log2

ONE = 256
"""The weight of one sample in the sums: 8 fractional bits."""

PIVOT = 256.0
"""The least pivot: one, in the units of the sums."""

LIMIT = 255
"""Differences in a sample are clamped to this size, so that the sums fit 32 bits: a product is
below 2**16, ONE adds 8 bits, and the weights of a window sum to less than 56 (6 bits)."""

RELATIVE_RIDGE = 0.0078125
"""Share of each variance that is added to it, beside the fixed ridge of the model."""

ERROR_LIMIT = 8191
"""Errors are summed in 1/16 of a step, up to this."""

BLOCK = 8
"""Rows of which products are held at a time."""

VECTOR = 16
"""Entries that a processor multiplies at once, at best."""

MEAN_BITS = 6
"""Predictions are in 1/64 of a step."""

UNIT = 1 << MEAN_BITS


class Window(NamedTuple):
    """The running sums of a batch of tiles; int32, one slot of four for each of the last columns.

    `row` is F, `above` D of the module's text; shape (tiles, rows, 4, terms), where terms are the
    lower triangle of the outer product, the count, and each channel's error. P is not kept:
    P(y, x) = F(y, x) - d F(y, x-1), exactly.
    """

    row: npt.NDArray[np.int32]
    above: npt.NDArray[np.int32]


class Solution(NamedTuple):
    """What the solved systems of one step say; first axes (tiles, rows).

    `partial` float64 (.., C): the part of each channel's prediction that the neighbours give, in
    steps; `link` float64 (.., C, C): weights of the earlier channels' errors at the pixel;
    `energy` int32 (.., C): 16 log2 of the mean squared residual in the window;
    `error` int64 (.., C): mean size of the errors made in the window, in 1/512 of a step.
    """

    partial: npt.NDArray[np.float64]
    link: npt.NDArray[np.float64]
    energy: npt.NDArray[np.int32]
    error: npt.NDArray[np.int64]


def terms(regressors: int, channels: int) -> int:
    """Return the number of running sums, with room for the last row's excess (see `learn`)."""
    n = regressors + channels
    return max(n * (n + 1) // 2 + 1 + channels, n * (n - 1) // 2 + VECTOR)


def window(tiles: int, rows: int, regressors: int, channels: int) -> Window:
    """Return the empty sums of `tiles` tiles of at most `rows` rows."""
    shape = (tiles, rows, 4, terms(regressors, channels))
    return Window(np.zeros(shape, np.int32), np.zeros(shape, np.int32))


def solution(tiles: int, rows: int, channels: int) -> Solution:
    """Return room for the solutions of one step."""
    return Solution(
        np.zeros((tiles, rows, channels)),
        np.zeros((tiles, rows, channels, channels)),
        np.zeros((tiles, rows, channels), np.int32),
        np.zeros((tiles, rows, channels), np.int64),
    )


@inlined
def decayed(value: np.int32) -> np.int32:
    """Return 27/32 of `value`, each part rounded down."""
    return np.int32(np.int32(value - (value >> 3)) - (value >> 5))


@inlined
def base(planes: npt.NDArray[np.int32], c: int, y: int, x: int) -> int:
    """Return the rounded mean of W, N, NW, NE of channel `c` of the pixel (y, x)."""
    m = MARGIN
    above = planes[c, y + m - 1]
    total = int(planes[c, y + m, x + m - 1]) + above[x + m] + above[x + m - 1] + above[x + m + 1]
    return int((total + 2) >> 2)


@inlined
def clamped(value: int) -> int:
    """Return a difference within the limit of a sample."""
    return min(max(value, -LIMIT), LIMIT)


@inlined
def sample(
    planes: npt.NDArray[np.int32],
    regressors: npt.NDArray[np.int64],
    y: int,
    x: int,
    bases: npt.NDArray[np.int64],
    out: npt.NDArray[np.int32],
) -> None:
    """Write the neighbours' part of the sample of pixel (y, x), and its channels' bases."""
    for c in range(len(planes)):
        bases[c] = base(planes, c, y, x)
    for i in range(len(regressors)):
        c = regressors[i, 0]
        value = planes[c, y + MARGIN + regressors[i, 1], x + MARGIN + regressors[i, 2]]
        out[i] = clamped(value - bases[c])


@kernel
def sum_window(
    row: npt.NDArray[np.int32],
    above: npt.NDArray[np.int32],
    y: int,
    x: int,
    width: int,
    total: npt.NDArray[np.int32],
) -> None:
    """Write the window's sums of pixel (y, x) into `total` and keep D for the row below.

    `row` and `above` are a tile's part of a `Window`. Columns right of the tile add nothing.
    """
    d = above[y, x & 3]
    n = len(total)
    if y >= 2:
        f0, f1, f2 = row[y - 2, x & 3], row[y - 2, (x + 1) & 3], row[y - 2, (x + 2) & 3]
        before = above[y - 1, x & 3]
        if x + 2 < width:
            for k in range(n):
                p1 = np.int32(f1[k] - decayed(f0[k]))
                p2 = np.int32(f2[k] - decayed(f1[k]))
                right = decayed(np.int32(p1 + decayed(p2)))
                d[k] = np.int32(np.int32(f0[k] + right) + decayed(before[k]))
        elif x + 1 < width:
            for k in range(n):
                p1 = np.int32(f1[k] - decayed(f0[k]))
                d[k] = np.int32(np.int32(f0[k] + decayed(p1)) + decayed(before[k]))
        else:
            for k in range(n):
                d[k] = np.int32(f0[k] + decayed(before[k]))
    else:
        for k in range(n):
            d[k] = 0
    if y >= 1:
        g0, g1 = row[y - 1, x & 3], row[y - 1, (x + 1) & 3]
        if x + 1 < width:
            for k in range(n):
                q1 = np.int32(g1[k] - decayed(g0[k]))
                total[k] = np.int32(np.int32(g0[k] + decayed(q1)) + decayed(d[k]))
        else:
            for k in range(n):
                total[k] = np.int32(g0[k] + decayed(d[k]))
    else:
        for k in range(n):
            total[k] = 0
    if x > 0:
        left = row[y, (x - 1) & 3]
        for k in range(n):
            total[k] = np.int32(total[k] + left[k])


@kernel
def eliminate(a: npt.NDArray[np.float64], column: npt.NDArray[np.float64], m: int, n: int) -> None:
    """Factor sixteen systems at once, in place: L below the diagonal, D on it.

    `a` is float64 (rows, 16), lower triangles of n rows one after the other, then a row of n: the
    neighbours of the pixel at hand, zeros for its channels. Eliminating the m neighbours leaves, in
    the latter's place, the predictions with their signs turned. `column` is room of (n + 1, 16).
    The ridge is in `a` already; pivots are kept at 1 or more.
    """
    inverse = np.empty(LANES)
    for j in range(n):
        diagonal = j * (j + 1) // 2 + j
        for s in range(LANES):
            pivot = a[diagonal, s]
            a[diagonal, s] = pivot if pivot > PIVOT else PIVOT
            inverse[s] = 1.0 / a[diagonal, s]
        rows = n + 1 if j < m else n
        for i in range(j + 1, rows):
            element = i * (i + 1) // 2 + j
            for s in range(LANES):
                value = a[element, s]
                column[i, s] = value
                a[element, s] = value * inverse[s]
        for i in range(j + 1, rows):
            start = i * (i + 1) // 2
            subtract(a, start + j + 1, start + j, column, j + 1, min(i, n - 1) - j)


@kernel
def solve(
    planes: npt.NDArray[np.int32],
    regressors: npt.NDArray[np.int64],
    sums: Window,
    b: int,
    t: int,
    first: int,
    end: int,
    width: int,
    ridge: int,
    log_table: npt.NDArray[np.int32],
    found: Solution,
) -> None:
    """Solve the systems of the rows `first` to `end` of tile `b` at step `t` into `found`.

    `planes` int32 (C, height + 4, width + 8); `regressors` int64 (m, 3): channel, dy, dx.
    """
    channels = planes.shape[0]
    m = len(regressors)
    n = m + channels
    count = n * (n + 1) // 2
    size = count + 1 + channels
    row = sums.row[b]
    above = sums.above[b]
    partial = found.partial[b]
    link = found.link[b]
    energy = found.energy[b]
    error = found.error[b]
    total = np.zeros(size, np.int32)
    x0 = np.zeros(m, np.int32)
    bases = np.zeros(channels, np.int64)
    a = aligned(count + n)
    column = aligned(n + 1)
    weight = np.zeros(LANES, np.int64)
    for block in range(first, end, LANES):
        lanes = min(LANES, end - block)
        for s in range(lanes):
            y = block + s
            x = t - 2 * y
            sum_window(row, above, y, x, width, total)
            for k in range(count):
                a[k, s] = total[k]
            for i in range(n):
                k = i * (i + 1) // 2 + i
                a[k, s] = a[k, s] + (a[k, s] * RELATIVE_RIDGE + ridge)
            weight[s] = int(total[count]) + ONE
            for c in range(channels):
                error[y, c] = (int(total[count + 1 + c]) << 5) // weight[s]
            sample(planes, regressors, y, x, bases, x0)
            for i in range(m):
                a[count + i, s] = x0[i]
            for c in range(channels):
                a[count + m + c, s] = 0.0
        for s in range(lanes, LANES):  # idle lanes solve the identity
            for k in range(count + n):
                a[k, s] = 0.0
            for i in range(n):
                a[i * (i + 1) // 2 + i, s] = PIVOT
        eliminate(a, column, m, n)
        for c in range(channels):
            start = (m + c) * (m + c + 1) // 2
            for s in range(lanes):
                y = block + s
                partial[y, c] = -a[count + m + c, s]
                for k in range(c):
                    link[y, c, k] = a[start + m + k, s]
                pivot = a[start + m + c, s]
                power = int(pivot) if pivot < 1e12 else 1000000000000
                energy[y, c] = log2(power, log_table) - log2(weight[s], log_table)


@kernel
def learn(
    planes: npt.NDArray[np.int32],
    errors: npt.NDArray[np.int32],
    regressors: npt.NDArray[np.int64],
    sums: Window,
    b: int,
    t: int,
    first: int,
    end: int,
) -> None:
    """Add the samples of the pixels placed in step `t` of tile `b` to the sums.

    `errors` holds, as `planes` holds the pixels, their errors in 1/64 of a step.
    """
    channels = planes.shape[0]
    m = len(regressors)
    n = m + channels
    f = np.zeros(max(n, VECTOR), np.int32)
    bases = np.zeros(channels, np.int64)
    row = sums.row[b]
    size = row.shape[2]
    nothing = np.zeros(size, np.int32)
    # Products of a few rows first, then their sums: what was just stored is slow to load again.
    products = np.zeros((BLOCK, size), np.int32)
    for block in range(first, end, BLOCK):
        last = min(end, block + BLOCK)
        for y in range(block, last):
            x = t - 2 * y
            sample(planes, regressors, y, x, bases, f)
            for c in range(channels):
                f[m + c] = clamped(planes[c, y + MARGIN, x + MARGIN] - bases[c])
            p = products[y - block]
            # Rows of the triangle are written in whole vectors; the next overwrites the excess.
            k = 0
            for i in range(n):
                scaled = np.int32(f[i] * ONE)
                for j in range(VECTOR):
                    p[k + j] = np.int32(scaled * f[j])
                for j in range(VECTOR, i + 1):
                    p[k + j] = np.int32(scaled * f[j])
                k += i + 1
            p[k] = ONE
            for c in range(channels):
                error = min(abs(int(errors[c, y + MARGIN, x + MARGIN])) >> 2, ERROR_LIMIT)
                p[k + 1 + c] = np.int32(error * ONE)
        for y in range(block, last):
            x = t - 2 * y
            p = products[y - block]
            r = row[y, x & 3]
            previous = row[y, (x - 1) & 3] if x > 0 else nothing
            for k in range(size):
                r[k] = np.int32(decayed(previous[k]) + p[k])


@inlined
def predict(
    partial: npt.NDArray[np.float64],
    link: npt.NDArray[np.float64],
    y: int,
    c: int,
    z: npt.NDArray[np.float64],
    row: int,
) -> float:
    """Return the prediction of channel `c`, in steps above its base, clamped to +-512.

    `partial` (rows, C) and `link` (rows, C, C) are a tile's part of a `Solution`; `z` float64
    (rows, C) holds, in `row`, the errors, in steps, of the channels before `c`.
    """
    value = float(partial[y, c])
    for k in range(c):
        value = value + link[y, c, k] * z[row, k]
    if not value > -512.0:  # also where it is not a number
        value = -512.0
    if value > 512.0:
        value = 512.0
    return value


@inlined
def to_mean(value: float, base_value: int, low: int, high: int) -> int:
    """Return a prediction as a mean in 1/64 of a step, clamped to the alphabet [low, high]."""
    mean = int(np.floor(value * UNIT + 0.5)) + base_value * UNIT
    return min(max(mean, low * UNIT), high * UNIT)
