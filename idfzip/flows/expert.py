"""The adaptive linear expert: least squares on the causal neighbourhood, solved at every pixel.

As in TMW (Meyer and Tischer 2001) and GLICBAWLS (Meyer and Tischer 2001), the weights that predict
a pixel from its neighbours are fitted to the pixels coded before it. Three things make it cheap:

* One system serves all channels. A sample is the vector of the neighbours of all channels followed
  by the channels themselves, each less the mean of its channel's four nearest neighbours. The
  factor L D L^T of the weighted sum of outer products holds, in the rows of the channels, the
  prediction of each channel from the neighbours *and the channels before it*, and in D the
  energies that are left.
* The window decays exponentially and is updated by recursion, in integers: `idfzip.flows.window`.
* Systems are solved sixteen side by side, one lane a pixel, in IEEE singles with + - * / in a
  fixed order: the same bits on every machine (no fused operations, no reordering). The ridge keeps
  every pivot above 1/128 of its variance, far above what rounding to 24 bits takes away.

Tries (bits per subpixel of residuals given their local energy, 7 crops of 256x192 of Kodak, CID22
and photographs; direct sums with weights 0.85**(|dy| + |dx|), ridge 32, unless said otherwise):
6-4-4 neighbours of the three channels 3.242; 8-4-4 3.236; 6-6-6 3.244; 6-2-2 3.293; 6-4-4 looking
one column to the right instead of two 3.253, three 3.241; ridge 64 3.257; means of two such experts
3.239 at best; this recursion with 8-4-4 and ridge 16, 3.214.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.flows.alphabet import Integers
from idfzip.flows.window import ONE, Window, sample, sum_window
from idfzip.integer.jit import inlined, kernel
from idfzip.integer.lanes import LANES, Rows, aligned, scale, subtract
from idfzip.integer.log2 import log2

PIVOT = np.float32(256.0)
"""The least pivot: one, in the units of the sums."""

POWER = 2.0**50
"""The largest pivot of which the logarithm is taken; none is larger."""

RELATIVE_RIDGE = np.float32(0.0078125)
"""Share of each variance that is added to it, beside the fixed ridge of the model."""

MEAN_BITS = 6
"""Predictions are in 1/64 of a step."""

UNIT = 1 << MEAN_BITS

_ONE = np.float32(1)


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


def solution(tiles: int, rows: int, channels: int) -> Solution:
    """Return room for the solutions of one step."""
    return Solution(
        np.zeros((tiles, rows, channels)),
        np.zeros((tiles, rows, channels, channels)),
        np.zeros((tiles, rows, channels), np.int32),
        np.zeros((tiles, rows, channels), np.int64),
    )


@kernel
def eliminate(a: Rows, column: Rows, m: int, n: int) -> None:
    """Factor sixteen systems at once, in place: L below the diagonal, D on it.

    `a` is float32 (rows, 16), lower triangles of n rows one after the other, then a row of n: the
    neighbours of the pixel at hand, zeros for its channels. Eliminating the m neighbours leaves, in
    the latter's place, the predictions with their signs turned. `column` is room of (n + 1, 16).
    The ridge is in `a` already; pivots are kept at 1 or more.
    """
    inverse = aligned(1)
    for j in range(n):
        diagonal = j * (j + 1) // 2 + j
        for s in range(LANES):
            pivot = a[diagonal, s]
            a[diagonal, s] = pivot if pivot > PIVOT else PIVOT
            inverse[0, s] = _ONE / a[diagonal, s]
        rows = n + 1 if j < m else n
        for i in range(j + 1, rows):
            scale(a, i * (i + 1) // 2 + j, column, i, inverse)
        for i in range(j + 1, rows):
            start = i * (i + 1) // 2
            subtract(a, start + j + 1, start + j, column, j + 1, min(i, n - 1) - j)


@kernel
def solve(
    planes: Integers,
    regressors: npt.NDArray[np.int64],
    sums: Window,
    b: int,
    t: int,
    first: int,
    end: int,
    width: int,
    limit: int,
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
    total = np.zeros(size, row.dtype)
    x0 = np.zeros(m, np.int64)
    bases = np.zeros(channels, np.int64)
    a = aligned(count + n)
    column = aligned(n + 1)
    weight = np.zeros(LANES, np.int64)
    fixed = np.float32(ridge)
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
                a[k, s] = a[k, s] + (a[k, s] * RELATIVE_RIDGE + fixed)
            weight[s] = int(total[count]) + ONE
            for c in range(channels):
                error[y, c] = (int(total[count + 1 + c]) << 5) // weight[s]
            sample(planes, regressors, y, x, limit, bases, x0)
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
                power = int(pivot) if pivot < POWER else int(POWER)
                energy[y, c] = log2(power, log_table) - log2(weight[s], log_table)


@inlined
def bounded(value: float, limit: int) -> float:
    """Return a prediction within twice the limit of differences and one."""
    bound = 2.0 * (limit + 1)
    if not value > -bound:  # also where it is not a number
        value = -bound
    if value > bound:
        value = bound
    return value


@inlined
def predict(
    partial: npt.NDArray[np.float64],
    link: npt.NDArray[np.float64],
    y: int,
    c: int,
    z: npt.NDArray[np.float64],
    row: int,
    limit: int,
) -> float:
    """Return the prediction of channel `c`, in steps above its base.

    It is clamped to twice `limit` and one, that is +-512 for 8 bits.

    `partial` (rows, C) and `link` (rows, C, C) are a tile's part of a `Solution`; `z` float64
    (rows, C) holds, in `row`, the errors, in steps, of the channels before `c`.
    """
    value = float(partial[y, c])
    for k in range(c):
        value = value + link[y, c, k] * z[row, k]
    return bounded(value, limit)


@inlined
def to_mean(value: float, base_value: int, low: int, high: int) -> int:
    """Return a prediction as a mean in 1/64 of a step, clamped to the alphabet [low, high]."""
    mean = int(np.floor(value * UNIT + 0.5)) + base_value * UNIT
    return min(max(mean, low * UNIT), high * UNIT)
