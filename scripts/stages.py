"""Measure where the time of decoding goes: microseconds a pixel of each stage, one thread.

Of several passes the quickest, since machines are shared.

Usage: `python scripts/stages.py IMAGE`. `scripts/reproduce.py` puts the same table into the README.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from idfzip.codecs import flagship
from idfzip.container import models
from idfzip.flows import autoregressive, colour
from idfzip.images import reader
from idfzip.images.picture import Picture, Pixels
from idfzip.integer import network

PASSES = 7


def load(path: Path) -> Pixels:
    """Return the pixels of an image file, uint8 (height, width, C)."""
    found = reader.read(path.read_bytes(), str(path))
    if not isinstance(found, Picture):
        raise click.ClickException(f"{path}: {found.reason}")
    return found.pixels


def timed(action: Callable[..., Any]) -> tuple[Any, float]:
    """Return what an action returns, and its seconds."""
    start = time.perf_counter()
    result = action()
    return result, time.perf_counter() - start


def stages(pixels: Pixels) -> dict[str, float]:
    """Return the microseconds a pixel of each stage, of the quickest of several passes."""
    return min((once(pixels) for _ in range(PASSES)), key=lambda spent: spent["all"])


def once(pixels: Pixels) -> dict[str, float]:
    """Return the microseconds a pixel of each stage of decoding one tile, one thread.

    The stages run apart, on the same tile, with the pixels known; the last row is what decoding
    takes in all, in which the search for each value is the main part of the rest.
    """
    model = models.usual(pixels.shape[2]).flagship
    planes = colour.forward(np.ascontiguousarray(pixels[:256, :1024]))
    size = (planes.shape[1], planes.shape[2])
    streams = flagship.encode(model, [planes])
    _, whole = timed(lambda: flagship.decode(model, streams, [size]))
    batch = autoregressive.begin(model.design, [size], model.channels)
    seen = autoregressive.record(len(batch.inputs), model.channels)
    residuals = np.zeros_like(planes)
    weights, buffers = model.network.weights, model.network.buffers(len(batch.inputs))
    errors = np.zeros((len(batch.inputs), network.SEEN_INPUTS * model.channels), np.float32)
    spent = dict.fromkeys(("learn, solve", "learn, solve, gather", "trunk", "heads"), 0.0)
    z = np.zeros((model.channels, size[0]))
    for inputs, key in ((False, "learn, solve"), (True, "learn, solve, gather")):
        batch.sums.row[:], batch.sums.above[:] = 0, 0
        for t in range(autoregressive.steps([size])):
            count, seconds = timed(
                lambda t=t, i=inputs: autoregressive.advance(model.design, batch, t, 0, i)
            )
            spent[key] += seconds
            autoregressive.exchange(batch, 0, t, planes, residuals, False, z, seen, 0)
            if inputs:
                _, seconds = timed(
                    lambda n=count: network.run_trunk(batch.inputs, 0, n, weights, buffers)
                )
                spent["trunk"] += seconds
                for c in range(model.channels):
                    _, seconds = timed(
                        lambda c=c, n=count: network.run_head(c, 0, n, errors, weights, buffers)
                    )
                    spent["heads"] += seconds
    solving = spent.pop("learn, solve")
    spent = {
        "learn, solve": solving,
        "gather": spent.pop("learn, solve, gather") - solving,
        **spent,
    }
    spent["tables, search, coder, rest"] = whole - sum(spent.values())
    spent["all"] = whole
    return {key: value * 1e6 / (size[0] * size[1]) for key, value in spent.items()}


def markdown(spent: dict[str, float]) -> str:
    """Return the table."""
    lines = ["| stage of decoding | us a pixel, one thread |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {key} | {value:.2f} |" for key, value in spent.items())])


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def main(path: Path) -> None:
    """Print the stages of decoding the first tile of an image by the released model."""
    pixels = load(path)
    stages(pixels[:64, :64])  # loads or compiles the kernels
    click.echo(markdown(stages(pixels)))


if __name__ == "__main__":
    main()
