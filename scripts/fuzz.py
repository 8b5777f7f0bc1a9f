"""Decode damaged and forged `.idfz` files and model files, and see that nothing wrong comes of it.

Usage: `python scripts/fuzz.py --files 20000 --models 2000 --seed 1`. The golden files of
`tests/data` and models of theirs are mutated: bits flipped, cut, grown, spliced; sections exchanged
between files and fields set to extremes, with the checksums of sections made right again. Each
must end in an error of one line, or in the pixels of one of its sources (in whatever format and
with whatever metadata the forged sections say), within 10 seconds of the processor and 1 GB of
memory above what was there; the same for previews of their first three quarters, whose pixels are
not judged. A process that dies or hangs is replaced. Prints what became of how many, and exits 1 if
anything went wrong; `--only file:17` repeats one case.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import resource
import sys
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import click
import numpy as np
from mutations import broken, broken_head, exchanged, forged, forged_member, forged_model, resized

from idfzip.cli import info, unpack
from idfzip.container import archive, header, idfz, model_file, models, sections
from idfzip.container import preview as previews
from idfzip.container.archive import Archive
from idfzip.container.effort import Effort
from idfzip.container.header import ImageHeader, ModelName
from idfzip.container.region import Region, cropped
from idfzip.container.sections import Section
from idfzip.errors import IdfzipError, ModelError, UnsupportedImage
from idfzip.images import convert, reader, tiff, writer
from idfzip.images.picture import Metadata, Picture

SECONDS, BYTES = 10.0, 1 << 30

PATIENCE = 60.0
"""Seconds by the clock after which a process hangs, on a machine that has other work as well."""

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"
CODED = {
    DATA / "small-rgb.idfm": "photo",
    DATA / "small-grey.idfm": "grey",
    DATA / "small-learning.idfm": "learning",
    DATA / "small-idf.idfm": "idf",
    DATA / "small-lattice.idfm": "lattice",
    DATA / "small-lossy.idfm": "lossy",
    DATA / "small-first.idfm": "first",
    DATA / "small-bitswap.idfm": "bitswap",
    ROOT / "models" / "indexed.idfm": "sprite",
}
"""Models to mutate, and a golden file that each codes."""

ABOUT = {270: tiff.Value(2, b"about\0"), 274: tiff.numbers("<", tiff.SHORT, 6)}
"""Tags of EXIF: description, orientation."""

Held = frozenset[object]


@dataclass(frozen=True)
class Case:
    """A mutated file or model, how it was made, and what may come of it."""

    data: bytes
    how: str
    held: Held


class WrongError(Exception):
    """Something wrong came of a file, without an error."""


def content(found: Picture | idfz.Stored) -> object:
    """Return what tells pixels, or stored bytes, from others."""
    if isinstance(found, Picture):
        return found.pixels.shape, found.pixels.dtype.str, found.pixels.tobytes()
    return found.data


def opened(data: bytes) -> list[Picture | idfz.Stored | IdfzipError]:
    """Return all that a file holds; raises IdfzipError."""
    if archive.is_archive(io.BytesIO(data)):
        unpack.facts(io.BytesIO(data))
        return [m.found for m in archive.decoded(Archive(io.BytesIO(data)), None, Effort())]
    file = idfz.parse(data)
    info.facts(file, len(data))
    return [idfz.decompress(file, None, Effort())[0]]


def previewed(data: bytes) -> None:
    """Look at what the first part of a file shows, as far as it shows anything."""
    with suppress(IdfzipError):
        start = idfz.begin(data[: 3 * len(data) // 4])
        previews.preview(start, idfz.needed_models(start.file, None), False)


def rewritten(picture: Picture) -> None:
    """Write a picture's file, those of other formats that hold it, and one of a part of it.

    Raises WrongError where the file is read as other pixels.
    """
    back = reader.read(writer.write(picture), "it")
    if isinstance(back, Picture) and not np.array_equal(back.pixels, picture.pixels):
        raise WrongError("other pixels are written")
    writer.write(cropped(picture, Region(0, 0, 1, 1)))
    for form in convert.SUFFIXES:
        with suppress(UnsupportedImage):
            writer.write(convert.converted(picture, form))
    if picture.kind.mode:
        writer.to_image(picture)


def judge(data: bytes, held: Held) -> str:
    """Return what becomes of a file; what is wrong begins with an exclamation mark."""
    try:
        previewed(data)
        found = opened(data)
        whole = [one for one in found if not isinstance(one, IdfzipError)]
        for one in whole:
            if content(one) not in held:
                return "! other pixels"
            if isinstance(one, Picture):
                rewritten(one)
    except IdfzipError as error:
        return "refused" if "\n" not in str(error) else f"! an error of several lines: {error}"
    except MemoryError:
        return "! memory"
    except Exception:
        return f"! {traceback.format_exc()}"
    return "the same pixels" if len(whole) == len(found) else "members refused"


def held_by(data: bytes) -> Held:
    """Return what a sound file holds."""
    return frozenset(content(one) for one in opened(data) if not isinstance(one, IdfzipError))


@cache
def seeds() -> list[tuple[bytes, Held]]:
    """Return golden files, one of them with its model in it, others with metadata, and contents."""
    files = [path.read_bytes() for path in sorted(DATA.glob("*.idfz"))]
    model = models.open_file(DATA / "small-rgb.idfm")
    (photo,) = opened((DATA / "photo.idfz").read_bytes())
    if isinstance(photo, Picture):
        files.append(idfz.compress(photo, model, Effort(), embed=True))
        about = Metadata(icc=b"profile", exif=tiff.of_tags("<", ABOUT), xmp=b"<x/>", dpi=(72.0, 71))
        for form in ("PNG", "TIFF", "WEBP", "BMP"):
            named = convert.converted(replace(photo, format="WEBP", metadata=about), form)
            files.append(idfz.compress(named, model, Effort()))
        png_of_it = writer.write(photo)
        files += [idfz.store(png_of_it, "PNG"), idfz.pack(photo, "png", png_of_it)]
        headed = replace(photo, format="PPM", metadata=Metadata(head=b"P6 #it\n31 23\n255\n"))
        files.append(idfz.compress(headed, model, Effort()))
    found = []
    for data in files:
        found.append((data, held_by(data)))
    return found


def turned(held: Held) -> Held:
    """Return the same samples with height and width exchanged.

    Of raw tiles nothing but the header tells them, and its checksum is made right.
    """
    shapes = [found for found in held if isinstance(found, tuple)]
    return frozenset(((w, h, c), dtype, data) for (h, w, c), dtype, data in shapes)


def file_case(rng: random.Random) -> Case:
    """Return a mutated file."""
    (data, held), (other, others) = rng.choice(seeds()), rng.choice(seeds())
    how = rng.choice(("broken", "spliced", "forged", "resized", "exchanged", "twice", "member"))
    if how == "resized" and not archive.is_archive(io.BytesIO(data)):
        return Case(resized(rng, data), how, held | turned(held))
    if how == "member":
        data, held = next(seed for seed in seeds() if archive.is_archive(io.BytesIO(seed[0])))
        return Case(forged_member(rng, data), how, held)
    if how == "spliced":
        cut, start = rng.randrange(len(data) + 1), rng.randrange(len(other) + 1)
        return Case(data[:cut] + other[start:], how, held | others)
    if how == "exchanged":
        return Case(exchanged(rng, data, other), how, held | others)
    if how == "twice":
        return Case(forged(rng, exchanged(rng, data, other)), how, held | others)
    return Case((broken if how == "broken" else forged)(rng, data), how, held)


def judge_model(rng: random.Random) -> tuple[str, str]:
    """Return how a model was changed, and what becomes of it, and of a file that names it."""
    path, golden = rng.choice(list(CODED.items()))
    how = rng.choice(("broken", "head", "forged", "forged", "forged"))
    data = path.read_bytes()
    try:
        if how == "forged":
            data = forged_model(rng, data)
        elif how == "head":
            data = broken_head(rng, data)
        else:
            data = broken(rng, data)
        model = model_file.load(data, "it")
        file = idfz.parse((DATA / f"{golden}.idfz").read_bytes())
        held = held_by((DATA / f"{golden}.idfz").read_bytes())
        was = models.open_file(path).short
    except ModelError as error:
        return how, "refused" if "\n" not in str(error) else f"! several lines: {error}"
    except MemoryError:
        return how, "! memory"
    except Exception:
        return how, f"! {traceback.format_exc()}"
    head = file.head
    if not isinstance(head, ImageHeader):
        return how, "! the golden file is none of tiles"
    name = ModelName(model.short, model.name)
    head = replace(head, models=tuple(name if m.hash == was else m for m in head.models))
    parts = [Section(sections.LAST, header.pack(head))]
    if file.palette is not None:
        parts.insert(0, file.palette)
    parts.insert(0, Section(idfz.MODEL, zlib.compress(data, 1)))
    return how, "loads, its file: " + judge(sections.write(parts, [file.streams]), held)


def case(kind: str, seed: int, number: int) -> tuple[str, str]:
    """Return how a case was made, and what becomes of it."""
    rng = random.Random(f"{seed}:{kind}:{number}")
    if kind == "model":
        return judge_model(rng)
    made = file_case(rng)
    return made.how, judge(made.data, made.held)


def work(jobs: Sequence[tuple[str, int]], seed: int, pipe: Connection) -> None:
    """Judge cases, sending how, what came, and the seconds of each."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (taken + BYTES, taken + BYTES))
    for kind, i in jobs:
        start = time.process_time()
        pipe.send((*case(kind, seed, i), time.process_time() - start))


def judged(jobs: Sequence[tuple[str, int]], seed: int) -> list[tuple[str, str, float]]:
    """Return how, what came, and the seconds of each case."""
    context = multiprocessing.get_context("fork")  # kernels and golden files are there already
    results: list[tuple[str, str, float]] = []
    while len(results) < len(jobs):
        pipe, end = context.Pipe(False)
        process = context.Process(target=work, args=(jobs[len(results) :], seed, end))
        process.start()
        end.close()
        try:
            while len(results) < len(jobs):
                if not pipe.poll(PATIENCE):
                    results.append(("", "! it hangs", PATIENCE))
                    break
                results.append(pipe.recv())
        except EOFError:
            process.join()
            results.append(("", f"! the process died ({process.exitcode})", 0.0))
        process.kill()
        process.join()
    return results


@click.command()
@click.option("--files", default=20000, show_default=True)
@click.option("--models", "count", default=2000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--only", metavar="KIND:NUMBER", help="One case, as a failure names it.")
def main(files: int, count: int, seed: int, only: str | None) -> None:
    """Judge so many files and models."""
    os.environ["IDFZIP_MODELS"] = str(DATA)
    jobs = [("file", i) for i in range(files)] + [("model", i) for i in range(count)]
    if only:
        kind, _, place = only.partition(":")
        jobs = [(kind, int(place))]
    seeds()
    results: Counter[tuple[str, str, str]] = Counter()
    wrong, slowest = [], 0.0
    for (kind, i), (how, what, seconds) in zip(jobs, judged(jobs, seed), strict=True):
        slow = f"! {seconds:.1f} s" if seconds > SECONDS else what
        bad = what if "!" in what else slow if slow.startswith("!") else ""
        results[kind, how, "wrong" if bad else what] += 1
        slowest = max(slowest, seconds)
        if bad:
            wrong.append(f"{kind}:{i} ({how}): {bad}")
    for (kind, how, what), times in sorted(results.items()):
        click.echo(f"{kind} {how}: {what} {times}")
    click.echo(f"{len(jobs)} cases, {len(wrong)} wrong, at most {slowest:.1f} s")
    for line in wrong:
        click.echo(line)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
