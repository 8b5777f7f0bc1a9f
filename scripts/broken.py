"""Put damaged images through the command line, each in a process of its own, and measure.

Usage: `python scripts/broken.py FOLDER...`. A file must end in an error of one line, or come back
byte for byte, or come back with the pixels and metadata that are read from it; within 10 seconds
of the processor and 1 GB of memory, without a traceback. Prints what became of how many, and exits
1 if any did not. Kernels are compiled before.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import click
import numpy as np
from PIL import Image

from idfzip.errors import UnsupportedImage
from idfzip.images import reader
from idfzip.images.picture import Picture

SECONDS, MEGABYTES = 10.0, 1000.0


_LAUNCHER = """
import os, subprocess, sys
with open(sys.argv[1], "w") as said:
    process = subprocess.Popen([sys.executable, "-m", "idfzip", *sys.argv[2:]], stderr=said)
    _, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""
"""The peak of a process counts what its parent held at its birth, so its parent is a small one."""


def run(place: Path, *arguments: str | Path) -> tuple[int, str, float, float]:
    """Return exit code, what was said, seconds of the processor, and the peak of memory in MB."""
    said = place / "said"
    command = [sys.executable, "-c", _LAUNCHER, str(said), *map(str, arguments), "-T", "1"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(found[0]), said.read_text(), float(found[1]), float(found[2])


def warm(place: Path) -> None:
    """Compile the kernels, which takes more time and memory than any image."""
    for mode in ("L", "I;16", "RGB", "P", "1"):
        Image.effect_noise((24, 24), 60).convert(mode).save(place / "warm.png")
        run(place, "compress", place / "warm.png", "-f")
        run(place, "test", place / "warm.png.idfz")


def judge(file: Path, place: Path) -> tuple[str, str, float, float]:
    """Return what became of a file, what is wrong with that, seconds and MB."""
    packed, back = place / "packed.idfz", place / "back"
    for left in (packed, back):
        left.unlink(missing_ok=True)
    code, said, seconds, peak = run(place, "compress", file, "-o", packed)
    lines = said.strip().splitlines()
    wrong = "traceback" if "Traceback" in said else ""
    if code != 0:
        wrong = wrong or ("" if code == 1 and len(lines) == 1 else f"exit {code}: {said[:200]}")
        return "refused", wrong, seconds, peak
    code, said, again, more = run(place, "decompress", packed, "-o", back)
    seconds, peak = max(seconds, again), max(peak, more)
    if code != 0:
        return "packed", f"does not unpack: {said[:200]}", seconds, peak
    data = back.read_bytes()
    if data == file.read_bytes():
        return "the same bytes", wrong, seconds, peak
    return "the same pixels", wrong or difference(file.read_bytes(), data), seconds, peak


def difference(source: bytes, found: bytes) -> str:
    """Return how the picture in a file differs from the one in its source, or an empty string."""
    try:
        pictures = [reader.read(data, "it") for data in (source, found)]
    except UnsupportedImage as error:
        return str(error)
    one, two = pictures
    if not isinstance(one, Picture) or not isinstance(two, Picture):
        return "a file that cannot be read came back changed"
    same = np.array_equal(one.pixels, two.pixels) and one.metadata == two.metadata
    return "" if same and one.kind == two.kind else "other pixels or metadata"


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def main(folders: tuple[Path, ...]) -> None:
    """Judge every file below the folders."""
    results: Counter[str] = Counter()
    wrongs, slowest, largest = [], 0.0, 0.0
    with tempfile.TemporaryDirectory() as place:
        warm(Path(place))
        for file in sorted(f for folder in folders for f in folder.rglob("*") if f.is_file()):
            result, wrong, seconds, peak = judge(file, Path(place))
            if seconds > SECONDS or peak > MEGABYTES:
                wrong = wrong or f"{seconds:.1f} s, {peak:.0f} MB"
            results[result] += 1
            slowest, largest = max(slowest, seconds), max(largest, peak)
            if wrong:
                wrongs.append(f"{file}: {wrong}")
    for name, count in results.items():
        click.echo(f"{name}: {count}")
    click.echo(f"at most {slowest:.1f} s and {largest:.0f} MB")
    for line in wrongs:
        click.echo(line)
    sys.exit(bool(wrongs))


if __name__ == "__main__":
    main()
