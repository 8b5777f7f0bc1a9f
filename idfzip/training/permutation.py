"""Learned permutations of channels: a Plackett-Luce distribution, sorted softly, then hard.

Each channel has a score; a permutation sorts the scores with Gumbel noise added, which draws from
the Plackett-Luce distribution (Yellott 1977). Values are permuted hard, so that they stay whole
numbers; the gradient of the scores is that of a relaxed sort, NeuralSort (Grover et al. 2019,
arXiv:1903.08850, equation 5). Noise and softness fall to nothing, and the permutation that is then
left, the distribution's mode, is the one that is frozen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SPACING = 0.25
"""Scores begin this far apart."""

SOFTEST, HARD = 0.3, 0.03
"""Temperatures; below the second the permutation is hard and stays as it is. At the first,
neighbours often change places and others rarely: networks cannot follow more. (CIFAR-10, 180 steps:
with 1 in place of 0.3, falling twice as long, 6.50 bits per subpixel, fixed permutations 4.84.)"""

SEARCH = 0.5
"""The share of the training without grids after which permutations are hard."""


def neural_sort(scores: Tensor, temperature: float) -> Tensor:
    """Return the relaxed permutation matrix (n, n) that sorts scores (n,), the largest first.

    Each row sums to 1 and becomes the row of the permutation as the temperature falls to 0.
    """
    n = len(scores)
    distances = (scores[:, None] - scores[None, :]).abs().sum(1)
    ranks = n - 1 - 2 * torch.arange(n, device=scores.device, dtype=scores.dtype)
    return torch.softmax((ranks[:, None] * scores - distances) / temperature, 1)


class LearnedPermutation(nn.Module):
    """A permutation of channels that begins as `start`, int64 (n,).

    `temperature` of noise and softness; `seed` of the noise, the same in all processes.
    """

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        ranks = torch.argsort(start)
        self.scores = nn.Parameter(-SPACING * ranks.float())
        self.temperature, self.seed = SOFTEST, 0

    @property
    def mode(self) -> Tensor:
        """The most likely permutation, int64 (n,)."""
        return torch.argsort(self.scores.detach(), descending=True)

    def forward(self, values: Tensor, settled: Tensor) -> Tensor:
        """Return values (N, n, H, W), permuted; once it is hard, by `settled`."""
        if self.temperature < HARD:  # the scores have a gradient still, as several processes want
            return values[:, settled] + 0 * self.scores.sum()
        noisy = self.scores + self.temperature * self._noise()
        soft = neural_sort(noisy, self.temperature)
        hard = torch.argsort(noisy.detach(), descending=True)
        moved = torch.einsum("ij,njhw->nihw", soft, values.detach())
        return values[:, hard] + (moved - moved.detach())

    def _noise(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        uniform = torch.rand(len(self.scores), generator=generator).clamp(1e-6, 1 - 1e-6)
        return -torch.log(-torch.log(uniform)).to(self.scores.device)
