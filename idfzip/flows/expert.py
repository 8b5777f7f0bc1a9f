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
from idfzip.flows.recursion import ONE, sum_window
from idfzip.flows.wavefront import lanes
from idfzip.flows.window import ABOVE, Samples, Window
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
    """What the solved systems of one step say; the last axis is that of rows, in whole vectors.

    `partial` float64 (tiles, C, ..): the part of each channel's prediction that the neighbours
    give, in steps; `link` float64 (tiles, C, C, ..): weights of the earlier channels' errors at the
    pixel; `energy` int32 (tiles, C, ..): 16 log2 of the mean squared residual in the window;
    `error` int64 (tiles, C, ..): mean size of the errors made in the window, in 1/512 of a step.
    """

    partial: npt.NDArray[np.float64]
    link: npt.NDArray[np.float64]
    energy: npt.NDArray[np.int32]
    error: npt.NDArray[np.int64]


def solution(tiles: int, rows: int, channels: int) -> Solution:
    """Return room for the solutions of one step."""
    wide = lanes(rows)
    return Solution(
        np.zeros((tiles, channels, wide)),
        np.zeros((tiles, channels, channels, wide)),
        np.zeros((tiles, channels, wide), np.int32),
        np.zeros((tiles, channels, wide), np.int64),
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
    sums: Window,
    samples: Samples,
    b: int,
    t: int,
    first: int,
    end: int,
    channels: int,
    ridge: int,
    log_table: npt.NDArray[np.int32],
    found: Solution,
) -> None:
    """Solve the systems of the rows `first` to `end` of tile `b` at step `t` into `found`.

    Vectors are filled by the rows beside the group, whose results mean nothing.
    """
    row, above, values = sums.row[b], sums.above[b], samples.values[b]
    partial, link = found.partial[b], found.link[b]
    energy, error = found.energy[b], found.error[b]
    n = len(values) - 1 - channels
    m = n - channels
    count = n * (n + 1) // 2
    total = np.empty((row.shape[1], LANES), row.dtype)
    a = aligned(count + n)
    column = aligned(n + 1)
    flat_total, flat = total.reshape(total.size), a.reshape(a.size)
    weight = np.zeros(LANES)
    for y in range(first // LANES * LANES, end, LANES):
        sum_window(row, above, t, y + ABOVE, total)
        for k in range(count * LANES):
            flat[k] = flat_total[k]
        _add_ridge(a, n, np.float32(ridge))
        known = flat[count * LANES :]
        for i in range(m):
            for s in range(LANES):
                known[i * LANES + s] = values[i, y + s]
        known[m * LANES :] = np.float32(0)
        eliminate(a, column, m, n)
        for s in range(LANES):
            weight[s] = np.float64(total[count, s]) + ONE
        for c in range(channels):
            _take(a, c, m, n, total, weight, log_table, y, partial[c], link[c], energy[c])
            sizes = total[count + 1 + c]
            # Below 2**52, so that the quotient rounds down as that of whole numbers.
            for s in range(LANES):
                error[c, y + s] = int(np.float64(int(sizes[s]) << 5) / weight[s])


@inlined
def _add_ridge(a: Rows, n: int, fixed: np.float32) -> None:
    for i in range(n):
        diagonal = a[i * (i + 1) // 2 + i]
        for s in range(LANES):
            diagonal[s] = diagonal[s] + (diagonal[s] * RELATIVE_RIDGE + fixed)


@inlined
def _take(
    a: Rows,
    c: int,
    m: int,
    n: int,
    total: Integers,
    weight: npt.NDArray[np.float64],
    log_table: npt.NDArray[np.int32],
    y: int,
    partial: npt.NDArray[np.float64],
    link: npt.NDArray[np.float64],
    energy: npt.NDArray[np.int32],
) -> None:
    """Write what the solved systems say of channel `c` of the rows from `y` on."""
    start = (m + c) * (m + c + 1) // 2 + m
    prediction, pivots = a[n * (n + 1) // 2 + m + c], a[start + c]
    for s in range(LANES):
        partial[y + s] = -prediction[s]
    for k in range(c):
        weights = a[start + k]
        for s in range(LANES):
            link[k, y + s] = weights[s]
    for s in range(LANES):
        power = int(pivots[s]) if pivots[s] < POWER else int(POWER)
        energy[y + s] = log2(power, log_table) - log2(int(weight[s]), log_table)


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

    `partial` (C, rows) and `link` (C, C, rows) are a tile's part of a `Solution`; `z` float64
    (C, rows) holds, in `row`, the errors, in steps, of the channels before `c`.
    """
    value = float(partial[c, y])
    for k in range(c):
        value = value + link[c, k, y] * z[k, row]
    return bounded(value, limit)


@inlined
def to_mean(value: float, base_value: int, low: int, high: int) -> int:
    """Return a prediction as a mean in 1/64 of a step, clamped to the alphabet [low, high]."""
    mean = int(np.floor(value * UNIT + 0.5)) + base_value * UNIT
    return min(max(mean, low * UNIT), high * UNIT)
