"""The torch twin of a codebook, which follows what it quantises.

Vector quantisation with straight-through gradients and a commitment cost (van den Oord et al. 2017,
arXiv:1711.00937), whose entries are exponential averages of what they stood for (its appendix
A.1). Entries that hardly stand for anything any more begin anew at values of the batch (Dhariwal et
al. 2020, arXiv:2005.00341).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from idfzip.integer import grid
from idfzip.training.stack import BOUND

KEEP = 0.99
"""How slowly entries follow."""

DEAD = 0.05
"""Entries used less than so many times the mean are begun anew."""

EVERY = 10
"""Steps between such beginnings."""

SEARCH = 0.6
"""Part of the training without grids after which entries that are not used stay as they are."""

_UNIT = float(1 << grid.ACTIVATION_BITS)


class TwinCodebook(nn.Module):
    """Entries of a codebook, (K, D), how often each was used of late, and the sums of its values.

    All are buffers, which `follow` moves.
    """

    exact = False
    codes: Tensor
    count: Tensor
    total: Tensor

    def __init__(self, entries: int, size: int, seed: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        codes = torch.randn(entries, size, generator=random) * 0.5
        self.register_buffer("codes", codes)
        self.register_buffer("count", torch.zeros(entries))
        self.register_buffer("total", codes.clone())

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return what stands for values (N, D, H, W), without gradients, and its indices.

        The indices are (N, H, W).
        """
        rows = values.detach().permute(0, 2, 3, 1).reshape(-1, values.shape[1])
        with torch.no_grad():
            codes = self.entries
            distance = codes.square().sum(1) - 2 * rows @ codes.T
            index = distance.argmin(1)
        n, _, h, w = values.shape
        found = codes[index].reshape(n, h, w, -1).permute(0, 3, 1, 2)
        return found, index.reshape(n, h, w)

    @property
    def entries(self) -> Tensor:
        """The entries, on their grid if `exact`."""
        if not self.exact:
            return self.codes
        return torch.round(self.codes * _UNIT).clamp(-BOUND * _UNIT, BOUND * _UNIT) / _UNIT

    @torch.no_grad()
    def follow(self, values: Tensor, index: Tensor, step: int, share: float) -> None:
        """Move entries towards the values that they stood for, (N, D, H, W).

        `share` is the part of the training without grids that is done.
        """
        rows = values.detach().permute(0, 2, 3, 1).reshape(-1, values.shape[1])
        flat = index.reshape(-1)
        count = torch.bincount(flat, minlength=len(self.count)).to(rows.dtype)
        total = torch.zeros_like(self.total).index_add_(0, flat, rows)
        self.count.lerp_(count, 1 - KEEP)
        self.total.lerp_(total, 1 - KEEP)
        mean = float(self.count.mean())
        used = self.count > 1e-3 * mean
        self.codes[used] = (self.total[used] / self.count[used, None]).clamp(-BOUND, BOUND)
        if share < SEARCH and step % EVERY == 0:
            self._begin_anew(rows, mean, step)

    def _begin_anew(self, rows: Tensor, mean: float, step: int) -> None:
        dead = torch.nonzero(self.count < DEAD * mean)[:, 0]
        random = torch.Generator().manual_seed(step)
        chosen = torch.randint(len(rows), (len(dead),), generator=random).to(rows.device)
        self.codes[dead] = rows[chosen]
        self.count[dead] = mean
        self.total[dead] = rows[chosen] * mean

    @property
    def perplexity(self) -> float:
        """The number of entries that would be as uncertain if all were used alike."""
        share = self.count / self.count.sum().clamp(min=1e-9)
        return float(torch.exp(-(share * share.clamp(min=1e-9).log()).sum()))
