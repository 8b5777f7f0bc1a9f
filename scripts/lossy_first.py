"""What it costs to begin lossless files with a lossy picture.

Usage: `python scripts/lossy_first.py REST QUALITY FILE... > table.csv`

REST is the model that codes the pixels: `photo-first` looks at the picture, `photo` does not; with
QUALITY 0 there is no picture. Each line of the CSV is an image: pixels, bytes of the whole file,
of its part up to the end of the picture, which `preview` shows, and of the picture's codes alone,
all without the source's metadata.
Every file is decoded and compared; one thread.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from idfzip.container import idfz, lossy, models, preview
from idfzip.container.effort import Effort
from idfzip.images import reader
from idfzip.images.picture import Metadata, Picture


def measure(picture: Picture, rest: str, quality: int) -> tuple[int, int, int, int]:
    """Return pixels, and bytes of a file, of its part that paints, and of the codes alone."""
    if quality:
        painter = models.by_name(models.LOSSY)
        data = lossy.compress_first(picture, painter, models.by_name(rest), quality)
        start = idfz.begin(data)
        first = preview.through(start, 1)
        codes = first - start.size
    else:
        data, first, codes = idfz.compress(picture, models.by_name(rest), Effort()), 0, 0
    found, _ = idfz.decompress(idfz.parse(data), None, Effort())
    if not isinstance(found, Picture) or not np.array_equal(found.pixels, picture.pixels):
        raise SystemExit("the file does not decode to the source")
    return picture.pixels.shape[0] * picture.pixels.shape[1], len(data), first, codes


def main() -> None:
    """Print a line for each image, and last what all of them take in bits a pixel."""
    rest, quality, *files = sys.argv[1:]
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(("image", "pixels", "bytes", "to the picture", "codes"))
    totals = np.zeros(4, np.int64)
    for file in files:
        picture = reader.read(Path(file).read_bytes(), file)
        if not isinstance(picture, Picture):
            continue
        row = measure(replace(picture, metadata=Metadata()), rest, int(quality))
        totals += row
        table.writerow((Path(file).name, *row))
        sys.stdout.flush()
    bits = [f"{8 * value / totals[0]:.4f}" for value in totals[1:]]
    print(f"bits a pixel of {len(files)} files: {bits[0]}, codes {bits[2]}", file=sys.stderr)


if __name__ == "__main__":
    main()
