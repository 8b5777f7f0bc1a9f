"""The training loop: from samples to a twin network whose weights lie near their grids.

AdamW on the bits per subpixel, a short warm-up, cosine decay to the end of the given time or
steps, gradient clipping, and an exponential average of the weights, which is what is released.
Training starts in floating point and switches to the grids with straight-through rounding.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from idfzip.errors import TrainingError
from idfzip.integer import grid
from idfzip.integer.twin import TwinNetwork
from idfzip.training import batch
from idfzip.training.recipe import Recipe
from idfzip.training.samples import Samples

WARM_UP = 100
LAST_RATE = 0.01
"""The rate at the end, as a share of the highest."""

_EVALUATED_ROWS = 8192


@dataclass(frozen=True)
class Report:
    """The state of training: step, seconds, bits per subpixel of training and of each set."""

    step: int
    seconds: float
    training: float
    validation: dict[str, float]


@dataclass(frozen=True)
class Limit:
    """When training ends: after so many steps, or so many minutes if `steps` is 0."""

    steps: int = 0
    minutes: float = 0.0

    def share(self, step: int, seconds: float) -> float:
        """Return how much of the training is done, 0 to 1."""
        done = step / self.steps if self.steps else seconds / (60 * self.minutes)
        return min(done, 1.0)


def evaluate(network: TwinNetwork, samples: Samples) -> float:
    """Return the mean bits per subpixel of samples."""
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(samples), _EVALUATED_ROWS):
            rows = np.arange(start, min(start + _EVALUATED_ROWS, len(samples)))
            total += float(batch.bits(network, batch.take(samples, rows)).sum())
    return total / samples.values.size


def fit(
    recipe: Recipe,
    samples: Samples,
    limit: Limit,
    validation: Mapping[str, Samples],
    report: Callable[[Report], object],
    every: int = 500,
    seed: int = 0,
    start: TwinNetwork | None = None,
) -> TwinNetwork:
    """Return the averaged network trained on samples; raises TrainingError where it diverges.

    Training goes on from `start`, or begins with random weights.
    The same seed, samples and number of steps give the same network on the same machine.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = start or TwinNetwork(
        samples.inputs.shape[1], recipe.channels, recipe.hidden, recipe.head, recipe.mixture
    )
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=recipe.decay
    )
    began = time.monotonic()
    running, step, share = 0.0, 0, 0.0
    while share < 1:
        share = limit.share(step, time.monotonic() - began)
        for net in (network, average):
            net.set_exact(share >= recipe.float_share)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * _schedule(step, share)
        rows = rng.integers(0, len(samples), recipe.rows)
        loss = batch.bits(network, batch.take(samples, rows)).mean()
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(f"the loss is {value} at step {step}; a lower rate may help")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        _follow(network, average, min(recipe.average, step / (step + 9)))
        running = value if step == 1 else 0.99 * running + 0.01 * value
        if step % every == 0 or share >= 1:
            bits = {name: evaluate(average, found) for name, found in validation.items()}
            report(Report(step, time.monotonic() - began, running, bits))
    average.set_exact(True)
    return average


def _schedule(step: int, share: float) -> float:
    """Return the rate as a share of the highest: warm-up, then half a cosine."""
    fall = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * share))
    return min(1.0, (step + 1) / WARM_UP) * fall


def _follow(network: TwinNetwork, average: TwinNetwork, keep: float) -> None:
    """Keep weights within the grid's reach, and move the average towards them."""
    limit = grid.WEIGHT_LIMIT / (1 << grid.WEIGHT_BITS)
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
            if fast.dim() == 2:
                fast.clamp_(-limit, limit)
            slow.lerp_(fast, 1 - keep)
