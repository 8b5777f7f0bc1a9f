"""Training a network of the flagship: pixels of many images, as the coder sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from idfzip.codecs.flagship import Flagship, Learning
from idfzip.flows import context
from idfzip.flows.autoregressive import Design
from idfzip.integer.twin import TwinNetwork
from idfzip.training import batch, samples
from idfzip.training.batch import Batch, Store
from idfzip.training.folder import Source
from idfzip.training.freeze import freeze
from idfzip.training.recipe import FlagshipRecipe

MAX_SAMPLES = 12_000_000
"""Pixels of a round, about 2.5 GB; where there are several rounds the next is held as well."""

MIN_SHARE = 0.2
"""Where more than 1 of 5 pixels cannot be held, some images wait for a later round."""

ROUND = 2000
"""Steps that are drawn from one round's images, where there are several rounds."""

CHECKED = 200_000
"""Pixels of the held-out images that an evaluation looks at."""

_ROWS = 8192


class Pixels:
    """Batches of pixels, drawn at random; a `Task`.

    The samples of a round of images are held on the device. Where there are more images than fit,
    the next round is prepared while this one is used. What a step sees depends on the seed and its
    number only. Coding with the model, the network learns as the recipe says, or as `learning`.
    """

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
    ) -> None:
        self._recipe, self.pixels = recipe, recipe.rows
        self._learning = recipe.learning if learning is None else learning
        self._design, self._seed, self._device, self._start = design, seed, device, start
        self._channels = held_out[0].shape[2]
        many = sum(s.shape[0] * s.shape[1] for s in held_out)
        self._checked = batch.store(
            samples.gather(design, [s.read for s in held_out], min(1.0, CHECKED / many), seed),
            device,
        )
        size = sum(s.shape[0] * s.shape[1] for s in training) * (1 + recipe.mirrored)
        self.share = min(1.0, max(MAX_SAMPLES / size, MIN_SHARE))
        self.rounds = min(math.ceil(size * self.share / MAX_SAMPLES), len(training))
        order = np.random.default_rng(seed).permutation(len(training))
        self._images = [[training[i] for i in order[r :: self.rounds]] for r in range(self.rounds)]
        self._pool = ThreadPoolExecutor(1)
        self._round = -1
        self._held: Store | None = None
        self._next: tuple[int, Future[Store]] | None = None

    @property
    def recipe(self) -> FlagshipRecipe:
        """How it is trained."""
        return self._recipe

    def network(self) -> TwinNetwork:
        """Return the network to begin with: the one to go on from, or a fresh one."""
        if self._start is not None:
            return self._start.to(self._device)
        recipe, design = self._recipe, self._design
        inputs = context.width(len(design.neighbours), len(design.places), self._channels)
        twin = TwinNetwork(inputs, self._channels, recipe.hidden, recipe.head, recipe.mixture)
        return twin.to(self._device)

    def batch(self, step: int, part: int, parts: int) -> Batch:
        """Return part `part` of `parts` of the pixels of a step."""
        held = self._samples(step // ROUND if self.rounds > 1 else 0)
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

    def freeze(self, network: TwinNetwork) -> Flagship:
        """Return the model of a network."""
        return freeze(self._design, network, self._learning)

    def _samples(self, number: int) -> Store:
        """Return the samples of a round, and begin to prepare those of the next."""
        if number != self._round or self._held is None:
            ready = self._next
            if ready is not None and ready[0] == number:
                self._held = ready[1].result()
            else:
                self._held = self._gather(number)
            self._round, self._next = number, None
            if self.rounds > 1:
                self._next = (number + 1, self._pool.submit(self._gather, number + 1))
        return self._held

    def _gather(self, number: int) -> Store:
        images = [source.read for source in self._images[number % self.rounds]]
        seed = self._seed + number // self.rounds
        found = samples.gather(self._design, images, self.share, seed, self._recipe.mirrored)
        return batch.store(found, self._device)


def evaluate(network: TwinNetwork, held: Store) -> float:
    """Return the mean bits per subpixel of samples."""
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(held.inputs), _ROWS):
            end = min(start + _ROWS, len(held.inputs))
            rows = torch.arange(start, end, device=held.inputs.device)
            total += float(batch.bits(network, batch.take(held, rows)).sum())
    return total / held.values.numel()
