"""The adversary of a painter: a network that learns to tell painted pictures from real ones.

VQGAN (Esser et al. 2021, arXiv:2012.09841) with the patch discriminator of Isola et al. 2017
(arXiv:1611.07004), without normalisation. Its own features, in which painted pictures are to be
like real ones (feature matching: Salimans et al. 2016, arXiv:1606.03498; as a distance of each
picture to its own source Wang et al. 2018, arXiv:1711.11585), take the place of a perceptual
network. It learns beside the painter, in the same steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from idfzip.training.vqvae import VqvaeShape, VqvaeTwin

HINGE, SQUARES, WASSERSTEIN = "hinge", "squares", "wasserstein"
LOSSES = (HINGE, SQUARES, WASSERSTEIN)
"""Hinge (Lim and Ye 2017, arXiv:1705.02894), least squares (Mao et al. 2017, arXiv:1611.04076),
Wasserstein distance with gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028)."""

PENALTY = 10.0
"""Weight of the gradient penalty."""

_WIDTHS = (32, 64, 128)
_BETAS = (0.5, 0.9)
"""Adam's, for the adversary (as VQGAN's)."""


class Discriminator(nn.Module):
    """Convolutions of squares of 4 in steps of 2; a verdict on each patch of about 46 pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        seen, layers = channels, []
        for width in _WIDTHS:
            layers.append(nn.Conv2d(seen, width, 4, stride=2, padding=1))
            seen = width
        self.layers = nn.ModuleList(layers)
        self.verdict = nn.Conv2d(seen, 1, 3, padding=1)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Return the features of pictures (N, C, H, W) in [0, 1], and last verdicts (N, 1, h, w).

        A verdict is the higher the more real a patch looks.
        """
        found = [2 * pictures - 1]
        for layer in self.layers:
            found.append(leaky_relu(layer(found[-1]), 0.2))
        return [*found[1:], self.verdict(found[-1])]


class ContestTwin(VqvaeTwin):
    """The twin of a lossy codec, and its adversary, which the codec does without."""

    def __init__(self, channels: int, shape: VqvaeShape, seed: int = 0) -> None:
        super().__init__(channels, shape, seed)
        self.adversary = Discriminator(channels)

    def groups(self) -> list[dict[str, Any]]:
        """As of `Twin`: the adversary has momenta and clipping of its own."""
        theirs = list(self.adversary.parameters())
        ours = {id(p) for p in theirs}
        rest = [p for p in self.parameters() if id(p) not in ours]
        return [{"params": rest}, {"params": theirs, "betas": _BETAS}]


def deceived(loss: str, verdict: Tensor) -> Tensor:
    """Return what the painter makes small, of verdicts on what it painted: a scalar."""
    return (verdict - 1).square().mean() if loss == SQUARES else -verdict.mean()


def judged(loss: str, real: Tensor, painted: Tensor) -> Tensor:
    """Return what the adversary makes small, of verdicts on both; `PENALTY` is not in it."""
    if loss == HINGE:
        return 0.5 * (relu(1 - real).mean() + relu(1 + painted).mean())
    if loss == SQUARES:
        return 0.5 * ((real - 1).square().mean() + painted.square().mean())
    return painted.mean() - real.mean()


def penalty(adversary: Discriminator, real: Tensor, painted: Tensor, random: Tensor) -> Tensor:
    """Return how far slopes between real and painted pictures lie from 1, squared: a scalar.

    `random` (N,) in [0, 1] says where between them.
    """
    between = real.lerp(painted, random[:, None, None, None]).detach().requires_grad_()
    verdicts = adversary(between)[-1].mean((1, 2, 3))
    (slope,) = torch.autograd.grad(verdicts.sum(), between, create_graph=True)
    gap: Tensor = slope.flatten(1).norm(dim=1) - 1
    return gap.square().mean()


def unlike(real: list[Tensor], painted: list[Tensor]) -> Tensor:
    """Return how far features (all but the verdicts) lie apart, over their mean size: a scalar."""
    gaps = [
        (a.detach() - b).abs().mean() / a.detach().abs().mean().clamp(min=1e-6)
        for a, b in zip(real[:-1], painted[:-1], strict=True)
    ]
    return torch.stack(gaps).mean()


def balance(first: Tensor, second: Tensor, last: Tensor) -> Tensor:
    """Return the weight that gives two losses equal slopes at a layer (VQGAN, equation 7)."""
    ours, theirs = (
        torch.autograd.grad(one, last, retain_graph=True)[0].square().sum().sqrt()
        for one in (first, second)
    )
    weight: Tensor = ours / (theirs + 1e-4)
    return weight.clamp(max=1e4)
