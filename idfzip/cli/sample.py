"""`idfzip sample`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from idfzip.cli import files, talk, work
from idfzip.container import models, noise
from idfzip.images import writer
from idfzip.images.picture import Picture

_MOST = 1024
"""Most rows and columns of an image, and most images."""


def _size(context: click.Context, option: click.Parameter, value: str) -> tuple[int, int]:
    """Return height and width of HxW."""
    height, _, width = value.partition("x")
    if not re.fullmatch("[0-9]{1,9}x[0-9]{1,9}", value):
        raise click.BadParameter(f"{value}: HxW expected, as 64x64")
    if not (0 < int(height) <= _MOST and 0 < int(width) <= _MOST):
        raise click.BadParameter(f"{value}: sides of 1 to {_MOST} expected")
    return int(height), int(width)


@click.command()
@work.model_option
@click.option("-n", "--number", type=click.IntRange(1, _MOST), default=16, help="Images.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed.")
@click.option("--size", metavar="HxW", default="64x64", callback=_size, help="Size (64x64).")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("samples.png"),
    help="PNG (samples.png).",
)
@work.threads_option
@work.device_option
@work.batch_option
@work.force_option
@work.quiet_option
def sample(
    model: str | None,
    number: int,
    seed: int,
    size: tuple[int, int],
    output: Path,
    threads: int,
    device: str,
    max_batch: int | None,
    force: bool,
    quiet: bool,
) -> None:
    """Draw images from a model, by decoding random bits, into a grid.

    They show what a model has learned: what it codes in few bits looks like this. The same seed
    gives the same pictures on every machine.
    """
    files.check_free(output, force)
    found = models.usual(3) if model is None else models.by_name(model)
    effort = work.effort(threads, device, max_batch, quiet)
    work.warm_up([found], quiet, effort.device)
    grid = noise.grid(noise.images(found, number, seed, size, effort))
    files.write(output, writer.write(Picture(grid)), force)
    talk.say(f"{output}: {number} images of model {found.name}, seed {seed}", quiet)
