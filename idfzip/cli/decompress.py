"""`idfzip decompress` and `idfzip test`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from idfzip.cli import files, work
from idfzip.cli.compress import SUFFIX
from idfzip.container import idfz, models
from idfzip.container.header import ImageHeader, StoredHeader
from idfzip.container.model_file import Model
from idfzip.errors import FormatError, IdfzipError, UnsupportedImage
from idfzip.images import convert, reader, writer
from idfzip.images.picture import Picture


def _warm(file: idfz.File, given: Model | None, quiet: bool, warm: set[str]) -> None:
    """Compile the kernels before the clock and the bar start."""
    if isinstance(file.head, ImageHeader):
        for model in idfz.needed_models(file, given):
            if model.identity not in warm:
                work.warm_up([model], quiet)
                warm.add(model.identity)


def _pixels(file: idfz.File) -> int:
    return 0 if isinstance(file.head, StoredHeader) else file.head.height * file.head.width


def _work(file: idfz.File) -> int:
    """Return the pixels that models go through."""
    return _pixels(file) * len(file.head.groups) if isinstance(file.head, ImageHeader) else 0


@click.command()
@click.argument(
    "paths", metavar="FILE.idfz...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Output, for one input.")
@click.option("-c", "--stdout", is_flag=True, help="Write to standard output.")
@click.option(
    "--format",
    "form",
    type=click.Choice([name.lower() for name in convert.SUFFIXES]),
    help="Format to write instead of the source's.",
)
@work.model_option
@work.threads_option
@work.pixels_option
@work.force_option
@click.option("--rm", "remove", is_flag=True, help="Remove each .idfz once its image is safe.")
@click.option("--salvage", is_flag=True, help="Write a damaged image with grey where tiles fail.")
@work.quiet_option
@work.verbose_option
def decompress(
    paths: tuple[Path, ...],
    output: Path | None,
    stdout: bool,
    form: str | None,
    model: str | None,
    threads: int,
    max_pixels: int,
    force: bool,
    remove: bool,
    salvage: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Write the image in each FILE.idfz to the name without .idfz, in the source's format.

    With --format the name ends as that format's files do.
    """
    reader.limit(max_pixels)
    files.one_output(paths, output)
    if remove and (stdout or salvage or files.STANDARD in paths):
        raise click.UsageError("--rm needs files in and out, and no --salvage")
    given = None if model is None else models.by_name(model)
    effort = work.effort(threads)
    warm: set[str] = set()

    def act(path: Path) -> None:
        target = _target(path, output, stdout, form)
        files.check_free(target, force)
        file = idfz.parse(files.read(path), max_pixels)
        _warm(file, given, quiet, warm)
        start = time.perf_counter()
        with work.progress_bar(path.name, _work(file), quiet) as progress:
            found, failed = idfz.decompress(file, given, effort, progress, salvage)
        seconds = time.perf_counter() - start
        data = _written(found, form)
        files.write(target, data, force, like=path)
        if failed:
            raise FormatError(f"{path}: grey in {target}: damaged tiles {_numbers(failed)}")
        if remove:
            os.unlink(path)
        note = f"{_pixels(file) / 1e6 / seconds:.2f} MP/s" if _pixels(file) else "stored"
        if verbose and isinstance(file.head, ImageHeader):
            note += f", model {', '.join(map(str, file.head.models)) or 'none'}"
        work.say(f"{path}: {len(data)} bytes in {target}, {note}", quiet)

    work.each(paths, act)


def _written(found: Picture | idfz.Stored, form: str | None) -> bytes:
    """Return the bytes of the file to write, of a format or of the source's own."""
    if form is None or found.format == form.upper():
        return writer.write(found) if isinstance(found, Picture) else found.data
    if isinstance(found, idfz.Stored):
        read = reader.read(found.data, "the stored file")
        if not isinstance(read, Picture):
            raise UnsupportedImage(
                f"a stored {found.format or 'file'} ({read.reason}): without --format it comes back"
            )
        found = read
    return writer.write(convert.converted(found, form.upper()))


def _numbers(values: list[int]) -> str:
    shown = ", ".join(map(str, values[:20]))
    return shown if len(values) <= 20 else f"{shown} and {len(values) - 20} more"


def _target(path: Path, output: Path | None, stdout: bool, form: str | None) -> Path:
    if stdout or (output is None and path == files.STANDARD):
        return files.STANDARD
    if output is not None:
        return output
    if path.suffix != SUFFIX or path.name == SUFFIX:
        raise IdfzipError(f"{path}: the name does not end in {SUFFIX}; name the output with -o")
    target = path.with_name(path.name[: -len(SUFFIX)])
    return target.with_suffix(convert.SUFFIXES[form.upper()]) if form else target


@click.command()
@click.argument(
    "paths", metavar="FILE.idfz...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@work.model_option
@work.threads_option
@work.pixels_option
@work.quiet_option
def test(
    paths: tuple[Path, ...], model: str | None, threads: int, max_pixels: int, quiet: bool
) -> None:
    """Decode each FILE.idfz and check it, without writing anything."""
    reader.limit(max_pixels)
    given = None if model is None else models.by_name(model)
    effort = work.effort(threads)
    warm: set[str] = set()

    def act(path: Path) -> None:
        file = idfz.parse(files.read(path), max_pixels)
        _warm(file, given, quiet, warm)
        with work.progress_bar(path.name, _work(file), quiet) as progress:
            idfz.decompress(file, given, effort, progress)
        work.say(f"{path}: ok", quiet)

    work.each(paths, act)
