"""What exactness costs: bits of a model's network in floating point, on the grids, and of streams.

Usage: `python scripts/exactness.py IMAGE... [-m photo]`, with the extra `idfzip[train]`. Of every
pixel of an image, as one tile and without learning: bits per subpixel of the network with its
weights and activations as they are (in floating point), with all roundings, and of the stream that
the codec makes, which is decoded and compared. The weights are the released ones, on their grid;
what their rounding costs is seen in training, where it begins late.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch

from idfzip.codecs import flagship
from idfzip.codecs.flagship import STATIC, Flagship
from idfzip.container import models
from idfzip.flows import colour
from idfzip.images import reader
from idfzip.images.picture import Picture
from idfzip.training import batch, pixels, samples
from idfzip.training.freeze import thaw


def measure(model: Flagship, found: Picture) -> tuple[float, float, float]:
    """Return bits per subpixel in floating point, on the grids, and of the stream."""
    planes = colour.forward(found.pixels)
    held = samples.observe(model.design, planes, 1.0, np.random.default_rng(0))
    stored = batch.store(held, torch.device("cpu"))
    twin = thaw(model.network)
    exact = pixels.evaluate(twin, stored)
    twin.set_exact(False)
    loose = pixels.evaluate(twin, stored)
    (stream,) = flagship.encode(model, [planes])
    (back,) = flagship.decode(model, [stream], [planes.shape[1:]])
    if back is None or not np.array_equal(back, planes):
        raise click.ClickException("the stream came back changed")
    return loose, exact, 8 * len(stream) / planes.size


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-m", "--model", default="photo", show_default=True)
def main(images: tuple[Path, ...], model: str) -> None:
    """Print a table, an image a line."""
    codec = models.by_name(model).flagship
    still = replace(codec, learning=STATIC)
    click.echo("| image | network in floating point | on the grids | stream |")
    click.echo("| --- | --- | --- | --- |")
    for path in images:
        found = reader.read(path.read_bytes(), str(path))
        if not isinstance(found, Picture) or found.pixels.shape[2] != codec.channels:
            raise click.ClickException(f"{path}: an image of {codec.channels} channels expected")
        cells = " | ".join(f"{bits:.4f}" for bits in measure(still, found))
        click.echo(f"| {path.stem} | {cells} |")


if __name__ == "__main__":
    main()
