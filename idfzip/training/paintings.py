"""Training a network of the lossy codec: how crops are painted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from idfzip.codecs.vqvae import Vqvae
from idfzip.errors import TrainingError
from idfzip.training.crops import Crops
from idfzip.training.folder import Source
from idfzip.training.freeze_vqvae import freeze_vqvae
from idfzip.training.recipe import VqvaeRecipe
from idfzip.training.similarity import dissimilarity
from idfzip.training.vqvae import VqvaeTwin

CHECKED = 48
"""Crops of the held-out images that an evaluation looks at."""


class Paintings(Crops[VqvaeRecipe]):
    """Training of a network of the lossy codec; a `Task`. Its loss takes the place of bits."""

    unit = "loss"

    def __init__(
        self,
        recipe: VqvaeRecipe,
        training: Sequence[Source],
        held_out: Sequence[Source],
        seed: int,
        device: torch.device,
        start: VqvaeTwin | None = None,
    ) -> None:
        if recipe.crop % recipe.stride:
            raise TrainingError(f"crop = {recipe.crop}: a multiple of {recipe.stride} expected")
        super().__init__(recipe, training, held_out, seed, device, CHECKED)
        self._start = start

    def network(self) -> VqvaeTwin:
        """Return the network to begin with: the one to go on from, or a fresh one."""
        if self._start is not None:
            return self._start.to(self._device)
        return VqvaeTwin(self._channels, self._recipe.shape, self._seed).to(self._device)

    def bits(self, network: VqvaeTwin, crops: Tensor) -> Tensor:
        """Return the loss of crops, each painted with a random number of stages."""
        rng = np.random.default_rng((self._seed, network.step, 1))
        stages = torch.from_numpy(rng.integers(1, sum(self._recipe.stages) + 1, len(crops)))
        return self._loss(network, crops, stages.to(crops.device), torch.is_grad_enabled())

    def evaluate(self, network: VqvaeTwin) -> float:
        """Return the mean loss of crops of the held-out images, over all numbers of stages."""
        every = torch.arange(1, sum(self._recipe.stages) + 1)
        count = -(-CHECKED // len(every)) * len(every)
        stages = every.repeat(count // len(every))[: len(self._checked)]
        total = 0.0
        with torch.no_grad():
            for crops, some in zip(
                torch.split(self._checked, 8), torch.split(stages, 8), strict=True
            ):
                loss = self._loss(network, crops.to(self._device), some.to(self._device), False)
                total += float(loss) * len(crops)
        return total / len(self._checked)

    def facts(self, network: VqvaeTwin) -> dict[str, float]:
        """Return the mean perplexity of each stage's codebook, and more, of the held-out crops."""
        stages = torch.full((len(self._checked),), sum(self._recipe.stages))
        with torch.no_grad():
            found = network(self._checked.to(self._device), stages.to(self._device))
        pictures = found.pictures.clamp(0, 1)
        error = (pictures - self._checked.to(self._device) / 255).square().mean()
        bits = found.bits.sum(0) / self._checked[:, 0].numel()
        return {
            "psnr": float(-10 * torch.log10(error)),
            "bpp": float(bits.sum()),
            **{f"bpp_{i}": float(one) for i, one in enumerate(bits)},
            **{f"perplexity_{i}": b.perplexity for i, b in enumerate(network.all_codebooks)},
        }

    def freeze(self, network: VqvaeTwin) -> Vqvae:
        """Return the model of a network."""
        return freeze_vqvae(network)

    def _loss(self, network: VqvaeTwin, crops: Tensor, stages: Tensor, following: bool) -> Tensor:
        recipe = self._recipe
        found = network(crops, stages, following)
        wanted = crops.float() / 255
        loss = recipe.fidelity * (found.pictures - wanted).square().mean()
        loss = loss + recipe.similarity * dissimilarity(found.pictures, wanted)
        loss = loss + recipe.commitment * found.commitment
        total: Tensor = loss + recipe.likelihood * found.bits.sum() / crops[:, 0].numel()
        return total
