"""The torch twin of the bits-back codec: a Markov chain of latents, trained by its bound on bits.

See `idfzip.codecs.bitswap` for the papers. A step draws one sample of each level's posterior by
the logistic's inverse (Kingma and Welling 2014, arXiv:1312.6114), and counts with masses of bins
what coding it takes: pixels and latents under their priors, less latents under their posteriors.
With the grids on latents are rounded to bins (straight through), and bits are those of the codec.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from idfzip.codecs.bins import LATENT_SCALE, LATENTS, LOWEST, PIXEL_SCALE
from idfzip.codecs.bitswap import VALUES
from idfzip.integer import grid
from idfzip.integer.twin import Twin, on_grid
from idfzip.training import likelihood
from idfzip.training.stack import BOUND, Plan, TwinStack, plain, residual

_UNIT = float(1 << grid.ACTIVATION_BITS)
_EDGE = 1e-6
"""Samples stay within the quantiles _EDGE and 1 - _EDGE."""

NARROW, BROAD = -3.0, 1.0
"""What the sums of posteriors' and priors' scales begin as: 4 bins and 64."""


@dataclass(frozen=True)
class BitswapShape:
    """Sizes of the architecture.

    `latents` are the channels of each level, the finest first, each of half the resolution of the
    one before; `width` the channels of networks, `depth` their residual blocks, `mixture` the
    logistics of a pixel.
    """

    latents: tuple[int, ...] = (8, 16)
    width: int = 64
    depth: int = 2
    mixture: int = 2


class BitswapTwin(Twin):
    """Networks of all levels, the finest first: posteriors, and priors of what lies below."""

    def __init__(self, channels: int, shape: BitswapShape) -> None:
        super().__init__()
        self.shape, self.channels = shape, channels
        self.step = 0
        widths = [channels, *shape.latents]
        blocks = [residual(shape.width)] * shape.depth
        posteriors, priors = [], []
        for i, (fine, coarse) in enumerate(pairwise(widths)):
            parts = 2 if i or shape.mixture == 1 else 3 * shape.mixture
            before: list[Plan] = [plain(shape.width, squeeze=2), *blocks, plain(2 * coarse)]
            after = [plain(shape.width), *blocks, plain(4 * parts * fine, spread=2)]
            down, up = _means(fine, coarse) if i else _waves(channels, coarse, shape.mixture)
            posteriors.append(TwinStack(fine, before, down))
            priors.append(TwinStack(coarse, after, up))
        self.posteriors, self.priors = nn.ModuleList(posteriors), nn.ModuleList(priors)
        self.constants = nn.Parameter(torch.tensor([[0.0, BROAD]] * widths[-1]))
        self._begin()
        self.set_exact(False)

    def _begin(self) -> None:
        """Start with narrow posteriors; the logistics of a pixel begin beside each other."""
        k = self.shape.mixture
        with torch.no_grad():
            for i, (posterior, prior) in enumerate(self.levels):
                posterior.layers[-1][-1].get_parameter("bias")[1::2] = NARROW
                bias = prior.layers[-1][-1].get_parameter("bias")
                if i:
                    bias[1::2] = 0
                elif k > 1:
                    bias.view(-1, 3, k)[:, 1] = torch.linspace(-0.2, 0.2, k)
                    bias.view(-1, 3, k)[:, 2] = torch.linspace(-1, 1, k)

    def anneal(self, step: int, share: float) -> None:
        """Note the step, on which the samples depend."""
        self.step = step

    @property
    def levels(self) -> list[tuple[TwinStack, TwinStack]]:
        """Posterior and prior of each level, the finest first."""
        pairs = zip(self.posteriors, self.priors, strict=True)
        return [
            (posterior, prior)
            for posterior, prior in pairs
            if isinstance(posterior, TwinStack) and isinstance(prior, TwinStack)
        ]

    def forward(self, pixels: Tensor, noise: torch.Generator) -> Tensor:
        """Return the bits of uint8 pixels (N, C, H, W) with latents drawn by `noise`, (N, 1 + L).

        The first column has those of the pixels, given the finest latents; the others those of each
        level's latents under their prior less those under their posterior. Sides are multiples of
        the coarsest level's squares.
        """
        values = _planes(pixels.float())
        given = (values - _centre(values)) * (2 / _UNIT)
        costs: list[Tensor] = []
        for i, (posterior, prior) in enumerate(self.levels):
            sums = posterior(given)
            latents = self._drawn(sums, noise)
            if i == 0:
                costs.append(self._pixel_bits(prior(latents), values))
            else:
                costs[-1] = costs[-1] + self._latent_bits(prior(latents), given)
            costs.append(-self._latent_bits(sums, latents))
            given = latents
        constants = self.constants.reshape(1, -1, 1, 1)
        if self.exact:
            constants = on_grid(constants, grid.SUM_BITS, 1 << 24)
        last = constants.expand(len(given), -1, *given.shape[2:])
        costs[-1] = costs[-1] + self._latent_bits(last, given)
        return torch.stack(costs, 1)

    def _drawn(self, sums: Tensor, noise: torch.Generator) -> Tensor:
        """Return latents drawn from a posterior, (N, c, H, W), in bins if `exact`."""
        means, logs = _paired(sums)
        place = torch.rand(means.shape, generator=noise, device=means.device)
        place = place.clamp(_EDGE, 1 - _EDGE)
        spread = (LATENT_SCALE / 4 - 4 + logs).clamp(
            likelihood.LOWEST_SCALE, likelihood.HIGHEST_SCALE
        )
        found = means + torch.exp2(spread) / _UNIT * torch.logit(place)
        if self.exact:
            return on_grid(found, grid.ACTIVATION_BITS, grid.ACTIVATION_LIMIT)
        return found.clamp(-BOUND, BOUND)

    def _latent_bits(self, sums: Tensor, latents: Tensor) -> Tensor:
        """Return the bits of each image's latents, (N,)."""
        means, logs = _paired(sums)
        flat = (latents * _UNIT).reshape(-1)
        rows = torch.stack([torch.zeros_like(flat), means.reshape(-1), logs.reshape(-1)], 1)
        scale = torch.full_like(flat, LATENT_SCALE / 4 - 3)
        low = torch.full_like(flat, LOWEST)
        found = likelihood.bits(rows, scale, torch.zeros_like(flat), flat, low, LATENTS)
        return found.reshape(len(latents), -1).sum(1)

    def _pixel_bits(self, sums: Tensor, values: Tensor) -> Tensor:
        """Return the bits of each image's planes, (N,)."""
        n, c, h, w = values.shape
        rows = sums.reshape(n, c, -1, h, w).permute(0, 1, 3, 4, 2).reshape(n * c * h * w, -1)
        if rows.shape[1] == 2:
            rows = torch.cat([torch.zeros_like(rows[:, :1]), rows], 1)
        flat = values.reshape(-1)
        low = -values[:, :1].expand_as(values).clone()
        low[:, 0] = 0
        scale = torch.full_like(flat, PIXEL_SCALE / 4 - 3)
        mean = _centre(values).expand_as(values).reshape(-1)
        found = likelihood.bits(rows, scale, mean, flat, low.reshape(-1), VALUES)
        return found.reshape(n, -1).sum(1)


def bound(costs: Tensor) -> Tensor:
    """Return the bits of images by the importance-weighted bound, (N,), of costs (k, N).

    Minus log2 of the mean of 2**-cost over k samples: at most the mean cost, the evidence bound,
    and never below the true code length in expectation (Burda et al. 2016, arXiv:1509.00519).
    """
    nats = -costs.double() * math.log(2)
    return (math.log(len(costs)) - torch.logsumexp(nats, 0)) / math.log(2)


def _planes(pixels: Tensor) -> Tensor:
    """Return G, R - G, B - G of pixels (N, 3, H, W); those of one channel as they are."""
    if pixels.shape[1] == 1:
        return pixels
    r, g, b = pixels.unbind(1)
    return torch.stack([g, r - g, b - g], 1)


def _centre(values: Tensor) -> Tensor:
    """Return what networks count planes from, (1, C, 1, 1)."""
    centre = torch.zeros(1, values.shape[1], 1, 1, device=values.device)
    centre[:, 0] = VALUES // 2
    return centre


def _paired(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means and the log scales of sums (N, 2 c, H, W)."""
    return sums[:, ::2], sums[:, 1::2]


def _waves(channels: int, latents: int, mixture: int) -> tuple[Tensor, Tensor]:
    """Return what the finest shortcuts begin as: Haar's transform of squares of 2, and back.

    First come the means of all planes, then the differences of the first, then those of others.
    """
    waves = [(1, 1, 1, 1), (1, 1, -1, -1), (1, -1, 1, -1), (1, -1, -1, 1)]
    order = [(0, c) for c in range(channels)]
    order += [(u, c) for c in range(channels) for u in range(1, 4)]
    parts = 2 if mixture == 1 else 3 * mixture
    down, up = torch.zeros(latents, 2, 4, channels), torch.zeros(4, channels, parts, latents)
    means = slice(0, 1) if mixture == 1 else slice(mixture, 2 * mixture)
    for d, (u, c) in enumerate(order[:latents]):
        wave = torch.tensor(waves[u], dtype=torch.float32)
        down[d, 0, :, c] = wave / 4
        up[:, c, means, d] = 2 * wave[:, None]
    return down.reshape(2 * latents, -1), up.reshape(-1, latents)


def _means(fine: int, coarse: int) -> tuple[Tensor, Tensor]:
    """Return what coarser shortcuts begin as: means of squares of 2, and these again."""
    down, up = torch.zeros(coarse, 2, 4, fine), torch.zeros(4, fine, 2, coarse)
    for d in range(min(fine, coarse)):
        down[d, 0, :, d] = 0.25
        up[:, d, 0, d] = 1
    return down.reshape(2 * coarse, -1), up.reshape(-1, coarse)
