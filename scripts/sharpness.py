"""Lossy models side by side: bits, distances and sharpness of what they paint.

Usage: `python scripts/sharpness.py table IMAGE... -m MODEL -m OTHER --quality 40 --quality 100`
       `python scripts/sharpness.py pictures IMAGE... -m MODEL -m OTHER -o docs/vqgan.webp`

`table` prints a line of means over images for each model and quality; `pictures` shows the middle
of each image, and what each model paints of it at the first quality.

Sharpness is gradient energy over the source's: the mean squared difference of neighbouring
samples, down and across, of the picture over that of the image. Below 1 a picture is blurred; what
an adversary adds counts whether or not it was in the source, so it says nothing of faithfulness.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from lossy_pictures import middle, painted, read
from PIL import Image

from idfzip.bench.similarity import ms_ssim
from idfzip.container import models
from idfzip.container.lossy import psnr
from idfzip.container.model_file import Model

Pixels = npt.NDArray[np.uint8]


def energy(pixels: Pixels) -> float:
    """Return the mean squared difference of neighbours, of both directions together."""
    values = pixels.astype(np.float64)
    return float(sum(np.square(np.diff(values, axis=axis)).mean() for axis in (0, 1)))


def line(model: Model, images: list[Pixels], quality: int) -> str:
    """Return a row of the table."""
    found = []
    for image in images:
        picture, bits = painted(model, image, quality)
        sharp = energy(picture) / energy(image)
        found.append([bits, psnr(image, picture), ms_ssim(image, picture), sharp])
    bits, decibels, alike, sharp = np.mean(found, 0)
    return f"| {model.name} | {quality} | {bits:.3f} | {decibels:.2f} | {alike:.4f} | {sharp:.3f} |"


def main() -> None:
    """Print or paint what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["table", "pictures"])
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("-m", "--model", action="append", required=True)
    parser.add_argument("-o", "--output", type=Path, default=Path("sharpness.webp"))
    parser.add_argument("--quality", type=int, action="append", required=True)
    parser.add_argument("--side", type=int, default=256)
    options = parser.parse_args()
    known = [models.by_name(name) for name in options.model]
    images = [read(path) for path in options.images]
    if options.what == "table":
        print("| model | `--quality` | bits a pixel | PSNR | MS-SSIM | sharpness |")
        print("| --- | --- | --- | --- | --- | --- |")
        for quality in options.quality:
            for model in known:
                print(line(model, images, quality), flush=True)
        return
    rows = []
    for image in images:
        pictures = [painted(model, image, options.quality[0])[0] for model in known]
        rows.append(np.hstack([middle(one, options.side) for one in (image, *pictures)]))
    Image.fromarray(np.vstack(rows)).save(options.output, quality=85, method=6)


if __name__ == "__main__":
    main()
