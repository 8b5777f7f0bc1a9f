"""Gradients of what discrete latents cost: one interface, and the estimators of the literature.

Scores become latents, of which a cost is a function. An estimator gives losses (N,) whose values
are costs of drawn latents, and whose gradient, in the mean over draws, is to be that of the
expected cost: with respect to the scores and to whatever the cost is made of.

Scores are logits (N, M, K) of M latents of K categories; the cost sees latents (N, M, K) that are
one category (one-hot) or a mixture of some. `Quantised` takes vectors (N, M, D) for both. A cost
is (N,), or (N, M) where each latent has a cost of its own, of all that it has an influence on.

| estimator | bias | source |
| --- | --- | --- |
| `StraightThrough` | none for costs linear in each latent | Bengio et al. 2013, arXiv:1308.3432 |
| `GumbelSoftmax` | falls with the temperature, as variance rises | Jang et al. 2017, arXiv:1611.01144, Maddison et al. 2017, arXiv:1611.00712 |
| `Reinforce` | none; a `Signal` that is normalised scales it | Williams 1992; NVIL, Mnih and Gregor 2014, arXiv:1402.0030 |
| `Rebar` | none | Tucker et al. 2017, arXiv:1703.07370 |
| `Quantised` | of latents that are not random, whose true gradient is 0 | van den Oord et al. 2017, arXiv:1711.00937 |
"""  # noqa: E501

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from idfzip.integer.twin import straight_through
from idfzip.training.quantiser import TwinCodebook

Cost = Callable[[Tensor], Tensor]

WARM, COOL = 1.0, 1 / 16
"""Temperatures at the beginning and the end (DALL-E, Ramesh et al. 2021, section 2.1)."""

SLOW = 0.99
"""How slowly the mean and the variance of a signal follow."""

_LEAST = 1e-20
"""Least uniform number: its logarithm is finite."""


def temperature(share: float) -> float:
    """Return the temperature when `share`, 0 to 1, of the annealing is done."""
    return float(WARM ** (1 - share) * COOL**share)


def gumbel(uniform: Tensor) -> Tensor:
    """Return what uniform numbers in [0, 1) are in Gumbel's distribution."""
    return -torch.log(-torch.log(uniform.clamp(min=_LEAST)))


def one_hot(index: Tensor, like: Tensor) -> Tensor:
    """Return categories as vectors of 0 and 1, of the shape of `like` (.., K)."""
    return torch.zeros_like(like).scatter_(-1, index[..., None], 1)


def relaxed(logits: Tensor, warmth: float, hard: bool, random: Generator) -> Tensor:
    """Return mixtures of categories (.., K) at a temperature: soft, or one with their gradient."""
    noise = gumbel(_uniform(logits, random))
    soft = torch.softmax((logits + noise) / warmth, -1)
    return straight_through(soft, one_hot(soft.argmax(-1), soft)) if hard else soft


def _uniform(like: Tensor, random: Generator) -> Tensor:
    return torch.rand(like.shape, generator=random, dtype=like.dtype).to(like.device)


def _drawn(logits: Tensor, random: Generator) -> Tensor:
    return one_hot((logits.detach() + gumbel(_uniform(logits, random))).argmax(-1), logits)


def carrying(values: Tensor, *rest: Tensor) -> Tensor:
    """Return `values`, with the gradient of their sum with the rest, (N,) each."""
    total = values
    for one in rest:
        total = total + (one - one.detach())
    return total


def _each(values: Tensor) -> Tensor:
    """Return the sum of all latents' values, (N,)."""
    return values.flatten(1).sum(1) if values.ndim > 1 else values


class Signal(nn.Module):
    """What is to be learned from a cost: how far it lies from what was expected.

    Mnih and Gregor 2014, sections 2.3 and 2.4: less the mean of costs seen before if `constant`,
    less what `baseline` makes of the input, over the deviation where that is more than 1 if
    `normalised`. Mean and variance are those before the costs that they judge, so that no cost is
    compared with itself. Both follow in training mode only.
    """

    mean: Tensor
    variance: Tensor

    def __init__(
        self, constant: bool = False, baseline: nn.Module | None = None, normalised: bool = False
    ) -> None:
        super().__init__()
        self._constant, self._normalised = constant, normalised
        self.baseline = baseline
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("variance", torch.ones(()))

    @property
    def scale(self) -> Tensor:
        """What the signal of a cost is multiplied by, a scalar: at most 1.

        Where latents cost more than what they are judged by, that is to be scaled alike.
        """
        if not self._normalised:
            return torch.ones_like(self.variance)
        return 1 / self.variance.sqrt().clamp(min=1)

    def forward(self, cost: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the signal of costs, without gradient, and what the baseline is to make small.

        `seen` is what the baseline sees; both results are of the shape of the costs.
        """
        left = cost.detach()
        if self.baseline is not None:
            left = left - self.baseline(seen.detach()).reshape(cost.shape)
        gap = left - self.mean if self._constant else left
        signal = gap.detach() * self.scale
        if self.training:
            with torch.no_grad():
                self.mean.lerp_(left.mean().to(self.mean.dtype), 1 - SLOW)
                spread = (left - left.mean()).square().mean()
                self.variance.lerp_(spread.to(self.variance.dtype), 1 - SLOW)
        loss = gap.square() if self.baseline is not None else torch.zeros_like(signal)
        return signal, loss


class Estimator(nn.Module, ABC):
    """What all estimators have in common."""

    def anneal(self, share: float) -> None:
        """Note how much of the training is done, 0 to 1."""

    @abstractmethod
    def forward(self, scores: Tensor, cost: Cost, seen: Tensor, random: Generator) -> Tensor:
        """Return losses (N,): costs of drawn latents, whose gradient is the estimate.

        `seen` is what the latents were inferred from, for baselines.
        """


class StraightThrough(Estimator):
    """Draws a category; the gradient passes to its probabilities as if it were these."""

    def forward(self, scores: Tensor, cost: Cost, seen: Tensor, random: Generator) -> Tensor:
        """As of `Estimator`."""
        return _each(cost(straight_through(torch.softmax(scores, -1), _drawn(scores, random))))


class GumbelSoftmax(Estimator):
    """Draws mixtures of categories, which cool down; if `hard`, one category with their gradient.

    The temperature is `warmth`, or if that is 0 falls as training goes on.
    """

    def __init__(self, warmth: float = 0.0, hard: bool = False) -> None:
        super().__init__()
        self._fixed, self._hard = warmth, hard
        self.warmth = warmth or WARM

    def anneal(self, share: float) -> None:
        """As of `Estimator`."""
        self.warmth = self._fixed or temperature(share)

    def forward(self, scores: Tensor, cost: Cost, seen: Tensor, random: Generator) -> Tensor:
        """As of `Estimator`."""
        return _each(cost(relaxed(scores, self.warmth, self._hard, random)))


def score(logits: Tensor, latents: Tensor) -> Tensor:
    """Return the logarithm of each latent's probability, (N, M)."""
    return (torch.log_softmax(logits, -1) * latents).sum(-1)


class Reinforce(Estimator):
    """The score function: a cost makes what was drawn less likely, more so the worse it was."""

    def __init__(self, signal: Signal) -> None:
        super().__init__()
        self.signal = signal

    def forward(self, scores: Tensor, cost: Cost, seen: Tensor, random: Generator) -> Tensor:
        """As of `Estimator`; the baseline's loss adds to the gradient."""
        latents = _drawn(scores, random)
        found = cost(latents)
        signal, loss = self.signal(found, seen)
        return carrying(_each(found), _learned(signal, score(scores, latents)), _each(loss))


def _learned(signal: Tensor, chances: Tensor) -> Tensor:
    """Return what a signal makes of chances (N, M): each with its own, or all with one."""
    return _each(signal * (chances if signal.ndim > 1 else _each(chances)))


class Rebar(Estimator):
    """REINFORCE less what it would be of a relaxed cost, whose gradient is added without noise.

    Tucker et al. 2017, equation 8 with their control variate for categories (appendix B); its
    scale is 1 and its temperature fixed, where they learn both: neither matters to the bias.
    """

    def __init__(self, warmth: float = 0.5) -> None:
        super().__init__()
        self._warmth = warmth

    def forward(self, scores: Tensor, cost: Cost, seen: Tensor, random: Generator) -> Tensor:
        """As of `Estimator`."""
        logs = torch.log_softmax(scores, -1)
        free = logs + gumbel(_uniform(logs, random))
        latents = one_hot(free.argmax(-1), free.detach())
        tied = self._given(logs, latents, random)
        found = cost(latents)
        first, second = (cost(torch.softmax(one / self._warmth, -1)) for one in (free, tied))
        signal = (found - second).detach()
        chances = score(scores, latents)
        return carrying(_each(found), _learned(signal, chances), _each(first - second))

    @staticmethod
    def _given(logs: Tensor, latents: Tensor, random: Generator) -> Tensor:
        """Return noisy logits drawn anew among those whose largest is that of `latents`."""
        waits = -torch.log(_uniform(logs, random).clamp(_LEAST, 1 - 2**-24))
        least = (waits * latents).sum(-1, keepdim=True)
        others = -torch.log(waits * torch.exp(-logs.clamp(min=-40)) + least)
        return torch.where(latents > 0, -torch.log(least), others)


class Quantised(Estimator):
    """Takes the nearest entry of a codebook; the gradient passes to the vector as it is.

    Entries follow in training mode; `commitment` weighs how far vectors lie from them.
    """

    def __init__(self, codebook: TwinCodebook, commitment: float = 0.25) -> None:
        super().__init__()
        self.codebook, self._commitment = codebook, commitment
        self._step, self._share = 0, 0.0

    def anneal(self, share: float) -> None:
        """As of `Estimator`."""
        self._share = share

    def forward(self, scores: Tensor, cost: Cost, seen: Tensor, random: Generator) -> Tensor:
        """As of `Estimator`; the commitment adds to the gradient."""
        plane = scores.transpose(1, 2)[..., None]
        entries, index = self.codebook(plane)
        if self.training:
            self.codebook.follow(plane, index, self._step, self._share)
            self._step += 1
        entries = entries[..., 0].transpose(1, 2)
        left = (scores - entries).square().mean((1, 2))
        found = _each(cost(straight_through(scores, entries)))
        return carrying(found, self._commitment * left)
