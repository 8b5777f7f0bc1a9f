"""`idfzip compress`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image

from idfzip.cli import files, tree, work
from idfzip.cli.tree import Outputs, Source
from idfzip.container import idfz, models
from idfzip.container.model_file import Model
from idfzip.container.tiling import Effort
from idfzip.errors import IdfzipError, ModelError
from idfzip.images import reader
from idfzip.images.picture import Picture
from idfzip.images.reader import Unread

SUFFIX = ".idfz"


@dataclass(frozen=True)
class Job:
    """The options of one call."""

    model: Model | None
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
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Output; with -r, or of several files, an archive (.idfz) of them all.",
)
@click.option("-c", "--stdout", is_flag=True, help="Write to standard output.")
@tree.recursive_option
@tree.output_dir_option
@work.model_option
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
    recursive: bool,
    output_dir: Path | None,
    model: str | None,
    embed_model: bool,
    threads: int,
    force: bool,
    remove: bool,
    no_verify: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Write FILE.idfz beside each image FILE (- is standard input).

    With -r, FILE may be a folder: all images below it are meant, other files are left out, links
    to folders are not followed. -o then names an archive of all of them.

    The pixels are decoded again and compared before anything is written. A file that no model
    codes, or that would not get smaller, is kept as it is inside.
    """
    if stdout and recursive:
        output = files.STANDARD
    archive = output is not None and (recursive or len(paths) > 1)
    if output is not None and not recursive and output.suffix != SUFFIX:
        files.one_output(paths, output)
    if output_dir is not None and (output is not None or stdout):
        raise click.UsageError("--output-dir does not go with -o or -c")
    Image.MAX_IMAGE_PIXELS = reader.MAX_PIXELS // 2
    if remove and (no_verify or stdout or files.STANDARD in (*paths, output)):
        raise click.UsageError("--rm needs files in and out, and the verification")
    given = None if model is None else models.by_name(model)
    effort = work.effort(threads)
    if given is not None and not embed_model and not models.is_released(given):
        work.say(
            f"model {given.name} is not one of idfzip's: keep its file, decompressing needs it "
            "(--embed-model puts it into the output)",
            quiet,
        )
    job = Job(given, embed_model, effort, force, remove, not no_verify, quiet, verbose, set())

    failures = work.Failures()
    found = tree.find(paths, recursive, _left_out, failures)
    if output is not None and archive:
        from idfzip.cli import pack

        with failures.caught(output):
            pack.pack(found.sources, output, job, failures)
    else:
        outputs = Outputs(output_dir)
        for source in found.sources:
            target = output or outputs.place(source, source.path.name + SUFFIX)
            if stdout or (output is None and source.path == files.STANDARD):
                target = files.STANDARD
            with failures.caught(source.path):
                _one(source, outputs, target, job)
        outputs.finish()
    found.say(quiet)
    failures.exit()


def _left_out(path: Path) -> str:
    meant = path.suffix != SUFFIX and tree.is_image(path)
    return "" if meant else "files that are no images"


def _one(source: Source, outputs: Outputs, target: Path, job: Job) -> None:
    path = source.path
    files.check_free(target, job.force)
    before = files.read(path)
    data, note = encoded(path, before, reader.read(before, str(path)), job)
    outputs.claim(target, source)
    files.write(target, data, job.force, files.look(path))
    if job.remove:
        os.unlink(path)
    share = 100 * len(data) / len(before)
    work.say(f"{path}: {len(before)} -> {len(data)} bytes ({share:.1f}%), {note}", job.quiet)


def encoded(path: Path, source: bytes, found: Picture | Unread, job: Job) -> tuple[bytes, str]:
    """Return the `.idfz` file of what was read from a file's bytes, and what to say of it."""
    if isinstance(found, Picture):
        return _coded(path, source, found, job)
    data = idfz.store(source, found.format)
    check(idfz.decompress(idfz.parse(data), None, job.effort)[0], idfz.Stored(source, ""))
    return data, f"stored: {found.reason}"


def model_for(path: Path, picture: Picture, job: Job) -> Model:
    """Return the model for a picture, its kernels ready; raises ModelError if it does not fit."""
    channels = picture.pixels.shape[2]
    model = job.model or models.released(channels)
    if model.codec.channels != channels:
        raise ModelError(
            f"{path}: model {model.name} codes {model.codec.channels} channels, the image has "
            f"{channels}"
        )
    if model.identity not in job.warm:
        work.warm_up([model], job.quiet)
        job.warm.add(model.identity)
    return model


def _coded(path: Path, source: bytes, picture: Picture, job: Job) -> tuple[bytes, str]:
    """Return the `.idfz` file of a picture, and what to say of it."""
    pixels = picture.pixels
    model = model_for(path, picture, job)
    count = pixels.shape[0] * pixels.shape[1]
    with work.progress_bar(path.name, count * (1 + job.verify), job.quiet) as progress:
        start = time.perf_counter()
        data = idfz.compress(picture, model, job.effort, progress, job.embed)
        seconds = time.perf_counter() - start
        if job.verify:
            check(idfz.decompress(idfz.parse(data), model, job.effort, progress)[0], picture)
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


def check(found: Picture | idfz.Stored, expected: Picture | idfz.Stored) -> None:
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
