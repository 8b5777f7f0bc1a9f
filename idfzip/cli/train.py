"""`idfzip train`."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from idfzip.cli import files, work
from idfzip.errors import TrainingError

if TYPE_CHECKING:
    from idfzip.container.model_file import Model
    from idfzip.training.folder import Found
    from idfzip.training.loop import Report

DEFAULT_MINUTES = 10.0
FINE_TUNING_RATE = 0.25
"""Share of the recipe's rate when training goes on from a model."""

MAX_SAMPLES = 12_000_000
"""Pixels that are kept for training, so that they take at most about 2.5 GB."""


@click.command()
@click.argument(
    "folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Model file.")
@click.option("--name", help="Name of the model (default: that of the file).")
@click.option(
    "--from",
    "origin",
    metavar="MODEL",
    help="Model to go on from, or 'scratch' (default: released).",
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Time (default: 10).")
@click.option("--steps", type=click.IntRange(1), help="Steps, instead of a time.")
@click.option("--val", "validation", type=click.Path(path_type=Path), help="Folder for validation.")
@click.option("--seed", default=0, help="Seed of all that is random.")
@click.option("--json", "as_json", is_flag=True, help="Print each report as a line of JSON.")
@work.threads_option
@work.force_option
@work.quiet_option
def train(
    folders: tuple[Path, ...],
    output: Path,
    name: str | None,
    origin: str | None,
    minutes: float | None,
    steps: int | None,
    validation: Path | None,
    seed: int,
    as_json: bool,
    threads: int,
    force: bool,
    quiet: bool,
) -> None:
    """Train a model on the images in FOLDERS, going on from the released one.

    Lossless image files and .npy arrays are used, others are counted and left out. A tenth of the
    images is held out for validation. Keep the model: files that it made need it.
    """
    if minutes and steps:
        raise click.UsageError("give --minutes or --steps, not both")
    files.check_free(output, force)
    if importlib.util.find_spec("torch") is None:
        raise TrainingError("training needs torch: pip install 'idfzip[torch]'")
    import torch

    from idfzip.container import model_file
    from idfzip.training import folder, loop, samples
    from idfzip.training.freeze import freeze, thaw
    from idfzip.training.recipe import RECIPES

    torch.set_num_threads(work.effort(threads).threads)
    found = folder.read(folders)
    channels = found.pixels[0].shape[2]
    start = None if origin == "scratch" else _origin(origin, channels)
    recipe = next(r for r in RECIPES.values() if r.channels == channels)
    design = start.flagship.design if start else recipe.design
    if start:
        recipe = dataclasses.replace(
            recipe, rate=recipe.rate * FINE_TUNING_RATE, float_share=0.0, average=0.998
        )
    _say_found(found, quiet)
    if validation:
        kept, held = found.pixels, folder.read([validation], channels).pixels
    else:
        kept, held = folder.split(found.pixels)
    size = sum(p.shape[0] * p.shape[1] for p in kept) * (1 + recipe.mirrored)
    share = min(1.0, MAX_SAMPLES / size)
    work.say(f"gathering samples of {size / 1e6:.1f} MP ({100 * share:.0f}% of the pixels)", quiet)
    training = samples.gather(design, folder.planes(kept, recipe.mirrored), share, seed)
    many = sum(p.shape[0] * p.shape[1] for p in held)
    checked = samples.gather(design, folder.planes(held, False), min(1.0, 200_000 / many), seed)
    twin = thaw(start.flagship.network) if start else None
    if start and twin is not None:
        work.say(f"before: {loop.evaluate(twin, checked):.4f} bits per subpixel held out", quiet)
    limit = loop.Limit(steps) if steps else loop.Limit(0, minutes or DEFAULT_MINUTES)

    def report(state: Report) -> None:
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(state)))
        else:
            work.say(
                f"step {state.step}, {state.seconds:.0f} s: training {state.training:.4f}, "
                f"held out {state.validation['held out']:.4f} bits per subpixel",
                quiet,
            )

    best = loop.fit(
        recipe, training, limit, {"held out": checked}, report, every=250, seed=seed, start=twin
    )
    label = name or output.stem
    data = model_file.dump(freeze(design, best), label, _card(found, start))
    model = model_file.load(data, str(output))
    files.write(output, data, force)
    work.say(f"{output}: model {label} ({model.short.hex()}), {len(data)} bytes", quiet)


def _origin(name: str | None, channels: int) -> Model:
    from idfzip.container import models

    model = models.by_name(name) if name else models.released(channels)
    if model.flagship.channels != channels:
        raise TrainingError(
            f"model {model.name} codes {model.flagship.channels} channels, the images have "
            f"{channels}"
        )
    return model


def _say_found(found: Found, quiet: bool) -> None:
    size = sum(p.shape[0] * p.shape[1] for p in found.pixels) / 1e6
    work.say(f"{len(found.pixels)} images, {size:.1f} MP", quiet)
    for reason, count in sorted(found.skipped.items(), key=lambda item: -item[1])[:10]:
        work.say(f"left out: {count} ({reason})", quiet)


def _card(found: Found, start: Model | None) -> str:
    origin = f"from {start.name} ({start.identity})" if start else "from scratch"
    return f"Trained {origin} on {len(found.pixels)} images by `idfzip train`.\n"
