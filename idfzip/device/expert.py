"""The adaptive expert (see `flows.expert`): systems solved side by side, one lane a pixel.

IEEE singles, each operation one of torch's elementwise ones, which round on their own: no product
is fused with a sum. Predictions are summed in doubles.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from idfzip.device.window import Products
from idfzip.flows.expert import MEAN_BITS, PIVOT, POWER, RELATIVE_RIDGE, UNIT
from idfzip.flows.recursion import ONE
from idfzip.integer.log2 import STEPS

Singles, Doubles = torch.float32, torch.float64


class Solution(NamedTuple):
    """As `flows.expert.Solution`: partial (N, C), link (N, C, C), energy (N, C).

    `weight` int64 (N,) is that of the window's samples.
    """

    partial: Tensor
    link: Tensor
    energy: Tensor
    weight: Tensor


def log2(value: Tensor, table: Tensor) -> Tensor:
    """Return `integer.log2.log2` of int64 values; the table is int64 (64,)."""
    bits = value.clamp(min=1).to(Doubles).view(torch.int64)
    return ((bits >> 52) - 1023) * STEPS + table[(bits >> 46) & 63]


def solve(
    total: Tensor, products: Products, neighbours: Tensor, ridge: int, table: Tensor
) -> Solution:
    """Solve the systems of windows (N, count + 1) and samples of neighbours (N, m).

    `ridge` is that of the model times `window.ONE`.
    """
    lanes, m = neighbours.shape
    n = products.n
    a = torch.zeros((n + 1, n, lanes), dtype=Singles, device=total.device)
    whole = total.T.to(Singles)
    a[products.rows, products.columns] = whole[: products.count]
    diagonal = a.diagonal(dim1=0, dim2=1).T  # (n, N), a view
    diagonal.copy_(diagonal + (diagonal * float(RELATIVE_RIDGE) + float(ridge)))
    a[n, :m] = neighbours.T.to(Singles)
    pivot_limit = float(PIVOT)
    for j in range(n):
        pivot = torch.where(a[j, j] > pivot_limit, a[j, j], pivot_limit)
        a[j, j] = pivot
        inverse = torch.reciprocal(pivot)
        rows = n + 1 if j < m else n
        column = a[j + 1 : rows, j].clone()
        factor = column * inverse
        a[j + 1 : rows, j] = factor
        # The upper triangle is not used.
        a[j + 1 : rows, j + 1 :] -= factor[:, None] * column[None, : n - j - 1]
    weight = total[:, products.count].to(torch.int64) + ONE
    pivots = diagonal[m:].T
    powers = torch.where(pivots < POWER, pivots, POWER).to(torch.int64)
    energy = log2(powers, table) - log2(weight, table)[:, None]
    partial, link = a[n, m:].T.to(Doubles), a[m:n, m:].permute(2, 0, 1).to(Doubles)
    return Solution(-partial, link, energy, weight)


def wide(sizes: Tensor, weight: Tensor) -> Tensor:
    """Return the mean sizes of errors in windows, in 1/512 of a step, of their sums (N, C)."""
    return (sizes.to(torch.int64) << 5) // weight[:, None]


def bounded(value: Tensor, limit: int) -> Tensor:
    """Return predictions within twice the limit of differences and one."""
    bound = 2.0 * (limit + 1)
    value = torch.where(value > -bound, value, -bound)  # also where it is not a number
    return torch.where(value > bound, bound, value)


def predict(found: Solution, c: int, errors: list[Tensor], limit: int) -> Tensor:
    """Return the predictions of channel `c`, (N,), in steps above its base.

    `errors` are those of the channels before, in steps.
    """
    value = found.partial[:, c]
    for k in range(c):
        value = value + found.link[:, c, k] * errors[k]
    return bounded(value, limit)


def to_sixty_fourths(value: Tensor) -> Tensor:
    """Return predictions in 1/64 of a step, rounded, int64."""
    return torch.floor(value * float(UNIT) + 0.5).to(torch.int64)


def to_mean(value: Tensor, base: Tensor, low: Tensor, values: int) -> Tensor:
    """Return predictions as means in 1/64 of a step, clamped to the alphabet from `low` on."""
    mean = to_sixty_fourths(value) + (base << MEAN_BITS)
    least = low << MEAN_BITS
    return torch.minimum(torch.maximum(mean, least), least + ((values - 1) << MEAN_BITS))
