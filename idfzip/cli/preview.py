"""`idfzip preview`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from idfzip.cli import files, sources, talk, work
from idfzip.cli.compress import SUFFIX
from idfzip.container import idfz, models
from idfzip.container import preview as previews
from idfzip.container.effort import Effort
from idfzip.errors import CutError, FormatError
from idfzip.images import writer

_FIRST = 1 << 16
"""Bytes that are read before it is known how many are needed."""


@click.command()
@click.argument("path", metavar="FILE.idfz", type=files.INPUT)
@click.option(
    "--fraction",
    type=work.FiniteRange(0, 1, min_open=True),
    help="Read this part of the file's bytes (1).",
)
@click.option("--levels", type=click.IntRange(1), help="Read so many levels, the coarsest first.")
@click.option("--sample", is_flag=True, help="Draw what was not read from the model.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="PNG.")
@work.model_option
@work.threads_option
@work.device_option
@work.batch_option
@work.pixels_option
@work.force_option
@work.quiet_option
def preview(
    path: Path,
    fraction: float | None,
    levels: int | None,
    sample: bool,
    output: Path | None,
    model: str | None,
    threads: int,
    device: str,
    max_batch: int | None,
    max_pixels: int,
    force: bool,
    quiet: bool,
) -> None:
    """Write a PNG of what the first part of FILE.idfz shows; the file may be cut.

    A file of 'compress --progressive' shows the whole image, ever finer; others show their first
    tiles and rows, palettes, bilevel images and CMYK nothing. Nothing is verified: the pixels are
    exact only as far as the file is sound.
    """
    if fraction is not None and levels is not None:
        raise click.UsageError("give --fraction or --levels, not both")
    target = output or files.STANDARD
    if output is None and path != files.STANDARD:
        target = path.with_name(path.name.removesuffix(SUFFIX) + ".preview.png")
    inputs = sources.inputs([path, Path(model)] if model else [path])
    files.check_free(target, force, inputs)

    effort = work.effort(threads, device, max_batch, quiet)

    def show(path: Path) -> None:
        data, size = _read(path, fraction, levels, max_pixels)
        start = _begun(data, size, max_pixels)
        head = previews.image_header(start)
        shown = _shown(start, sample, model, effort, quiet)
        rest = "all values" if shown.share == 1 else f"{100 * shown.share:.1f}% of the values"
        read = f"{len(data)} of {size} bytes read, {rest}; {head.width}x{head.height}"
        files.write(target, writer.write(shown.picture), force, inputs=inputs)
        talk.say(f"{path}: {read} in {target}, not verified", quiet)

    work.each([path], show)


def _shown(
    start: idfz.Start, sample: bool, model: str | None, effort: Effort, quiet: bool
) -> previews.Preview:
    """Return what a part of a file shows."""
    given = None if model is None else models.by_name(model)
    found = idfz.needed_models(start.file, given)
    work.warm_up(found, quiet, effort.device)
    return previews.preview(start, found, sample, effort)


def _begun(data: bytes, size: int, max_pixels: int) -> idfz.Start:
    """Return the parts of the first bytes of a file of that size."""
    try:
        return idfz.begin(data, max_pixels)
    except CutError:
        if len(data) == size:
            raise
        raise FormatError(
            f"the first {len(data)} bytes of {size} end within the header: read more"
        ) from None


def _read(
    path: Path, fraction: float | None, levels: int | None, max_pixels: int
) -> tuple[bytes, int]:
    """Return the part of a file that is asked for, and the file's size."""
    if not path.is_file():  # the standard input, a pipe, or a folder
        data = files.read(path)
        return data[: _wanted(data, len(data), fraction, levels, max_pixels)], len(data)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        count = _FIRST
        while True:  # until the header is whole
            file.seek(0)
            data = file.read(min(count, size))
            try:
                wanted = _wanted(data, size, fraction, levels, max_pixels)
                break
            except CutError:
                if count >= size:
                    raise
                count *= 4
        file.seek(0)
        return file.read(min(wanted, size)), size


def _wanted(
    data: bytes, size: int, fraction: float | None, levels: int | None, max_pixels: int
) -> int:
    """Return how many bytes of a file that begins with `data` are asked for."""
    if levels is not None:
        return previews.through(idfz.begin(data, max_pixels), levels)
    return size if fraction is None else max(1, int(fraction * size))
