"""Ablation of the bipartite codec: what couplings, levels, permutations and mixtures are worth.

Every variant trains from scratch on one thread for the same processor time, on the CIFAR-10 images
of one folder or file, and is measured on those of another, in bits per subpixel by its own code
length on its grids. Writes curves (PNG) and a table (Markdown).

Usage: python scripts/ablation.py TRAIN TEST --seconds 60 -o docs/ablation
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import torch

from idfzip.training import folder, loop, recipe_file
from idfzip.training.crops import Flows
from idfzip.training.folder import Options, Source
from idfzip.training.group import Group
from idfzip.training.loop import Limit, Report
from idfzip.training.recipe import IdfRecipe

SIZES: dict[str, Any] = {"depth": 2, "growth": 24, "couplings": 4, "levels": 3, "mixture": 5}
"""Smaller than the recipe `idf-small`, so that a minute is many steps."""

VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "2 couplings": {"couplings": 2},
    "8 couplings": {"couplings": 8},
    "1 level": {"levels": 1},
    "2 levels": {"levels": 2},
    "mixture of 1": {"mixture": 1},
    "permutations random": {"permutation": "random"},
    "permutations reversed": {"permutation": "reversed"},
    "permutations learned": {"permutation": "learned"},
    "couplings not scaled": {"rezero": False},
}
"""What differs from the recipe: permutations inverted, couplings scaled, as in IDF++."""

ALONE = Group(0, 1, torch.device("cpu"))


def measure(
    changes: dict[str, Any], training: list[Source], test: list[Source], seconds: float
) -> dict[str, Any]:
    """Return steps, parameters, bits on the test images, and the curve of one variant."""
    base = recipe_file.read("idf-small", 3)
    if not isinstance(base, IdfRecipe):
        raise TypeError("idf-small is no recipe of the bipartite codec")
    recipe = dataclasses.replace(base, **{**SIZES, **changes})
    task = Flows(recipe, training, test, 0, ALONE.device)
    loop.fit(task, Limit(3), ALONE, lambda report: None, every=1 << 30)  # warm up
    began = time.process_time()
    loop.fit(task, Limit(12), ALONE, lambda report: None, every=1 << 30)
    step = (time.process_time() - began) / 12
    steps = max(20, round(seconds / step))
    curve: list[tuple[float, float]] = []

    def note(report: Report) -> None:
        if report.step % max(1, steps // 20) == 0:
            curve.append((report.step * step, report.training))

    trained = loop.fit(task, Limit(steps), ALONE, note, every=1 << 30)
    parameters = sum(p.numel() for p in trained.parameters())
    return {
        "steps": steps,
        "parameters": parameters,
        "bits": task.evaluate(trained),
        "seconds": steps * step,
        "curve": curve,
    }


def draw(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the curves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for name, row in found.items():
        axes.plot(*zip(*row["curve"], strict=True), label=f"{name}: {row['bits']:.3f}")
    axes.set_xlabel("processor seconds of training")
    axes.set_ylabel("bits per subpixel while training, smoothed")
    axes.set_ylim(top=7)
    axes.legend(title="on test images, at the end", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def table(found: dict[str, dict[str, Any]]) -> str:
    """Return the rows in Markdown."""
    lines = ["| variant | parameters | steps | bits per subpixel |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {row['parameters']:,} | {row['steps']} | {row['bits']:.3f} |"
        for name, row in found.items()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run all variants, or those named, and write what was found after each.

    What is in OUTPUT.json already is kept.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cut = Options(tile=32)
    training = folder.read([options.train], options=cut).sources
    test = folder.read([options.test], options=cut).sources
    kept = options.output.with_suffix(".json")
    found: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else {}
    for name in options.only:
        found[name] = measure(VARIANTS[name], training, test, options.seconds)
        print(name, {k: v for k, v in found[name].items() if k != "curve"}, flush=True)
        kept.write_text(json.dumps(found))
    options.output.with_suffix(".md").write_text(table(found))
    draw(found, options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
