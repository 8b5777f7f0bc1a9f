"""Samples of more images than memory holds, a round of images at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from idfzip.images.picture import Pixels
from idfzip.training.batch import Store
from idfzip.training.folder import Source

MAX_SAMPLES = 12_000_000
"""Pixels of a round, about 2.5 GB; where there are several rounds the next is held as well."""

MIN_SHARE = 0.2
"""Where more than 1 of 5 pixels cannot be held, some images wait for a later round."""

ROUND = 2000
"""Steps that are drawn from one round's images, where there are several rounds."""

Look = Callable[[Sequence[Callable[[], Pixels]], float, int, bool], Store]
"""Return samples: a share of the pixels of images, by a seed, mirror images as well if asked."""


class Rounds:
    """The samples that steps are drawn from.

    The samples of a round of images are held. Where there are more images than fit, the next round
    is prepared while this one is used. What a step sees depends on the seed and its number only.
    """

    def __init__(self, look: Look, training: Sequence[Source], mirrored: bool, seed: int) -> None:
        self._look, self._mirrored, self._seed = look, mirrored, seed
        size = sum(s.shape[0] * s.shape[1] for s in training) * (1 + mirrored)
        self.share = min(1.0, max(MAX_SAMPLES / size, MIN_SHARE))
        self.count = min(math.ceil(size * self.share / MAX_SAMPLES), len(training))
        order = np.random.default_rng(seed).permutation(len(training))
        self._images = [[training[i] for i in order[r :: self.count]] for r in range(self.count)]
        self._pool = ThreadPoolExecutor(1)
        self._round = -1
        self._held: Store | None = None
        self._next: tuple[int, Future[Store]] | None = None

    def at(self, step: int) -> Store:
        """Return the samples of a step's round, and begin to prepare those of the next."""
        number = step // ROUND if self.count > 1 else 0
        if number != self._round or self._held is None:
            ready = self._next
            if ready is not None and ready[0] == number:
                self._held = ready[1].result()
            else:
                self._held = self._gather(number)
            self._round, self._next = number, None
            if self.count > 1:
                self._next = (number + 1, self._pool.submit(self._gather, number + 1))
        return self._held

    def _gather(self, number: int) -> Store:
        images = [source.read for source in self._images[number % self.count]]
        return self._look(images, self.share, self._seed + number // self.count, self._mirrored)
