"""Pictures and figures of the progressive order: strips of previews, samples, bits and speed.

Usage: python scripts/previews.py strip IMAGE... -o docs/previews.webp
       python scripts/previews.py samples -o docs/samples.webp
       python scripts/previews.py measure [--alone] FOLDER...
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from idfzip.container import idfz, models, noise
from idfzip.container.effort import Effort
from idfzip.container.groups import Content
from idfzip.container.model_file import Model
from idfzip.container.preview import preview
from idfzip.images import reader
from idfzip.images.picture import Metadata, Picture, Pixels

SHARES = (0.15, 0.3, 0.6, 1.0)
CROP = (200, 300)
"""Rows and columns, from the middle of an image, that a strip shows."""

GAP = 4


def packed(picture: Picture, model: Model) -> bytes:
    """Return the file of a picture, with its levels where the model has some."""
    levels = model.architecture.encode_levels is not None
    return idfz.compress(picture, model, Effort(), progressive=levels)


def read(path: Path) -> Picture:
    """Return the picture in a file."""
    found = reader.read(path.read_bytes(), str(path))
    if not isinstance(found, Picture):
        raise SystemExit(f"{path}: {found.reason}")
    return found


def shown(data: bytes, share: float, model: Model) -> Pixels:
    """Return the preview from the first share of a file."""
    start = idfz.begin(data[: int(share * len(data))])
    return preview(start, [model], False).picture.pixels


def strip(paths: Sequence[Path], output: Path) -> None:
    """Write previews of each image, one image a row, more of its file from left to right."""
    (model,) = models.progressive(Content.COLOUR)
    rows = []
    for path in paths:
        data = packed(read(path), model)
        small = []
        for share in SHARES:
            pixels = shown(data, share, model)
            y, x = ((n - m) // 2 for n, m in zip(pixels.shape, CROP, strict=False))
            small.append(pixels[y : y + CROP[0], x : x + CROP[1]])
            print(f"{path.name}: {int(share * len(data))} of {len(data)} bytes")
        line = np.full((small[0].shape[0], GAP, 3), 255, np.uint8)
        rows.append(np.concatenate([part for tile in small for part in (tile, line)][:-1], 1))
    line = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    Image.fromarray(np.concatenate([part for row in rows for part in (row, line)][:-1])).save(
        output, quality=85
    )


def samples(output: Path) -> None:
    """Write images drawn from `progressive`, `photo`, and, enlarged, `cifar10`."""
    sizes = {"progressive": 96, "photo": 96, "cifar10": 32}
    grids = []
    for name, side in sizes.items():
        drawn = noise.images(models.by_name(name), 9, 0, (side, side))
        grids.append(noise.grid([p.repeat(96 // side, 0).repeat(96 // side, 1) for p in drawn]))
    line = np.full((grids[0].shape[0], 3 * GAP, 3), 255, np.uint8)
    Image.fromarray(np.concatenate([part for grid in grids for part in (grid, line)][:-1], 1)).save(
        output, quality=85
    )


def measure(folders: Sequence[Path], alone: bool) -> None:
    """Print bits per subpixel and speed of the progressive and the raster model, taking turns.

    Whole files, without the metadata of their sources.
    """
    (model,) = models.progressive(Content.COLOUR)
    found = {"progressive": model}
    if not alone:
        found["raster"] = models.usual(3)
    for folder in folders:
        bits = dict.fromkeys(found, 0)
        seconds = {name: [0.0, 0.0] for name in found}
        values = count = 0
        for path in sorted(p for p in folder.iterdir() if p.suffix in (".png", ".webp")):
            picture = replace(read(path), metadata=Metadata())
            values, count = values + picture.pixels.size, count + 1
            for name, model in found.items():
                times = [time.process_time()]
                data = packed(picture, model)
                times.append(time.process_time())
                back, _ = idfz.decompress(idfz.parse(data), model, Effort())
                times.append(time.process_time())
                if not isinstance(back, Picture) or not np.array_equal(back.pixels, picture.pixels):
                    raise SystemExit(f"{path}: {name} does not decode to the source")
                bits[name] += 8 * len(data)
                for i in range(2):
                    seconds[name][i] += times[i + 1] - times[i]
        print(f"{folder}, {count} images, {values / 3e6:.1f} MP, one thread")
        for name in found:
            speed = [values / 3e6 / s for s in seconds[name]]
            print(
                f"  {name}: {bits[name] / values:.4f} bits per subpixel, encode {speed[0]:.3f}, "
                f"decode {speed[1]:.3f} MP a processor second"
            )


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("strip", "samples", "measure"))
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--alone", action="store_true", help="measure without the raster model")
    parser.add_argument("-o", "--output", type=Path, default=Path("previews.webp"))
    options = parser.parse_intermixed_args()
    if options.what == "strip":
        strip(options.paths, options.output)
    elif options.what == "samples":
        samples(options.output)
    else:
        measure(options.paths, options.alone)


if __name__ == "__main__":
    main()
