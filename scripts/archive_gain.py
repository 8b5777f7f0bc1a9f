"""What an archive saves on a set of small images: single files, blocks, the ideal code length.

Usage: `python scripts/archive_gain.py FOLDER|FILE... [-m MODEL] [--tile SIDE] [--count N]`, where
`--tile` cuts mosaics. Images have no metadata and names of eight characters. All is decoded and
compared.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

import idfzip
from idfzip.bench import sample
from idfzip.codecs import block
from idfzip.container import idfz, models, sections
from idfzip.container.archive import Archive, decoded
from idfzip.container.effort import Effort
from idfzip.container.index import Block
from idfzip.container.model_file import Model
from idfzip.flows import colour
from idfzip.images.picture import Picture


def taken(paths: Sequence[Path], tile: int, count: int) -> list[Picture]:
    """Return the pictures to measure on."""
    read = [sample.read(file, tile) for file in sample.files(paths)]
    found = itertools.chain.from_iterable(part for part in read if isinstance(part, list))
    return [
        Picture(np.ascontiguousarray(one.pixels, np.uint8))
        for one in itertools.islice(found, count or None)
    ]


def check(box: Archive, model: Model, pictures: Sequence[Picture]) -> None:
    """Exit unless an archive holds these pictures in this order."""
    members = decoded(box, model, Effort())
    for member, picture in zip(members, pictures, strict=True):
        found = member.found
        if not isinstance(found, Picture) or not np.array_equal(found.pixels, picture.pixels):
            raise SystemExit(f"{member.entry.name} does not come back")


def ideal(model: Model, pictures: Sequence[Picture], lockstep: int, rate: int) -> float:
    """Return the bytes of the symbols of a block, by their frequencies."""
    codec = model.flagship
    learning = replace(codec, learning=codec.learning._replace(rate=rate))
    tiles = [colour.forward(picture.pixels) for picture in pictures]
    return sum(block.encode(learning, tiles, lockstep).bits) / 8


def by_block(rows: Sequence[Block], pictures: Sequence[Picture]) -> list[list[Picture]]:
    """Return the pictures of each block."""
    left = iter(pictures)
    return [list(itertools.islice(left, len(row.members))) for row in rows]


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-m", "--model", "name", default="photo")
@click.option("--tile", default=0)
@click.option("--count", default=0, help="Take so many images (0: all).")
def main(paths: tuple[Path, ...], name: str, tile: int, count: int) -> None:
    """Print the figures, all in bits a subpixel and bytes an image."""
    pictures = taken(paths, tile, count)
    values = sum(picture.pixels.size for picture in pictures)
    model = models.by_name(name)
    print(f"{len(pictures)} images, model {name}")

    def show(what: str, size: float) -> None:
        print(f"{what:36} {8 * size / values:.4f} {size / len(pictures):9.2f}")

    show("single files", sum(len(idfz.compress(p, model, Effort())) for p in pictures))
    data = idfzip.pack({f"{i:04}.png": p.pixels for i, p in enumerate(pictures)}, model=name)
    show("archive", len(data))
    box = Archive(io.BytesIO(data))
    check(box, model, pictures)
    head = io.BytesIO(data)
    sections.read_head(head)
    show("  of it names and index", head.tell())
    rows = box.index.blocks
    size = sum(row.length for row in rows)
    show(f"  of it {len(rows)} blocks", size)
    groups = list(zip(rows, by_block(rows, pictures), strict=True))
    chosen = sum(ideal(model, group, row.lockstep, row.rate) for row, group in groups)
    show("ideal of the blocks", chosen)
    show("  blocks over it", size - chosen)
    rate = model.flagship.learning.rate
    for what, used in (("network stays", 0), ("it learns from image to image", rate)):
        show(f"ideal, {what}", sum(ideal(model, g, row.lockstep, used) for row, g in groups))
    alone = sum(ideal(model, [p], 1, rate) for _, group in groups for p in group)
    show("ideal, it learns anew in each", alone)


if __name__ == "__main__":
    main()
