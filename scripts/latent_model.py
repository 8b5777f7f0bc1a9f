"""The model by which `estimators.py` compares: an autoencoder of discrete latents."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIDE, LATENTS, KINDS, HIDDEN = 32, 64, 8, 256
PIXELS = SIDE * SIDE


class Model(nn.Module):
    """Encoder, decoder and prior."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(PIXELS, HIDDEN), nn.LeakyReLU(0.1), nn.Linear(HIDDEN, LATENTS * KINDS)
        )
        self.decoder = nn.Sequential(
            nn.Linear(LATENTS * KINDS, HIDDEN), nn.LeakyReLU(0.1), nn.Linear(HIDDEN, PIXELS)
        )
        self.prior = nn.Parameter(torch.zeros(LATENTS, KINDS))
        self.width = nn.Parameter(torch.full((PIXELS,), -2.0))

    def scores(self, images: Tensor) -> Tensor:
        """Return the scores of images in [0, 1], (N, LATENTS, KINDS)."""
        found: Tensor = self.encoder((images - 0.5) * 4)
        return found.reshape(-1, LATENTS, KINDS)

    def nats(self, images: Tensor, latents: Tensor) -> Tensor:
        """Return what the pixels cost given their latents, (N,)."""
        centre = torch.sigmoid(self.decoder(latents.flatten(1)))
        scale = torch.exp(-self.width)
        upper = torch.sigmoid((images - centre + 0.5 / 255) * scale)
        lower = torch.sigmoid((images - centre - 0.5 / 255) * scale)
        upper = torch.where(images >= 1, torch.ones_like(upper), upper)
        lower = torch.where(images <= 0, torch.zeros_like(lower), lower)
        return -torch.log((upper - lower).clamp(min=2.0**-24)).sum(1)

    def divergence(self, scores: Tensor, scale: Tensor) -> Tensor:
        """Return how far the latents' probabilities lie from the prior, in nats, (N,).

        The gradient of the scores is scaled as that of their signal is.
        """
        given = scores.detach() + scale * (scores - scores.detach())
        logs = torch.log_softmax(given, -1)
        return (logs.exp() * (logs - torch.log_softmax(self.prior, -1))).sum((1, 2))

    def chosen(self, index: Tensor) -> Tensor:
        """Return what latents (N, LATENTS), chosen without chance, cost, (N,)."""
        logs = torch.log_softmax(self.prior, -1)
        return -logs.expand(len(index), -1, -1).gather(2, index[..., None]).sum((1, 2))
