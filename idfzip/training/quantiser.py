"""The torch twin of a codebook, and the one that follows what it quantises.

Vector quantisation with straight-through gradients and a commitment cost (van den Oord et al. 2017,
arXiv:1711.00937), whose entries are exponential averages of what they stood for (its appendix
A.1). Entries that hardly stand for anything any more begin anew at values of the batch (Dhariwal et
al. 2020, arXiv:2005.00341). Codebooks of which codes are drawn: `idfzip.training.latents`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from idfzip.integer import grid
from idfzip.integer.twin import on_grid
from idfzip.training.stack import BOUND

KEEP = 0.99
"""How slowly entries follow."""

DEAD = 0.05
"""Entries used less than so many times the mean are begun anew."""

EVERY = 10
"""Steps between such beginnings."""

SEARCH = 0.6
"""Part of the training without grids after which entries that are not used stay as they are."""


class Chosen(NamedTuple):
    """What stands for values in a training step.

    `entries` (N, D, H, W) with the gradients that the method gives, none where they are copied;
    `codes` (N, H, W) are their indices; `cost` a scalar that keeps the encoder near its codes;
    `score` (N, H, W), for methods that learn from it, the logarithm of the codes' probabilities.
    """

    entries: Tensor
    codes: Tensor
    cost: Tensor
    score: Tensor | None = None


class TwinCodes(nn.Module, ABC):
    """Entries (K, D), and how often each was used of late.

    If `copied`, the gradient of what stands for a value is that of the value.
    """

    exact = False
    copied = False
    count: Tensor

    def __init__(self, entries: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(entries))

    @abstractmethod
    def points(self) -> Tensor:
        """Return the entries, (K, D), wherever they lie."""

    @abstractmethod
    def put(self, codes: Tensor) -> None:
        """Take over entries (K, D); raises ValueError where they cannot be such."""

    @abstractmethod
    def choose(self, values: Tensor, warmth: float, random: Generator) -> Chosen:
        """Return what stands for values (N, D, H, W) in training, at a temperature."""

    @abstractmethod
    def follow(self, values: Tensor, index: Tensor, step: int, share: float) -> None:
        """Note the values that codes stood for, (N, D, H, W), and move what is moved by them.

        `share` is the part of the training without grids that is done.
        """

    @property
    def entries(self) -> Tensor:
        """The entries, on their grid if `exact`."""
        points = self.points()
        if not self.exact:
            return points
        return on_grid(points, grid.ACTIVATION_BITS, grid.ACTIVATION_LIMIT)

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the entries nearest to values (N, D, H, W), without gradients, and their indices.

        The indices are (N, H, W).
        """
        rows = values.detach().permute(0, 2, 3, 1).reshape(-1, values.shape[1])
        with torch.no_grad():
            codes = self.entries
            index = (codes.square().sum(1) - 2 * rows @ codes.T).argmin(1)
        n, _, h, w = values.shape
        index = index.reshape(n, h, w)
        return self.looked_up(index), index

    @torch.no_grad()
    def looked_up(self, index: Tensor) -> Tensor:
        """Return the entries of indices (N, H, W), without gradients: (N, D, H, W)."""
        return self.entries[index].permute(0, 3, 1, 2)

    @torch.no_grad()
    def _counted(self, index: Tensor) -> Tensor:
        """Note how often each entry is used; return how often it is used now, (K,)."""
        count = torch.bincount(index.reshape(-1), minlength=len(self.count)).to(self.count.dtype)
        self.count.lerp_(count, 1 - KEEP)
        return count

    def _dead(self, rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the entries that are hardly used, and rows (any, D) drawn to take their place."""
        dead = torch.nonzero(self.count < DEAD * self.count.mean())[:, 0]
        random = torch.Generator().manual_seed(step)
        chosen = torch.randint(len(rows), (len(dead),), generator=random).to(rows.device)
        return dead, rows[chosen]

    @property
    def perplexity(self) -> float:
        """The number of entries that would be as uncertain if all were used alike."""
        share = self.count / self.count.sum().clamp(min=1e-9)
        return float(torch.exp(-(share * share.clamp(min=1e-9).log()).sum()))


class TwinCodebook(TwinCodes):
    """A codebook whose entries are averages of what they stood for; `total` are their sums.

    All are buffers, which `follow` moves.
    """

    copied = True
    codes: Tensor
    total: Tensor

    def __init__(self, entries: int, size: int, seed: int) -> None:
        super().__init__(entries)
        random = torch.Generator().manual_seed(seed)
        codes = torch.randn(entries, size, generator=random) * 0.5
        self.register_buffer("codes", codes)
        self.register_buffer("total", codes.clone())

    def points(self) -> Tensor:
        """As of `TwinCodes`."""
        return self.codes

    def put(self, codes: Tensor) -> None:
        """As of `TwinCodes`."""
        self.codes.copy_(codes)
        self.count.fill_(1)
        self.total.copy_(self.codes)

    def choose(self, values: Tensor, warmth: float, random: Generator) -> Chosen:
        """As of `TwinCodes`: the nearest entries; the cost is the commitment's."""
        entries, index = self(values)
        return Chosen(entries, index, (values - entries).square().mean())

    @torch.no_grad()
    def follow(self, values: Tensor, index: Tensor, step: int, share: float) -> None:
        """As of `TwinCodes`: entries move towards the values that they stood for."""
        rows = values.detach().permute(0, 2, 3, 1).reshape(-1, values.shape[1])
        self._counted(index)
        total = torch.zeros_like(self.total).index_add_(0, index.reshape(-1), rows)
        self.total.lerp_(total, 1 - KEEP)
        used = self.count > 1e-3 * self.count.mean()
        self.codes[used] = (self.total[used] / self.count[used, None]).clamp(-BOUND, BOUND)
        if share < SEARCH and step % EVERY == 0:
            mean = float(self.count.mean())
            dead, anew = self._dead(rows, step)
            self.codes[dead] = anew
            self.count[dead] = mean
            self.total[dead] = anew * mean
