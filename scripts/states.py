"""Measure what states of the coder cost: `python scripts/states.py IMAGE... [-m MODEL]`.

For each number of states the bytes of all tiles' streams, decoded and compared, and the processor
seconds of one thread, both ways, the numbers taking turns on each image.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
from PIL import Image

from idfzip.codecs import flagship
from idfzip.container import header, models, tiling
from idfzip.flows import colour

NUMBERS = (1, 4, 8, 16, 32)


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-m", "--model", default="photo", help="A flagship of three channels.")
def main(images: tuple[Path, ...], model: str) -> None:
    """Print a line for each number of states."""
    codec = models.by_name(model).flagship
    size, seconds = dict.fromkeys(NUMBERS, 0), {n: [0.0, 0.0] for n in NUMBERS}
    warm = np.zeros((3, 2, 2), np.int32)
    flagship.decode(codec, flagship.encode(codec, [warm]), [(2, 2)])
    for path in images:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        height, width, _ = pixels.shape
        grid = tiling.grid(height, width, (tiling.TILE_ROWS, tiling.TILE_COLUMNS))
        boxes = header.boxes(height, width, grid)
        tiles = [colour.forward(pixels[y : y + h, x : x + w]) for y, x, h, w in boxes]
        for states in NUMBERS:
            start = time.process_time()
            streams = flagship.encode(codec, tiles, states=states)
            middle = time.process_time()
            found = flagship.decode(codec, streams, flagship.batch_sizes(tiles))
            for into, value in enumerate((middle - start, time.process_time() - middle)):
                seconds[states][into] += value
            pairs = zip(found, tiles, strict=True)
            if not all(a is not None and np.array_equal(a, b) for a, b in pairs):
                raise click.ClickException(f"{path}: {states} states: other pixels came back")
            size[states] += sum(map(len, streams))
    for states in NUMBERS:
        more = 100 * (size[states] / size[1] - 1)
        encode, decode = seconds[states]
        click.echo(
            f"{states:2} states: {size[states]} bytes, +{more:.3f}%, "
            f"encoded in {encode:.2f} s, decoded in {decode:.2f} s"
        )


if __name__ == "__main__":
    main()
