"""Estimators of gradients side by side: one model, one data set, equal time.

The model: grey images of 32 x 32 pixels, an encoder of one hidden layer, 64 latents of 8
categories, a decoder of one hidden layer whose pixels are discretized logistics; a learned prior
of the latents, whose divergence is exact, so that only the cost of the pixels is estimated. The
bound is that of the evidence, in bits a pixel, of drawn latents of images that were not trained
on; vector quantisation chooses its latents, and its bound has no entropy to gain from.

Every estimator trains the same starts, one for each seed, for the same seconds of processor time.
Variance and bias are of the gradient with respect to the scores of 8 images, all at the same
weights (those of NVIL after its time, with the first seed): variances of all scores, summed, over
the squared length of the true gradient, which is the mean of 100,000 draws of REINFORCE whose
baseline is each image's mean cost; the cosine is that of each mean to it. Writes docs/estimators.md
and .png.

Usage: `python scripts/estimators.py MOSAIC --test MOSAIC [--seconds 150] [--seeds 3]`, with the
extra `idfzip[train]`; the mosaics are grey or colour images of 32 x 32 squares, made grey.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import torch
from latent_model import KINDS, LATENTS, PIXELS, SIDE, Model
from matplotlib import pyplot as plt
from torch import Generator, Tensor, nn

from idfzip.training import folder
from idfzip.training.estimators import (
    COOL,
    WARM,
    Estimator,
    GumbelSoftmax,
    Quantised,
    Rebar,
    Reinforce,
    Signal,
    StraightThrough,
)
from idfzip.training.folder import Options
from idfzip.training.quantiser import TwinCodebook

DOCS = Path(__file__).parent.parent / "docs"
BATCH, RATE = 64, 1e-3
DRAWS, TRUE, AT_ONCE = 2000, 100_000, 50
"""Draws of a gradient, of the true one, and those made at once."""

LOG2 = 0.6931471805599453

Curve = list[tuple[float, float]]
"""Seconds of processor time, and the bound then in bits a pixel."""


def baseline() -> nn.Module:
    """Return what guesses a cost from an image."""
    return nn.Sequential(nn.Linear(PIXELS, 100), nn.LeakyReLU(0.1), nn.Linear(100, 1))


ESTIMATORS: dict[str, Callable[[], Estimator]] = {
    "straight-through": StraightThrough,
    "Gumbel-softmax": GumbelSoftmax,
    "Gumbel-softmax, hard": lambda: GumbelSoftmax(hard=True),
    "REINFORCE": lambda: Reinforce(Signal()),
    "REINFORCE, constant": lambda: Reinforce(Signal(constant=True)),
    "NVIL": lambda: Reinforce(Signal(True, baseline(), normalised=True)),
    "REBAR": Rebar,
    "vector quantisation": lambda: Quantised(TwinCodebook(KINDS, KINDS, 0)),
}


def read(path: Path) -> Tensor:
    """Return the squares of a mosaic, grey, in [0, 1], (N, PIXELS)."""
    sources = folder.read([path], options=Options(SIDE, True, True)).sources
    return torch.stack([torch.from_numpy(s.read().copy()).flatten() for s in sources]) / 255


def nearest(model: Model, estimator: Quantised, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return entries (N, LATENTS, KINDS) and their indices (N, LATENTS)."""
    plane = model.scores(images).transpose(1, 2)[..., None]
    entries, index = estimator.codebook(plane)
    return entries[..., 0].transpose(1, 2), index[..., 0]


def loss(model: Model, estimator: Estimator, images: Tensor, random: Generator) -> Tensor:
    """Return what training makes small, in nats, a scalar."""
    scores = model.scores(images)
    found = estimator(scores, lambda latents: model.nats(images, latents), images - 0.5, random)
    if isinstance(estimator, Quantised):
        rest = model.chosen(nearest(model, estimator, images)[1])
    else:
        signal = estimator.signal if isinstance(estimator, Reinforce) else Signal()
        rest = model.divergence(scores, signal.scale)
    total: Tensor = (found + rest).mean()
    return total


@torch.no_grad()
def bound(model: Model, estimator: Estimator, images: Tensor) -> float:
    """Return the bound of images in bits a pixel, of latents drawn (or chosen) once."""
    if isinstance(estimator, Quantised):
        entries, index = nearest(model, estimator, images)
        nats = model.nats(images, entries) + model.chosen(index)
    else:
        draw = Reinforce(Signal()).eval()
        scores = model.scores(images)
        random = torch.Generator().manual_seed(0)
        nats = draw(scores, lambda latents: model.nats(images, latents), images, random)
        nats = nats + model.divergence(scores, torch.ones(()))
    return float(nats.mean()) / LOG2 / PIXELS


def train(
    model: Model, estimator: Estimator, images: Tensor, test: Tensor, seconds: float, seed: int
) -> tuple[Curve, int]:
    """Train for so many seconds of processor time; return (seconds, bound) and the steps."""
    both = [*model.parameters(), *estimator.parameters()]
    optimizer = torch.optim.Adam(both, RATE)
    random = torch.Generator().manual_seed(seed)
    spent, steps, curve = 0.0, 0, [(0.0, bound(model, estimator, test))]
    while spent < seconds:
        start = time.process_time()
        estimator.anneal(min(1.0, 2 * spent / seconds))
        rows = torch.randint(len(images), (BATCH,), generator=random)
        value = loss(model, estimator, images[rows], random)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        spent, steps = spent + time.process_time() - start, steps + 1
        if spent > curve[-1][0] + seconds / 20 or spent >= seconds:
            curve.append((spent, bound(model, estimator, test)))
    return curve, steps


class Told(nn.Module):
    """A baseline that is what it was told, for each of a few images in turn."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values)

    def forward(self, seen: Tensor) -> Tensor:
        """Return the values, over and over, as many as there are images."""
        values = self.get_buffer("values")
        return values.repeat(len(seen) // len(values))


def gradients(model: Model, estimator: Estimator, images: Tensor, draws: int) -> tuple[Tensor, ...]:
    """Return mean and variance of the gradient of the scores, over draws of each image."""
    random = torch.Generator().manual_seed(2)
    scores = model.scores(images).detach()
    total, squares = torch.zeros(scores.shape).double(), torch.zeros(scores.shape).double()
    seen = images.repeat(AT_ONCE, 1)
    for _ in range(draws // AT_ONCE):
        leaf = scores.repeat(AT_ONCE, 1, 1).requires_grad_()
        found = estimator(leaf, lambda latents: model.nats(seen, latents), seen - 0.5, random)
        (one,) = torch.autograd.grad(found.sum(), leaf)
        each = one.double().reshape(AT_ONCE, *scores.shape)
        total += each.sum(0)
        squares += each.square().sum(0)
    mean = total / draws
    return mean, (squares / draws - mean.square()) * draws / (draws - 1)


@torch.no_grad()
def expected(model: Model, images: Tensor) -> Tensor:
    """Return the mean cost of each image's pixels, over draws of its latents."""
    seen = images.repeat(AT_ONCE, 1)
    random = torch.Generator().manual_seed(3)
    draw = Reinforce(Signal()).eval()
    costs: Tensor = draw(model.scores(seen), lambda some: model.nats(seen, some), seen, random)
    return costs.reshape(AT_ONCE, -1).mean(0)


def moments(model: Model, nvil: Estimator, images: Tensor) -> dict[str, tuple[float, float]]:
    """Return relative variance, and cosine to the true gradient, of all but quantisation."""
    costs = expected(model, images)
    truth, noise = gradients(model, Reinforce(Signal(baseline=Told(costs))).eval(), images, TRUE)
    length = float(truth.square().sum())
    print(f"the true gradient's own noise: {float(noise.sum()) / TRUE / length:.2g}")
    constant = Signal(constant=True)
    constant.mean.fill_(float(costs.mean()))
    every = {
        "straight-through": StraightThrough(),
        "Gumbel-softmax at 1": GumbelSoftmax(WARM),
        "Gumbel-softmax": GumbelSoftmax(COOL),
        "Gumbel-softmax, hard": GumbelSoftmax(COOL, hard=True),
        "REINFORCE": Reinforce(Signal()),
        "REINFORCE, constant": Reinforce(constant),
        "NVIL": nvil,
        "REBAR": Rebar(),
    }
    found = {}
    for name, estimator in every.items():
        mean, variance = gradients(model, estimator.eval(), images, DRAWS)
        cosine = float((mean * truth).sum()) / (float(mean.norm()) * length**0.5)
        scale = float((mean * truth).sum()) / length
        found[name] = (float(variance.sum()) / length / scale**2, cosine)
    return found


def write(
    runs: dict[str, list[tuple[Curve, int]]],
    found: dict[str, tuple[float, float]],
    seconds: float,
) -> None:
    """Write the table and the plot, of each estimator's runs and moments."""
    lines = [
        "# Estimators of gradients",
        "",
        f"By `scripts/estimators.py`, which says what is what: grey CIFAR-10, {LATENTS} latents of",
        f"{KINDS} categories, {seconds:.0f} seconds of processor time each, with each of",
        f"{len(next(iter(runs.values())))} seeds. The cooled Gumbel-softmax is at {COOL:g}.",
        "",
        "| estimator | variance | cosine to the true gradient | bits a pixel | steps |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in [*runs, *(set(found) - set(runs))]:
        variance, cosine = ("", "") if name not in found else _moments(*found[name])
        bounds, steps = ("", "") if name not in runs else _bounds(runs[name])
        lines.append(f"| {name} | {variance} | {cosine} | {bounds} | {steps} |")
    lines += [
        "",
        "Variance is of one draw for one image, over the squared length of the true gradient, at",
        "the scale of the true one (NVIL divides its signal; the relaxed ones are too short or too",
        f"long); the cosine is of the mean of {DRAWS} draws, so that of a noisy estimator without",
        "bias is below 1 as well. Vector quantisation has neither: nothing is drawn, and the true",
        "gradient of a choice is 0. The bound: mean over seeds, least and most; less is better.",
        "",
        "![Bound against time, and variances](estimators.png)",
    ]
    (DOCS / "estimators.md").write_text("\n".join(lines) + "\n")
    mpl.use("Agg")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    for name, mine in runs.items():
        (line,) = left.plot(*zip(*mine[0][0][1:], strict=True), label=name, lw=1.2)
        for curve, _ in mine[1:]:
            left.plot(*zip(*curve[1:], strict=True), color=line.get_color(), lw=0.5)
    left.set_xlabel("seconds of processor time")
    left.set_ylabel("bound, bits a pixel")
    left.legend(fontsize=8)
    names = list(found)[::-1]
    right.barh(names, [found[name][0] for name in names])
    right.set_xscale("log")
    right.set_xlabel("variance over squared length of the true gradient")
    right.tick_params(axis="y", labelsize=8)
    figure.tight_layout()
    figure.savefig(DOCS / "estimators.png", dpi=90)


def _moments(variance: float, cosine: float) -> tuple[str, str]:
    return f"{variance:.3g}", f"{cosine:.3f}"


def _bounds(runs: list[tuple[Curve, int]]) -> tuple[str, str]:
    last = [curve[-1][1] for curve, _ in runs]
    mean = sum(last) / len(last)
    steps = sum(steps for _, steps in runs) / len(runs)
    return f"{mean:.3f} ({min(last):.3f} to {max(last):.3f})", f"{steps:.0f}"


def main() -> None:
    """Train all, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mosaic", type=Path)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, test = read(options.mosaic), read(options.test)
    runs: dict[str, list[tuple[Curve, int]]] = {name: [] for name in ESTIMATORS}
    weighed: tuple[Model, Estimator] | None = None
    for seed in range(options.seeds):
        torch.manual_seed(seed)
        start = Model()
        for name, make in ESTIMATORS.items():
            torch.manual_seed(seed)
            model, estimator = copy.deepcopy(start), make()
            curve, steps = train(model, estimator, images, test, options.seconds, seed)
            runs[name].append((curve, steps))
            print(f"{seed} {name}: {curve[-1][1]:.4f} bits a pixel, {steps} steps", flush=True)
            if seed == 0 and name == "NVIL":
                weighed = model, estimator
    if weighed is None:
        parser.error("--seeds: at least 1 expected")
    found = moments(*weighed, test[:8])
    for name, (variance, cosine) in found.items():
        print(f"{name}: variance {variance:.3g}, cosine {cosine:.3f}", flush=True)
    write(runs, found, options.seconds)


if __name__ == "__main__":
    main()
