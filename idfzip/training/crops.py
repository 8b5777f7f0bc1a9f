"""Training on crops of many images: how they are drawn, and the bipartite codec's task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.codecs.idf import Idf
from idfzip.training.folder import Source
from idfzip.training.freeze_idf import freeze_idf
from idfzip.training.idf import IdfTwin
from idfzip.training.recipe import BitswapRecipe, IdfRecipe, PainterRecipe

R = TypeVar("R", bound=BitswapRecipe | IdfRecipe | PainterRecipe)

CHECKED = 256
"""Crops of the held-out images that an evaluation looks at."""


class Crops(Generic[R]):
    """Batches of square crops, drawn at random, each area alike: what tasks have in common.

    Images of one size are held on the device, others read when they are due. An image smaller than
    a crop is repeated at its lower and right edge, as the codec does.
    """

    unit = "bits per subpixel"

    def __init__(
        self,
        recipe: R,
        training: Sequence[Source],
        held_out: Sequence[Source],
        seed: int,
        device: torch.device,
        checked: int = CHECKED,
    ) -> None:
        self._recipe: R = recipe
        self.pixels = recipe.images * recipe.crop**2
        self._training, self._held_out = training, held_out
        self._seed, self._device = seed, device
        self._channels = held_out[0].shape[2]
        self._stack = self._stacked(training)
        self._checked = self._drawn(held_out, np.random.default_rng(seed), checked)

    @property
    def recipe(self) -> R:
        """How it is trained."""
        return self._recipe

    def batch(self, step: int, part: int, parts: int) -> Tensor:
        """Return part `part` of `parts` of the crops of a step: uint8 (N, C, H, W)."""
        rng = np.random.default_rng((self._seed, step))
        count = self._recipe.images
        if self._stack is None:
            crops = self._drawn(self._training, rng, count * parts)
            return crops[part * count : (part + 1) * count].to(self._device)
        rows = rng.integers(0, len(self._stack), count * parts)
        mine = torch.from_numpy(rows[part * count : (part + 1) * count]).to(self._device)
        found = self._stack[mine]
        turned = rng.random(count * parts)[part * count : (part + 1) * count] < 0.5
        if self._recipe.mirrored:
            turn = torch.from_numpy(turned).to(self._device)
            found[turn] = found[turn].flip(3)
        return found

    def _stacked(self, sources: Sequence[Source]) -> Tensor | None:
        """Return all images on the device, uint8 (N, C, H, W), if they are crops already."""
        side = self._recipe.crop
        if any(s.shape[:2] != (side, side) or s.kept is None for s in sources):
            return None
        images = np.stack([s.read() for s in sources]).transpose(0, 3, 1, 2)
        return torch.from_numpy(np.ascontiguousarray(images)).to(self._device)

    def _drawn(self, sources: Sequence[Source], rng: np.random.Generator, count: int) -> Tensor:
        """Return random crops of random images, uint8 (count, C, crop, crop)."""
        areas = np.array([s.shape[0] * s.shape[1] for s in sources], float)
        chosen = rng.choice(len(sources), count, p=areas / areas.sum())
        crops = [self._crop(sources[i], rng) for i in chosen]
        return torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy())

    def _crop(self, source: Source, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        side = self._recipe.crop
        pixels = source.read()
        y, x = (int(rng.integers(0, max(1, n - side + 1))) for n in pixels.shape[:2])
        part = pixels[y : y + side, x : x + side]
        missing = [(0, side - part.shape[0]), (0, side - part.shape[1]), (0, 0)]
        part = np.pad(part, missing, mode="edge")
        return part[:, ::-1] if self._recipe.mirrored and rng.random() < 0.5 else part


class Flows(Crops[IdfRecipe]):
    """Training of a network of the bipartite codec; a `Task`."""

    def __init__(
        self,
        recipe: IdfRecipe,
        training: Sequence[Source],
        held_out: Sequence[Source],
        seed: int,
        device: torch.device,
        start: IdfTwin | None = None,
    ) -> None:
        super().__init__(recipe, training, held_out, seed, device)
        self._start = start

    def network(self) -> IdfTwin:
        """Return the network to begin with: the one to go on from, or a fresh one."""
        if self._start is not None:
            return self._start.to(self._device)
        return IdfTwin(self._channels, self._recipe.shape, self._seed).to(self._device)

    def bits(self, network: IdfTwin, crops: Tensor) -> Tensor:
        """Return the mean bits per subpixel of crops."""
        return network.bits(crops).sum() / crops.numel()

    def evaluate(self, network: IdfTwin) -> float:
        """Return the mean bits per subpixel of crops of the held-out images."""
        total = 0.0
        with torch.no_grad():
            for crops in torch.split(self._checked, 32):
                total += float(network.bits(crops.to(self._device)).sum())
        return total / self._checked.numel()

    def facts(self, network: IdfTwin) -> dict[str, float]:
        """Return nothing: the bits are all there is to know."""
        return {}

    def freeze(self, network: IdfTwin) -> Idf:
        """Return the model of a network."""
        return freeze_idf(network)
