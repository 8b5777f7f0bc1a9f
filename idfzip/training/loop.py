"""The training loop: from a task to a network whose weights lie near their grids.

AdamW on the bits per subpixel, a short warm-up, cosine decay to the end of the given time or
steps, gradient clipping, and an exponential average of the weights, which is what is released.
Training starts in floating point and switches to the grids with straight-through rounding.

Tries (flagship, 60 k parameters, bits per subpixel held out): grids from the start or after a
quarter or half of the time end within 0.03% of each other; a rate of 3e-3 with activations up to
16 diverged slowly after 20,000 steps, 2e-3 with a limit of 8 and a weight decay of 0.02 does not.
"""

from __future__ import annotations

import copy
import importlib.util
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from idfzip.errors import TrainingError
from idfzip.integer import grid
from idfzip.training import checkpoint
from idfzip.training.checkpoint import State
from idfzip.training.group import Group
from idfzip.training.task import B, Loss, N, Task

WARM_UP = 100
PATIENCE = 120.0
"""Seconds after which held-out images are measured again, where steps are slow."""
LAST_RATE = 0.01
"""The rate at the end, as a share of the highest."""


@dataclass(frozen=True)
class Report:
    """The state of training after a step.

    `share` of the training done, 0 to 1; `seconds` by the clock, `processor` those of the processor
    in this process, which on a shared machine are fewer; `training` the smoothed bits per
    subpixel; `held_out` those of the averaged network on held-out images, where they were just
    measured, with what else the task has to tell (`facts`); `speed` in pixels per second, over all
    processes.
    """

    step: int
    share: float
    seconds: float
    processor: float
    training: float
    speed: float
    held_out: float | None
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Limit:
    """When training ends: after so many steps, or so many minutes if `steps` is 0."""

    steps: int = 0
    minutes: float = 0.0

    def share(self, step: int, seconds: float) -> float:
        """Return how much of the training is done, 0 to 1."""
        done = step / self.steps if self.steps else seconds / (60 * self.minutes)
        return min(done, 1.0)


@dataclass(frozen=True)
class Keeping:
    """Where checkpoints are kept, how many seconds lie between them, and what they are of."""

    path: Path
    purpose: str
    resume: bool = False
    seconds: float = 60.0


def fit(
    task: Task[N, B],
    limit: Limit,
    group: Group,
    report: Callable[[Report], object],
    keeping: Keeping | None = None,
    stopped: Callable[[], bool] = lambda: False,
    every: int = 250,
    seed: int = 0,
) -> N:
    """Return the averaged network; raises TrainingError where training diverges.

    `report` is called after every step of the first process, and with the bits of held-out images
    every `every` steps, where steps are slow every `PATIENCE` seconds, and at the end. Training
    ends early, with a checkpoint, when `stopped` says so. The same seed, images and number of steps
    give the same network on the same machine, with any number of stops and resumptions.
    """
    torch.manual_seed(seed)
    recipe = task.recipe
    network = task.network()
    optimizer = torch.optim.AdamW(
        network.groups(), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=recipe.decay
    )
    state = State(network, copy.deepcopy(network), optimizer)
    if keeping and keeping.resume:
        checkpoint.load(keeping.path, state, keeping.purpose)
    loss = group.wrap(_loss(task, network, group))
    began, kept_at = time.monotonic() - state.seconds, time.monotonic()
    used = time.process_time() - state.processor
    speed, told_at = 0.0, state.seconds
    while True:
        share = limit.share(state.step, time.monotonic() - began)
        share = group.agree(2.0 if stopped() else share)
        if share >= 1:
            break
        started = time.monotonic()
        _step(task, state, loss, share, group)
        state.seconds = time.monotonic() - began
        state.processor = time.process_time() - used
        now = task.pixels * group.size / (time.monotonic() - started)
        speed = now if speed == 0 else 0.95 * speed + 0.05 * now
        if not group.leads:
            continue
        done = limit.share(state.step, state.seconds)
        late = state.seconds - told_at > PATIENCE
        due = state.step % every == 0 or late or done >= 1
        bits = task.evaluate(state.average) if due else None
        facts = task.facts(state.average) if due else {}
        told_at = state.seconds if due else told_at
        times = (state.seconds, state.processor)
        report(Report(state.step, done, *times, state.running, speed, bits, facts))
        if keeping and time.monotonic() - kept_at > keeping.seconds:
            checkpoint.save(keeping.path, state, keeping.purpose)
            kept_at = time.monotonic()
    if keeping and group.leads:
        checkpoint.save(keeping.path, state, keeping.purpose)
    state.average.set_exact(True)
    return state.average


def _step(task: Task[N, B], state: State[N], loss: nn.Module, share: float, group: Group) -> None:
    """Take one step and move the average."""
    recipe = task.recipe
    for net in (state.network, state.average):
        net.set_exact(share >= recipe.float_share)
    state.network.anneal(state.step, _done(share, recipe.float_share))
    for part in state.optimizer.param_groups:
        part["lr"] = recipe.rate * part.get("pace", 1.0) * schedule(state.step, share)
    bits = loss(task.batch(state.step, group.rank, group.size))
    value = bits.item()
    if not math.isfinite(value):
        raise TrainingError(f"the loss is {value} at step {state.step}; a lower rate may help")
    state.optimizer.zero_grad()
    bits.backward()
    for part in state.optimizer.param_groups:
        nn.utils.clip_grad_norm_(part["params"], 1.0)
    state.optimizer.step()
    state.step += 1
    _follow(state, min(recipe.average, state.step / (state.step + 9)))
    state.running = value if state.step == 1 else 0.99 * state.running + 0.01 * value


def _done(share: float, of: float) -> float:
    """Return how much of the first part of the training, `of` it, is done, 0 to 1."""
    return 1.0 if share >= of else share / of


def schedule(step: int, share: float) -> float:
    """Return the rate as a share of the highest: warm-up, then half a cosine."""
    fall = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * share))
    return min(1.0, (step + 1) / WARM_UP) * fall


def _follow(state: State[Any], keep: float) -> None:
    """Keep weights within the grid's reach, and move the average towards them.

    What is no weight, as a permutation, the average takes over as it is.
    """
    limit = grid.WEIGHT_LIMIT / (1 << grid.WEIGHT_BITS)
    slow, fast = list(state.average.parameters()), list(state.network.parameters())
    with torch.no_grad():
        for parameter in fast:
            if parameter.ndim >= 2:
                parameter.clamp_(-limit, limit)
        for old, new in zip(slow, fast, strict=True):
            old.lerp_(new, 1 - keep)
        for old, new in zip(state.average.buffers(), state.network.buffers(), strict=True):
            old.copy_(new)


def _loss(task: Task[N, B], network: N, group: Group) -> nn.Module:
    """Return the loss, on CUDA compiled: elementwise parts are fused.

    Both operands of a product lie on grids of at most 11 bits, which TF32 holds.
    """
    loss = Loss(task, network)
    if group.device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        if importlib.util.find_spec("triton") is not None:
            loss.compile()
    return loss
