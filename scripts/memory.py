"""How much memory the commands take on large images, each in a process of its own.

Usage: `python scripts/memory.py PHOTO --side 2500 --side 5000`. Makes RGB images of so many rows
and columns by repeating a photograph, each time with other noise in the lowest bits, and puts them
through `compress`, `test`, `decompress` and `decompress --region`. Prints the peak of each process
(its resident set, as the kernel counts it), how much that is beyond a process which only decodes
the source, and the seconds of the processor; of two sizes also what a megapixel takes. Kernels are
compiled before. Exits 1 where more than 2 GB are taken beyond it, or other pixels come back.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
from PIL import Image

LIMIT = 2000.0
READ = (
    "import sys, numpy; from PIL import Image; Image.MAX_IMAGE_PIXELS = None;"
    "numpy.asarray(Image.open(sys.argv[1])).sum()"
)
"""A process that decodes the source and does nothing else with it."""

REGION = 32


def run(*command: str | Path) -> tuple[float, float]:
    """Return the peak of memory in MB and the seconds of the processor of a Python process."""
    process = subprocess.Popen([sys.executable, *map(str, command)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed")
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def made(photo: Path, side: int) -> Image.Image:
    """Return an image of so many rows and columns, of a photograph with noise."""
    rng = np.random.default_rng(0)
    pixels = np.asarray(Image.open(photo).convert("RGB"))
    height, width, _ = pixels.shape
    whole = np.empty((side, side, 3), np.uint8)
    for y in range(0, side, height):
        for x in range(0, side, width):
            room = whole[y : y + height, x : x + width]
            noise = rng.integers(0, 4, room.shape, np.uint8)
            room[:] = pixels[: len(room), : room.shape[1]] ^ noise
    return Image.fromarray(whole)


def same(source: Path, back: Path, at: int, side: int) -> bool:
    """Return whether a file holds the pixels of a square of another."""
    with Image.open(source) as first, Image.open(back) as second:
        square = np.asarray(first)[at : at + side, at : at + side]
        return np.array_equal(square, np.asarray(second))


def measured(photo: Path, side: int, model: str, threads: int) -> dict[str, float]:
    """Print a line for each command on an image; return the MB beyond reading its source."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        source, packed, back = (Path(folder, name) for name in ("it.png", "it.idfz", "back.png"))
        made(photo, side).save(source, compress_level=1)
        coding = ("compress", source, "-o", packed, "-m", model, "--effort", "1", "-f")
        region = f"{side // 2},{side // 2},{REGION},{REGION}"
        commands: dict[str, tuple[str | Path, ...]] = {
            "compress, not verified": (*coding, "--no-verify"),
            "compress": coding,
            "test": ("test", packed),
            "decompress": ("decompress", packed, "-o", back),
            "decompress --region": ("decompress", packed, "-o", back, "-f", "--region", region),
        }
        alone, _ = run("-c", READ, source)
        for name, command in commands.items():
            peak, seconds = run("-m", "idfzip", *command, "-q", "-T", str(threads))
            found[name] = peak - alone
            line = f"{side}x{side} {name}: {peak:.0f} MB, {peak - alone:.0f} beyond the source"
            click.echo(f"{line}, {seconds:.0f} s")
            part = (side // 2, REGION) if command[-2] == "--region" else (0, side)
            if command[0] == "decompress" and not same(source, back, *part):
                sys.exit(f"{name}: other pixels")
    return found


@click.command()
@click.argument("photo", type=click.Path(exists=True, path_type=Path))
@click.option("--side", "sides", type=int, multiple=True, default=(2500, 5000), show_default=True)
@click.option("-m", "--model", default="photo-fast", show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(photo: Path, sides: tuple[int, ...], model: str, threads: int) -> None:
    """Measure images of so many rows and columns."""
    Image.MAX_IMAGE_PIXELS = None
    measured(photo, 2 * REGION, model, threads)
    results = [(side * side / 1e6, measured(photo, side, model, threads)) for side in sides]
    (small, less), (large, more) = results[0], results[-1]
    for name in less if large > small else ():
        slope = (more[name] - less[name]) / (large - small)
        expected = more[name] + slope * (100 - large)
        click.echo(f"{name}: {slope:.2f} MB a megapixel, about {expected:.0f} MB at 100 of them")
    sys.exit(max(max(found.values()) for _, found in results) > LIMIT)


if __name__ == "__main__":
    main()
