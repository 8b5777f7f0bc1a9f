"""Train a model of the package on folders of images; needs the extra `idfzip[torch]`.

Usage: `python scripts/train_release.py photo FOLDER... -o models/photo.idfm --minutes 50`
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from PIL import Image

from idfzip.container import model_file
from idfzip.errors import TrainingError
from idfzip.flows import colour
from idfzip.flows.autoregressive import Planes
from idfzip.training import loop, samples
from idfzip.training.freeze import freeze
from idfzip.training.recipe import RECIPES, Recipe

SUFFIXES = {".png", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".pgm"}
VALIDATION_SHARE = 0.006


def images(folders: tuple[Path, ...], recipe: Recipe, mirrored: bool) -> Iterator[Planes]:
    """Yield the planes of every image in the folders, and those of its mirror image if asked."""
    found = [f for folder in folders for f in sorted(folder.rglob("*")) if f.suffix in SUFFIXES]
    if not found:
        raise TrainingError(f"no image in {', '.join(map(str, folders))}")
    for file in found:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB" if recipe.channels == 3 else "L"))
        pixels = pixels.reshape(*pixels.shape[:2], recipe.channels)
        yield colour.forward(pixels)
        if mirrored:
            yield colour.forward(np.ascontiguousarray(pixels[:, ::-1]))


@click.command()
@click.argument("recipe", type=click.Choice(sorted(RECIPES)))
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--validation", multiple=True, type=click.Path(path_type=Path))
@click.option("--minutes", type=float, default=0.0)
@click.option("--steps", type=int, default=0)
@click.option("--seed", type=int, default=0)
@click.option("--card", type=click.Path(path_type=Path), help="Text that the model carries.")
def main(
    recipe: str,
    folders: tuple[Path, ...],
    output: Path,
    validation: tuple[Path, ...],
    minutes: float,
    steps: int,
    seed: int,
    card: Path | None,
) -> None:
    """Train RECIPE on the images in FOLDERS and write the model."""
    if (minutes > 0) == (steps > 0):
        raise click.UsageError("give --minutes or --steps")
    chosen = RECIPES[recipe]
    training = samples.gather(
        chosen.design, images(folders, chosen, chosen.mirrored), chosen.sample_share, seed
    )
    sets = {
        folder.name: samples.gather(
            chosen.design, images((folder,), chosen, False), VALIDATION_SHARE, seed
        )
        for folder in validation
    }
    click.echo(f"{len(training)} pixels of {len(folders)} folders")

    def report(state: loop.Report) -> None:
        bits = ", ".join(f"{name} {value:.4f}" for name, value in state.validation.items())
        click.echo(f"{state.step} {state.seconds:.0f} s: training {state.training:.4f}, {bits}")

    twin = loop.fit(chosen, training, loop.Limit(steps, minutes), sets, report, seed=seed)
    text = card.read_text() if card else ""
    output.write_bytes(model_file.dump(freeze(chosen.design, twin), chosen.name, text))
    click.echo(f"{output}: {model_file.load(output.read_bytes(), str(output)).identity}")


if __name__ == "__main__":
    main()
