"""`idfzip compress`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image

from idfzip.cli import files, work
from idfzip.container import idfz, models
from idfzip.container.model_file import Model
from idfzip.container.tiling import Effort
from idfzip.errors import IdfzipError, ModelError
from idfzip.images import reader
from idfzip.images.picture import Picture

SUFFIX = ".idfz"


@dataclass(frozen=True)
class _Job:
    """The options of one call."""

    model: Model | None
    progressive: bool
    embed: bool
    effort: Effort
    force: bool
    remove: bool
    verify: bool
    quiet: bool
    verbose: bool
    warm: set[str]


@click.command()
@click.argument(
    "paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Output, for one input.")
@click.option("-c", "--stdout", is_flag=True, help="Write to standard output.")
@work.model_option
@click.option("--progressive", is_flag=True, help="Code from coarse to fine, for previews.")
@click.option("--embed-model", is_flag=True, help="Put the model into the output.")
@work.threads_option
@work.force_option
@click.option("--rm", "remove", is_flag=True, help="Remove each source once its result is safe.")
@click.option("--no-verify", is_flag=True, help="Do not decode and compare before writing.")
@work.quiet_option
@work.verbose_option
def compress(
    paths: tuple[Path, ...],
    output: Path | None,
    stdout: bool,
    model: str | None,
    progressive: bool,
    embed_model: bool,
    threads: int,
    force: bool,
    remove: bool,
    no_verify: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Write FILE.idfz beside each image FILE (- is standard input).

    The pixels are decoded again and compared before anything is written. A file that no model
    codes, or that would not get smaller, is kept as it is inside.
    """
    files.one_output(paths, output)
    Image.MAX_IMAGE_PIXELS = reader.MAX_PIXELS // 2
    if remove and (no_verify or stdout or files.STANDARD in paths):
        raise click.UsageError("--rm needs files in and out, and the verification")
    given = None if model is None else models.by_name(model)
    effort = work.effort(threads)
    if given is not None and not embed_model and not models.is_released(given):
        work.say(
            f"model {given.name} is not one of idfzip's: keep its file, decompressing needs it "
            "(--embed-model puts it into the output)",
            quiet,
        )
    job = _Job(
        given, progressive, embed_model, effort, force, remove, not no_verify, quiet, verbose, set()
    )

    def act(path: Path) -> None:
        target = output or path.with_name(path.name + SUFFIX)
        if stdout or (output is None and path == files.STANDARD):
            target = files.STANDARD
        _one(path, target, job)

    work.each(paths, act)


def _one(path: Path, target: Path, job: _Job) -> None:
    files.check_free(target, job.force)
    source = files.read(path)
    found = reader.read(source, str(path))
    if isinstance(found, Picture):
        data, note = _coded(path, source, found, job)
    else:
        data, note = idfz.store(source, found.format), f"stored: {found.reason}"
        _check(idfz.decompress(idfz.parse(data), None, job.effort)[0], idfz.Stored(source, ""))
    files.write(target, data, job.force, like=path)
    if job.remove:
        os.unlink(path)
    share = 100 * len(data) / len(source)
    work.say(f"{path}: {len(source)} -> {len(data)} bytes ({share:.1f}%), {note}", job.quiet)


def _coded(path: Path, source: bytes, picture: Picture, job: _Job) -> tuple[bytes, str]:
    """Return the `.idfz` file of a picture, and what to say of it."""
    pixels = picture.pixels
    model = job.model or models.released(pixels.shape[2], job.progressive)
    if model.codec.channels != pixels.shape[2]:
        raise ModelError(
            f"{path}: model {model.name} codes {model.codec.channels} channels, the image has "
            f"{pixels.shape[2]}"
        )
    if model.identity not in job.warm:
        work.warm_up([model], job.quiet)
        job.warm.add(model.identity)
    count = pixels.shape[0] * pixels.shape[1]
    with work.progress_bar(path.name, count * (1 + job.verify), job.quiet) as progress:
        start = time.perf_counter()
        data = idfz.compress(picture, model, job.effort, progress, job.embed, job.progressive)
        seconds = time.perf_counter() - start
        if job.verify:
            _check(idfz.decompress(idfz.parse(data), model, job.effort, progress)[0], picture)
    stored = idfz.store(source, picture.format)
    if len(stored) <= len(data):
        return stored, f"stored: the model gives {len(data)} bytes"
    bits = 8 * len(data) / pixels.size
    speed = count / 1e6 / seconds
    note = f"{bits:.3f} bits per subpixel, {speed:.2f} MP/s"
    if job.verbose:
        note += f", model {model.name} ({model.short.hex()})"
        note += ", verified" if job.verify else ", not verified"
    return data, note


def _check(found: Picture | idfz.Stored, expected: Picture | idfz.Stored) -> None:
    """Raise IdfzipError unless decoding gave back what was coded."""
    if isinstance(found, Picture) and isinstance(expected, Picture):
        same = np.array_equal(found.pixels, expected.pixels)
        same = same and found.metadata == expected.metadata
    elif isinstance(found, idfz.Stored) and isinstance(expected, idfz.Stored):
        same = found.data == expected.data
    else:
        same = False
    if not same:
        raise IdfzipError("the result does not decode to the source; nothing was written")
