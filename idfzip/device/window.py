"""The window of the adaptive expert (see `flows.window`), for all positions or for a step's."""

from __future__ import annotations

import torch
from torch import Tensor

from idfzip.device.field import Positions
from idfzip.device.machine import Machine
from idfzip.flows.recursion import ONE
from idfzip.flows.window import ERROR_STEPS


def decayed(value: Tensor) -> Tensor:
    """Return 27/32 of a whole number, each part rounded down."""
    return value - (value >> 3) - (value >> 5)


class Products:
    """The outer products of samples of `n` entries, as terms of the running sums.

    `count` products, then the count of samples, then a size for each channel's error.
    """

    def __init__(self, machine: Machine, n: int, channels: int, limit: int) -> None:
        self.n = n
        pairs = torch.tril_indices(n, n, device=machine.device)
        self.rows, self.columns = pairs[0], pairs[1]
        self.count, self.terms = len(self.rows), len(self.rows) + 1 + channels
        self._most = ERROR_STEPS * (limit + 1) - 1

    def pairs(self, samples: Tensor, inside: Tensor) -> Tensor:
        """Return the products of samples, (N, n), and their count: (N, count + 1).

        0 where not inside.
        """
        one = torch.full_like(samples[:, :1], ONE)
        scaled = samples * ONE
        terms = torch.cat([scaled[:, self.rows] * samples[:, self.columns], one], 1)
        return terms * inside[:, None]

    def sizes(self, errors: Tensor, inside: Tensor) -> Tensor:
        """Return the terms of errors in 1/64, int64 (N, C); 0 where not inside."""
        sizes = (errors.abs() >> 2).clamp(max=self._most) * ONE
        return sizes * inside[:, None]


def all_sums(products: Tensor) -> Tensor:
    """Return the windows of all pixels of tiles, of the shape of their terms (B, H, W, terms).

    The terms are 0 outside of a tile. Rows are run through from left to right, all at once, then
    columns from the top.
    """
    height, width = products.shape[1:3]
    row = products.clone()
    for x in range(1, width):
        row[:, :, x] += decayed(row[:, :, x - 1])
    right = torch.zeros_like(products)
    right[:, :, :-2] = decayed(products[:, :, 2:])
    right[:, :, :-1] += products[:, :, 1:]
    right = decayed(right)
    above = torch.zeros_like(products)
    for y in range(2, height):
        above[:, y] = row[:, y - 2] + right[:, y - 2] + decayed(above[:, y - 1])
    total = decayed(above)
    total[:, :, 1:] += row[:, :, :-1]
    total[:, 1:] += row[:, :-1]
    total[:, 1:, :-1] += decayed(products[:, :-1, 1:])
    return total


class Ring:
    """The running sums of the wavefront: four columns of each row, as in `flows.window.Window`.

    Two rows more are one that is always 0 and one for what is dropped.
    """

    def __init__(
        self, machine: Machine, tiles: int, rows: int, terms: int, dtype: torch.dtype
    ) -> None:
        self._rows = rows
        self._zero = tiles * rows * 4
        self._drop = self._zero + 1
        self.row = machine.empty(self._zero + 2, terms, dtype=dtype)
        self.above = machine.empty(self._zero + 2, terms, dtype=dtype)

    def clear(self) -> None:
        """Begin anew."""
        self.row.zero_()
        self.above.zero_()

    def _place(self, p: Positions, dy: int, dx: int, used: Tensor, other: int) -> Tensor:
        slot = (p.tile * self._rows + p.y + dy) * 4 + ((p.x + dx) & 3)
        return torch.where(used, slot, other)

    def sums(self, p: Positions) -> Tensor:
        """Return the windows of a step's pixels, (N, terms), and keep D for the row below."""

        def row(dy: int, dx: int, used: Tensor) -> Tensor:
            return self.row[self._place(p, dy, dx, used & p.inside, self._zero)]

        second, third = p.y >= 1, p.y >= 2
        near, far = (p.x + 1 < p.width)[:, None], (p.x + 2 < p.width)[:, None]
        nothing = torch.zeros((), dtype=self.row.dtype, device=self.row.device)
        f0, f1, f2 = (row(-2, dx, third) for dx in range(3))
        p1 = torch.where(near, f1 - decayed(f0), nothing)
        p2 = torch.where(far, f2 - decayed(f1), nothing)
        before = self.above[self._place(p, -1, 0, third & p.inside, self._zero)]
        above = f0 + decayed(p1 + decayed(p2)) + decayed(before)
        self.above[self._place(p, 0, 0, p.inside, self._drop)] = above
        g0, g1 = row(-1, 0, second), row(-1, 1, second)
        q1 = torch.where(near, g1 - decayed(g0), nothing)
        return g0 + decayed(q1) + decayed(above) + row(0, -1, p.x > 0)

    def learn(self, p: Positions, products: Tensor) -> None:
        """Add the terms of a step's pixels, (N, terms)."""
        left = self.row[self._place(p, 0, -1, p.inside & (p.x > 0), self._zero)]
        self.row[self._place(p, 0, 0, p.inside, self._drop)] = decayed(left) + products
