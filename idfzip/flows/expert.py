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
from idfzip.integer.jit import kernel
from idfzip.integer.lanes import LANES, subtract_product
from idfzip.integer.log2 import log2

ONE = 256
"""The weight of one sample in the sums: 8 fractional bits."""

LIMIT = 255
"""Differences in a sample are clamped to this size, so that the sums fit 32 bits: a product is
below 2**16, ONE adds 8 bits, and the weights of a window sum to less than 56 (6 bits)."""

RELATIVE_RIDGE = 0.0078125
"""Share of each variance that is added to it, beside the fixed ridge of the model."""

MEAN_BITS = 6
"""Predictions are in 1/64 of a step."""

UNIT = 1 << MEAN_BITS


class Window(NamedTuple):
    """The running sums of a batch of tiles; int32, one slot of four for each of the last columns.

    `row` is F, `product` P, `above` D of the module's text; shape (tiles, rows, 4, terms), where
    terms are the lower triangle of the outer product, the count, and each channel's error.
    """

    row: npt.NDArray[np.int32]
    product: npt.NDArray[np.int32]
    above: npt.NDArray[np.int32]


class Solution(NamedTuple):
    """What the solved systems of one step say; first axes (tiles, rows).

    `partial` float64 (.., C): the part of each channel's prediction that the neighbours give, in
    steps; `link` float64 (.., C, C): weights of the earlier channels' errors at the pixel;
    `energy` int32 (.., C): 16 log2 of the mean squared residual in the window, clamped below at 1/256;
    `error` int64 (.., C): mean size of the errors made in the window, in 1/512 of a step.
    """

    partial: npt.NDArray[np.float64]
    link: npt.NDArray[np.float64]
    energy: npt.NDArray[np.int32]
    error: npt.NDArray[np.int64]


def terms(regressors: int, channels: int) -> int:
    """Return the number of running sums."""
    n = regressors + channels
    return n * (n + 1) // 2 + 1 + channels


def window(tiles: int, rows: int, regressors: int, channels: int) -> Window:
    """Return the empty sums of `tiles` tiles of at most `rows` rows."""
    shape = (tiles, rows, 4, terms(regressors, channels))
    return Window(np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.int32))


def solution(tiles: int, rows: int, channels: int) -> Solution:
    """Return room for the solutions of one step."""
    return Solution(
        np.zeros((tiles, rows, channels)),
        np.zeros((tiles, rows, channels, channels)),
        np.zeros((tiles, rows, channels), np.int32),
        np.zeros((tiles, rows, channels), np.int64),
    )


@kernel
def decayed(value: np.int32) -> np.int32:
    """Return 27/32 of `value`, each part rounded down."""
    return np.int32(np.int32(value - (value >> 3)) - (value >> 5))


@kernel
def base(planes: npt.NDArray[np.int32], c: int, y: int, x: int) -> int:
    """Return the rounded mean of W, N, NW, NE of channel `c` of the pixel (y, x)."""
    m = MARGIN
    above = planes[c, y + m - 1]
    total = planes[c, y + m, x + m - 1] + above[x + m] + above[x + m - 1] + above[x + m + 1]
    return (total + 2) >> 2


@kernel
def clamped(value: int) -> int:
    """Return a difference within the limit of a sample."""
    return min(max(value, -LIMIT), LIMIT)


@kernel
def sample(
    planes: npt.NDArray[np.int32],
    regressors: npt.NDArray[np.int64],
    y: int,
    x: int,
    out: npt.NDArray[np.int32],
) -> None:
    """Write the neighbours' part of the sample of pixel (y, x) into `out`."""
    m = MARGIN
    bases = (base(planes, 0, y, x), 0, 0)
    if planes.shape[0] == 3:
        bases = (bases[0], base(planes, 1, y, x), base(planes, 2, y, x))
    for i in range(len(regressors)):
        c = regressors[i, 0]
        value = planes[c, y + m + regressors[i, 1], x + m + regressors[i, 2]]
        out[i] = clamped(value - bases[c])


@kernel
def sum_window(
    row: npt.NDArray[np.int32],
    product: npt.NDArray[np.int32],
    above: npt.NDArray[np.int32],
    y: int,
    x: int,
    width: int,
    zero: npt.NDArray[np.int32],
    total: npt.NDArray[np.int32],
) -> None:
    """Write the window's sums of pixel (y, x) into `total` and keep D for the row below."""
    left = row[y, (x - 1) & 3] if x > 0 else zero
    d = above[y, x & 3]
    n = len(total)
    if y >= 2:
        f2 = row[y - 2, x & 3]
        p1 = product[y - 2, (x + 1) & 3] if x + 1 < width else zero
        p2 = product[y - 2, (x + 2) & 3] if x + 2 < width else zero
        d1 = above[y - 1, x & 3]
        for k in range(n):
            right = decayed(np.int32(p1[k] + decayed(p2[k])))
            d[k] = np.int32(np.int32(f2[k] + right) + decayed(d1[k]))
    else:
        for k in range(n):
            d[k] = 0
    if y >= 1:
        f1 = row[y - 1, x & 3]
        q1 = product[y - 1, (x + 1) & 3] if x + 1 < width else zero
        for k in range(n):
            near = np.int32(f1[k] + decayed(q1[k]))
            total[k] = np.int32(np.int32(left[k] + near) + decayed(d[k]))
    else:
        for k in range(n):
            total[k] = left[k]


@kernel
def factor(a: npt.NDArray[np.float64], column: npt.NDArray[np.float64], n: int) -> None:
    """Factor sixteen systems at once, in place: L below the diagonal, D on it.

    `a` is float64 (n (n + 1) / 2, 16), lower triangles row by row; `column` room of (n, 16). The
    ridge is in `a` already; pivots are kept at 1 or more.
    """
    inverse = np.empty(LANES)
    for j in range(n):
        diagonal = j * (j + 1) // 2 + j
        for s in range(LANES):
            pivot = a[diagonal, s]
            pivot = pivot if pivot > ONE else float(ONE)
            a[diagonal, s] = pivot
            inverse[s] = 1.0 / pivot
        for i in range(j + 1, n):
            element = i * (i + 1) // 2 + j
            for s in range(LANES):
                value = a[element, s]
                column[i, s] = value
                a[element, s] = value * inverse[s]
        for i in range(j + 1, n):
            start = i * (i + 1) // 2
            for k in range(j + 1, i + 1):
                subtract_product(a, start + k, start + j, column, k)


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
    product = sums.product[b]
    above = sums.above[b]
    zero = np.zeros(size, np.int32)
    total = np.zeros(size, np.int32)
    x0 = np.zeros(m, np.int32)
    a = np.zeros((count, LANES))
    column = np.zeros((n, LANES))
    z = np.zeros((m, LANES))
    weight = np.zeros(LANES, np.int64)
    acc = np.zeros(LANES)
    for block in range(first, end, LANES):
        lanes = min(LANES, end - block)
        for s in range(lanes):
            y = block + s
            x = t - 2 * y
            sum_window(row, product, above, y, x, width, zero, total)
            for k in range(count):
                a[k, s] = total[k]
            for i in range(n):
                k = i * (i + 1) // 2 + i
                a[k, s] = a[k, s] + (a[k, s] * RELATIVE_RIDGE + ridge)
            weight[s] = np.int64(total[count]) + ONE
            for c in range(channels):
                found.error[b, y, c] = (np.int64(total[count + 1 + c]) << 5) // weight[s]
            sample(planes, regressors, y, x, x0)
            for i in range(m):
                z[i, s] = x0[i]
        for s in range(lanes, LANES):  # idle lanes solve the identity
            for k in range(count):
                a[k, s] = 0.0
            for i in range(n):
                a[i * (i + 1) // 2 + i, s] = float(ONE)
            for i in range(m):
                z[i, s] = 0.0
        factor(a, column, n)
        for i in range(1, m):
            for j in range(i):
                subtract_product(z, i, j, a, i * (i + 1) // 2 + j)
        for c in range(channels):
            start = (m + c) * (m + c + 1) // 2
            for s in range(LANES):
                acc[s] = 0.0
            for k in range(m):
                for s in range(LANES):
                    acc[s] = acc[s] + a[start + k, s] * z[k, s]
            for s in range(lanes):
                y = block + s
                found.partial[b, y, c] = acc[s]
                for k in range(c):
                    found.link[b, y, c, k] = a[start + m + k, s]
                pivot = a[start + m + c, s]
                power = np.int64(pivot) if pivot < 1e12 else np.int64(1000000000000)
                found.energy[b, y, c] = log2(power, log_table) - log2(weight[s], log_table)


@kernel
def finish(
    planes: npt.NDArray[np.int32],
    errors: npt.NDArray[np.int32],
    regressors: npt.NDArray[np.int64],
    sums: Window,
    b: int,
    t: int,
    first: int,
    end: int,
) -> None:
    """Add the samples of the pixels just coded in step `t` of tile `b` to the sums.

    `errors` holds, as `planes` holds the pixels, their errors in 1/64 of a step.
    """
    channels = planes.shape[0]
    m = len(regressors)
    n = m + channels
    f = np.zeros(n, np.int32)
    row = sums.row[b]
    product = sums.product[b]
    for y in range(first, end):
        x = t - 2 * y
        sample(planes, regressors, y, x, f)
        for c in range(channels):
            value = planes[c, y + MARGIN, x + MARGIN]
            f[m + c] = clamped(value - base(planes, c, y, x))
        p = product[y, x & 3]
        r = row[y, x & 3]
        k = 0
        for i in range(n):
            scaled = np.int32(f[i] * ONE)
            for j in range(i + 1):
                p[k + j] = np.int32(scaled * f[j])
            k += i + 1
        p[k] = ONE
        for c in range(channels):
            size = abs(errors[c, y + MARGIN, x + MARGIN]) >> 2
            p[k + 1 + c] = np.int32(size * ONE)
        if x > 0:
            previous = row[y, (x - 1) & 3]
            for i in range(len(p)):
                r[i] = np.int32(decayed(previous[i]) + p[i])
        else:
            for i in range(len(p)):
                r[i] = p[i]


@kernel
def predict(found: Solution, b: int, y: int, c: int, z: npt.NDArray[np.float64]) -> float:
    """Return the prediction of channel `c`, in steps above its base, clamped to +-512.

    `z` float64 (C,) holds the errors, in steps, of the channels before `c`.
    """
    value = found.partial[b, y, c]
    for k in range(c):
        value = value + found.link[b, y, c, k] * z[k]
    if not value > -512.0:  # also where it is not a number
        value = -512.0
    if value > 512.0:
        value = 512.0
    return value


@kernel
def to_mean(value: float, base_value: int, low: int, high: int) -> int:
    """Return a prediction as a mean in 1/64 of a step, clamped to the alphabet [low, high]."""
    mean = np.int64(np.floor(value * UNIT + 0.5)) + base_value * UNIT
    return min(max(mean, low * UNIT), high * UNIT)
