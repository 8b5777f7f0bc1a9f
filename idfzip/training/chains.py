"""Training a network of the bits-back codec: the evidence bound of crops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from idfzip.codecs.bitswap import Bitswap
from idfzip.errors import TrainingError
from idfzip.training.bitswap import BitswapTwin
from idfzip.training.crops import Crops
from idfzip.training.folder import Source
from idfzip.training.freeze_bitswap import freeze_bitswap
from idfzip.training.recipe import BitswapRecipe


class Chains(Crops[BitswapRecipe]):
    """Training of a network of the bits-back codec; a `Task`.

    Its bits are minus the evidence bound: what coding takes on average, but for the initial bits.
    """

    def __init__(
        self,
        recipe: BitswapRecipe,
        training: Sequence[Source],
        held_out: Sequence[Source],
        seed: int,
        device: torch.device,
        start: BitswapTwin | None = None,
    ) -> None:
        if recipe.crop % recipe.stride:
            raise TrainingError(f"crop = {recipe.crop}: a multiple of {recipe.stride} expected")
        super().__init__(recipe, training, held_out, seed, device)
        self._start = start

    def network(self) -> BitswapTwin:
        """Return the network to begin with: the one to go on from, or a fresh one."""
        if self._start is not None:
            return self._start.to(self._device)
        return BitswapTwin(self._channels, self._recipe.shape).to(self._device)

    def bits(self, network: BitswapTwin, crops: Tensor) -> Tensor:
        """Return the mean bits per subpixel of crops."""
        costs: Tensor = network(crops, self._noise(network.step + 1))
        return costs.sum() / crops.numel()

    def evaluate(self, network: BitswapTwin) -> float:
        """Return the mean bits per subpixel of crops of the held-out images."""
        return float(self._costs(network).sum())

    def facts(self, network: BitswapTwin) -> dict[str, float]:
        """Return the parts of these bits: of the pixels, and of each level's latents."""
        pixels, *levels = self._costs(network).tolist()
        return {"pixels": pixels, **{f"latents_{i + 1}": one for i, one in enumerate(levels)}}

    def freeze(self, network: BitswapTwin) -> Bitswap:
        """Return the model of a network."""
        return freeze_bitswap(network)

    def _noise(self, step: int) -> torch.Generator:
        """Return what draws latents at a step, so that a training that resumes draws the same."""
        seed = np.random.SeedSequence((self._seed, step, 2)).generate_state(1, np.uint64)[0]
        return torch.Generator(self._device).manual_seed(int(seed >> 1))

    def _costs(self, network: BitswapTwin) -> Tensor:
        """Return the mean bits per subpixel of the held-out crops, part by part."""
        noise, parts = self._noise(0), []
        with torch.no_grad():
            for crops in torch.split(self._checked, 32):
                parts.append(network(crops.to(self._device), noise).sum(0).cpu())
        return torch.stack(parts).sum(0) / self._checked.numel()
