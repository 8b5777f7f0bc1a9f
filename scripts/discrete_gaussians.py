"""The first experiment of Tran et al. 2019 (arXiv:1905.10347): a mixture of Gaussians in Z_91^2.

Eight Gaussians on a circle, discretised to 91 x 91 states. The probabilities of all states are
known, so entropy and negative log-likelihoods are exact sums over them, in nats as in the paper.
Writes docs/discrete-gaussians.png and .json.

Usage: `python scripts/discrete_gaussians.py [--steps 400]`
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import torch
from matplotlib import pyplot as plt

from idfzip.codecs import discrete as codec
from idfzip.flows import modular
from idfzip.training import discrete
from idfzip.training.discrete import Shape, TwinFlow

STATES = 91
DOCS = Path(__file__).parent.parent / "docs"
FLOWS = (0, 1, 2)
STARTS = 3
"""Trainings from different weights, of which the likeliest is taken: some find nothing."""

SAMPLES = 200_000
CODED = 2000
"""Samples that are coded with the frozen flow and decoded again."""

Grid = npt.NDArray[np.float64]


def mixture() -> Grid:
    """Return the probabilities of all states, (91, 91): eight Gaussians on a circle of radius 2.

    The circle's centre is that of the states; a step is 1/15, the deviation 1/6 of a unit.
    """
    line = (np.arange(STATES) - STATES // 2) / 15
    angles = np.arange(8) * np.pi / 4
    density = np.zeros((STATES, STATES))
    for x, y in zip(2 * np.cos(angles), 2 * np.sin(angles), strict=True):
        distance = (line[:, None] - x) ** 2 + (line[None] - y) ** 2
        density += np.exp(-distance * 18)
    return np.asarray(density / density.sum())


def layers(count: int) -> tuple[tuple[tuple[int, ...], int | None], ...]:
    """Return so many autoregressive layers, from left to right and back in turn."""
    return tuple(((-1 if i % 2 == 0 else 1,), None) for i in range(count))


def nats(model: codec.Discrete, states: npt.NDArray[np.int64], probability: Grid) -> float:
    """Return the negative log-likelihood, the mean over all states by their probability."""
    latents = modular.forward(model.layers, states)
    table = model.base.table / (1 << 24)
    logs = np.log(table[0, 0, latents[:, 0]]) + np.log(table[1, 0, latents[:, 1]])
    return float(-(probability.ravel() * logs).sum())


def trained(count: int, samples: npt.NDArray[np.int64], steps: int, seed: int) -> codec.Discrete:
    """Return a flow of so many layers, frozen, with the base that fits its latents."""
    shape = Shape(STATES, 2, layers(count), hidden=128, scales=False)
    found = []
    for start in range(STARTS if count else 1):
        torch.manual_seed(seed + start)
        flow = TwinFlow(shape)
        if count:
            discrete.fit(flow, torch.as_tensor(samples), steps, 512, 1e-2, seed)
        frozen = flow.freeze()
        base = discrete.counted_base(modular.forward(frozen, samples), shape)
        found.append(codec.Discrete(frozen, base))
    return min(found, key=lambda model: model.bits(samples))


def density(model: codec.Discrete, states: npt.NDArray[np.int64]) -> Grid:
    """Return the model's probabilities of all states, (91, 91)."""
    latents = modular.forward(model.layers, states)
    table = model.base.table / (1 << 24)
    found = table[0, 0, latents[:, 0]] * table[1, 0, latents[:, 1]]
    return np.asarray(found.reshape(STATES, STATES))


def main() -> None:
    """Train, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    truth = mixture()
    states = np.stack(np.divmod(np.arange(STATES**2), STATES), 1).astype(np.int64)
    samples = states[rng.choice(STATES**2, SAMPLES, p=truth.ravel())]
    entropy = float(-(truth[truth > 0] * np.log(truth[truth > 0])).sum())
    results = {"entropy of the data": entropy}
    pictures = [("the data", truth)]
    for count in FLOWS:
        model = trained(count, samples, options.steps, options.seed)
        name = {0: "factorised base", 1: "1 flow"}.get(count, f"{count} flows")
        results[name] = nats(model, states, truth)
        stream = codec.encode(model, samples[:CODED])
        if not np.array_equal(codec.decode(model, stream, CODED, 2), samples[:CODED]):
            raise RuntimeError("the samples did not come back")
        results[f"{name}, coded"] = 8 * len(stream) / CODED * float(np.log(2))
        pictures.append((f"{name}: {results[name]:.2f} nats", density(model, states)))
        print(name, f"{results[name]:.4f} nats,", f"coded {results[name + ', coded']:.4f}")
    print(f"entropy {entropy:.4f}")
    (DOCS / "discrete-gaussians.json").write_text(json.dumps(results, indent=1) + "\n")
    mpl.use("Agg")
    figure, axes = plt.subplots(1, len(pictures), figsize=(3 * len(pictures), 3.3))
    for axis, (title, values) in zip(axes, pictures, strict=True):
        axis.imshow(np.sqrt(values.T), origin="lower", cmap="magma")
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(DOCS / "discrete-gaussians.png", dpi=80)


if __name__ == "__main__":
    main()
