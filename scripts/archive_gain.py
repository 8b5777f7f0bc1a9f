"""What an archive saves on a set of small images: single files, blocks, and the ideal code length.

Usage: `python scripts/archive_gain.py FOLDER|FILE... [-m MODEL] [--tile SIDE] [--count N]`; `--tile`
cuts mosaics. Images have no metadata and names of eight characters. All is decoded and
compared.
"""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import click
import numpy as np

import idfzip
from idfzip.bench import sample
from idfzip.codecs import block
from idfzip.container import idfz, models, sections
from idfzip.container.archive import Archive, decoded
from idfzip.container.tiling import Effort
from idfzip.flows import colour
from idfzip.images.picture import Picture


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-m", "--model", "name", default="photo")
@click.option("--tile", default=0)
@click.option("--count", default=0, help="Take so many images (0: all).")
def main(paths: tuple[Path, ...], name: str, tile: int, count: int) -> None:
    """Print the table."""
    read = [sample.read(file, tile) for file in sample.files(paths)]
    found = itertools.chain.from_iterable(part for part in read if isinstance(part, list))
    images = [one.pixels for one in itertools.islice(found, count or None)]
    values = sum(image.size for image in images)
    model = models.by_name(name)

    def show(what: str, size: float, note: str = "") -> None:
        each = size / len(images)
        print(f"{what:34} {8 * size / values:.4f} bits a subpixel, {each:.1f} bytes each{note}")

    print(f"{len(images)} images, model {name}")
    pictures = [Picture(np.ascontiguousarray(image, np.uint8)) for image in images]
    show("single files", sum(len(idfz.compress(p, model, Effort())) for p in pictures))
    data = idfzip.pack({f"{i:04}.png": p.pixels for i, p in enumerate(pictures)}, model=name)
    show("archive", len(data))
    box = Archive(io.BytesIO(data))
    for member, picture in zip(decoded(box, model, Effort()), pictures, strict=True):
        if not isinstance(member.found, Picture):
            raise SystemExit(f"{member.entry.name}: {member.found}")
        np.testing.assert_array_equal(member.found.pixels, picture.pixels)
    head = io.BytesIO(data)
    sections.read_head(head)
    rows = box.index.blocks
    show("its names and index", head.tell())
    show("its blocks", sum(row.length for row in rows), f"; rates {[row.rate for row in rows]}")
    groups, at = [], 0
    for row in rows:
        groups.append(pictures[at : at + len(row.members)])
        at += len(row.members)
    ideals = {rate: 0.0 for rate in sorted({0, model.flagship.learning.rate})}
    chosen, anew = 0.0, 0.0
    for row, group in zip(rows, groups, strict=True):
        tiles = [colour.forward(picture.pixels) for picture in group]
        for rate in ideals:
            learning = model.flagship.learning._replace(rate=rate)
            codec = type(model.flagship)(
                model.flagship.design, model.flagship.network, model.flagship.prior, learning
            )
            bits = sum(block.encode(codec, tiles, row.lockstep).bits) / 8
            ideals[rate] += bits
            chosen += bits if rate == row.rate else 0.0
        anew += sum(block.encode(model.flagship, [t], 1).bits[0] for t in tiles) / 8
    show("ideal, as the blocks were coded", chosen)
    for rate, size in ideals.items():
        show(f"ideal, rate {rate}, from image to image", size)
    show("ideal, learning anew in each", anew)
    over = (sum(row.length for row in rows) - chosen) / len(images)
    print(f"blocks over their ideal: {over:.3f} bytes an image")


if __name__ == "__main__":
    main()
