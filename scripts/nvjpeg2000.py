"""Measure lossless JPEG 2000 on a GPU (nvJPEG2000), beside `cuda_speed.py`: on the same works.

Usage: `python scripts/nvjpeg2000.py`. Needs `nvidia-nvimgcodec-cu13` and `nvidia-nvjpeg2k-cu13`,
which the project does not. From pixels in the host's memory to bytes there and back, decoded pixels
compared; images of a work are given to the library all at once.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from cuda_speed import PARROTS, cut
from nvidia import nvimgcodec

from idfzip.images import reader
from idfzip.images.picture import Picture, Pixels


def measured(images: list[Pixels], encoder: Any, decoder: Any) -> tuple[float, float, int]:
    """Return the seconds of encoding and of decoding, and the bytes."""
    how = nvimgcodec.EncodeParams(quality_type=nvimgcodec.QualityType.LOSSLESS)
    start = time.perf_counter()
    coded = encoder.encode(images, "jpeg2k", params=how)
    files = [bytes(one) for one in coded]
    middle = time.perf_counter()
    back = [np.asarray(one.cpu()) for one in decoder.decode(files)]
    end = time.perf_counter()
    if not all(map(np.array_equal, back, images)):
        raise click.ClickException("the pixels do not come back")
    return middle - start, end - middle, sum(map(len, files))


@click.command()
@click.option("--source", type=click.Path(path_type=Path, exists=True), default=PARROTS)
@click.option("--photo", nargs=2, type=int, default=(4000, 6000), help="Rows, columns.")
@click.option("--images", nargs=2, type=int, default=(1000, 512), help="Number, side.")
@click.option("--times", default=3, show_default=True)
def main(source: Path, photo: tuple[int, int], images: tuple[int, int], times: int) -> None:
    """Print megapixels a second, medians."""
    found = reader.read(source.read_bytes(), str(source))
    if not isinstance(found, Picture):
        raise click.ClickException(f"{source}: {found.reason}")
    encoder, decoder = nvimgcodec.Encoder(), nvimgcodec.Decoder()
    works = {
        f"1 of {photo[0]} x {photo[1]}": cut(found.pixels, *photo, 1),
        f"{images[0]} of {images[1]} x {images[1]}": cut(
            found.pixels, images[1], images[1], images[0]
        ),
    }
    for work, given in works.items():
        pixels = sum(image[..., 0].size for image in given)
        measured(given[:1], encoder, decoder)
        rows = [measured(given, encoder, decoder) for _ in range(times)]
        encode, decode = (pixels / median(row[i] for row in rows) / 1e6 for i in range(2))
        bits = 8 * rows[0][2] / pixels / 3
        click.echo(f"{work}: encode {encode:.3g} MP/s, decode {decode:.3g} MP/s, {bits:.3f} bits")


if __name__ == "__main__":
    main()
