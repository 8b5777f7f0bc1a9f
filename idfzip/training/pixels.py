"""Training a network of the flagship: pixels of many images, as the coder sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from idfzip.codecs.flagship import Flagship, Learning
from idfzip.flows import autoregressive
from idfzip.flows.autoregressive import Design
from idfzip.images import picture
from idfzip.integer.twin import TwinNetwork
from idfzip.training import batch, samples
from idfzip.training.batch import Batch, Store
from idfzip.training.folder import Source
from idfzip.training.freeze import freeze
from idfzip.training.recipe import FlagshipRecipe
from idfzip.training.rounds import Rounds
from idfzip.training.samples import Paint

CHECKED = 200_000
"""Pixels of the held-out images that an evaluation looks at."""

_ROWS = 6144
"""Rows that an evaluation takes at once; a multiple of 3 (see `idfzip.training.lattice`)."""


class Pixels:
    """Batches of pixels, drawn at random; a `Task`.

    What a step sees depends on the seed and its number only (`Rounds`). Coding with the model, the
    network learns as the recipe says, or as `learning`; with `paint` it looks at what that makes.
    """

    unit = "bits per subpixel"

    def __init__(
        self,
        recipe: FlagshipRecipe,
        design: Design,
        training: Sequence[Source],
        held_out: Sequence[Source],
        seed: int,
        device: torch.device,
        start: TwinNetwork | None = None,
        learning: Learning | None = None,
        paint: Paint | None = None,
    ) -> None:
        self._recipe, self.pixels = recipe, recipe.rows
        self._learning = recipe.learning if learning is None else learning
        self._design, self._seed, self._device, self._start = design, seed, device, start
        self._paint = paint
        self._channels = held_out[0].shape[2]
        many = sum(s.shape[0] * s.shape[1] for s in held_out)
        share = min(1.0, CHECKED / many)
        self._checked = self._look([s.read for s in held_out], share, seed, False)
        self.rounds = Rounds(self._look, training, recipe.mirrored, seed)

    @property
    def recipe(self) -> FlagshipRecipe:
        """How it is trained."""
        return self._recipe

    def network(self) -> TwinNetwork:
        """Return the network to begin with: the one to go on from, or a fresh one."""
        if self._start is not None:
            return self._start.to(self._device)
        recipe, design = self._recipe, self._design
        inputs = autoregressive.width(design, self._channels, self._paint is not None)
        twin = TwinNetwork(inputs, self._channels, recipe.hidden, recipe.head, recipe.mixture)
        return twin.to(self._device)

    def batch(self, step: int, part: int, parts: int) -> Batch:
        """Return part `part` of `parts` of the pixels of a step."""
        held = self.rounds.at(step)
        rng = np.random.default_rng((self._seed, step))
        rows = rng.integers(0, len(held.inputs), self._recipe.rows * parts)
        mine = rows[part * self._recipe.rows : (part + 1) * self._recipe.rows]
        return batch.take(held, torch.from_numpy(mine).to(self._device))

    def bits(self, network: TwinNetwork, batch_: Batch) -> Tensor:
        """Return the mean bits per subpixel of a batch."""
        return batch.bits(network, batch_).mean()

    def evaluate(self, network: TwinNetwork) -> float:
        """Return the mean bits per subpixel of the held-out pixels."""
        return evaluate(network, self._checked)

    def facts(self, network: TwinNetwork) -> dict[str, float]:
        """Return nothing: the bits are all there is to know."""
        return {}

    def freeze(self, network: TwinNetwork) -> Flagship:
        """Return the model of a network."""
        return freeze(self._design, network, self._learning)

    def _look(
        self,
        images: Sequence[Callable[[], picture.Pixels]],
        share: float,
        seed: int,
        mirrored: bool,
    ) -> Store:
        """Return samples of images, on the device."""
        found = samples.gather(self._design, images, share, seed, mirrored, self._paint)
        return batch.store(found, self._device)


def evaluate(network: batch.Sums, held: Store) -> float:
    """Return the mean bits per subpixel of samples."""
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(held.inputs), _ROWS):
            end = min(start + _ROWS, len(held.inputs))
            rows = torch.arange(start, end, device=held.inputs.device)
            total += float(batch.bits(network, batch.take(held, rows)).sum())
    return total / held.values.numel()
