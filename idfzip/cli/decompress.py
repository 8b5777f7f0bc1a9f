"""`idfzip decompress` and `idfzip test`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import click
from PIL import Image

from idfzip.cli import files, sources, talk, tree, unpack, work
from idfzip.cli.compress import SUFFIX
from idfzip.cli.tree import Outputs, Source
from idfzip.container import archive, idfz, models
from idfzip.container.header import ImageHeader, StoredHeader
from idfzip.container.index import Entry
from idfzip.container.region import Region
from idfzip.errors import FormatError, IdfzipError, UnsupportedImage
from idfzip.images import convert, reader, writer
from idfzip.images.picture import Picture


def _warm(file: idfz.File, job: unpack.Job) -> None:
    """Compile the kernels before the clock and the bar start."""
    if isinstance(file.head, ImageHeader):
        job.warm.up(idfz.needed_models(file, job.model), job.quiet, job.effort.device)


def _pixels(file: idfz.File) -> int:
    return 0 if isinstance(file.head, StoredHeader) else file.head.height * file.head.width


def _work(file: idfz.File, part: Region | None = None) -> int:
    """Return the pixels that models go through."""
    if not isinstance(file.head, ImageHeader):
        return 0
    boxes = [box for box in file.head.boxes if part is None or part.meets(box)]
    return sum(box[2] * box[3] for box in boxes) * len(file.head.groups)


@click.command()
@click.argument("paths", metavar="FILE.idfz...", nargs=-1, required=True, type=files.INPUT)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Output, for one input.")
@click.option("-c", "--stdout", is_flag=True, help="Write to standard output.")
@tree.recursive_option
@tree.output_dir_option
@click.option("--member", "members", metavar="NAME", multiple=True, help="Of an archive, this one.")
@click.option(
    "--format",
    "form",
    type=click.Choice([name.lower() for name in convert.SUFFIXES]),
    help="Format to write instead of the source's.",
)
@work.region_option
@work.model_option
@work.threads_option
@work.device_option
@work.batch_option
@work.pixels_option
@work.force_option
@click.option("--rm", "remove", is_flag=True, help="Remove each .idfz once its image is safe.")
@click.option(
    "--salvage", is_flag=True, help="Write a damaged or cut image with grey where tiles fail."
)
@work.quiet_option
@work.verbose_option
def decompress(
    paths: tuple[Path, ...],
    output: Path | None,
    stdout: bool,
    recursive: bool,
    output_dir: Path | None,
    members: tuple[str, ...],
    form: str | None,
    part: Region | None,
    model: str | None,
    threads: int,
    device: str,
    max_batch: int | None,
    max_pixels: int,
    force: bool,
    remove: bool,
    salvage: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Write the image in each FILE.idfz to the name without .idfz, in the source's format.

    The images of an archive go into a folder of that name, or into that of --output-dir. With -r,
    every .idfz below a folder is meant. With --format names end as that format's files do.

    With --region only the tiles that hold some of these pixels are decoded.
    """
    reader.limit(max_pixels)
    files.one_output(paths, output)
    tree.one_place(output, stdout, output_dir)
    piped = output is not None and files.is_piped(output)
    piped = piped or stdout or files.STANDARD in paths
    if remove and (piped or salvage or members or part or form):
        raise click.UsageError(
            "--rm needs files in and out; no --salvage, --member, --region, --format"
        )
    given = None if model is None else models.by_name(model)
    effort = work.effort(threads, device, max_batch, quiet)
    failures = work.Failures()
    found = tree.find(paths, recursive, _left_out, failures)
    read = [source.path for source in found.sources]
    outputs = Outputs(output_dir, sources.inputs([*read, Path(model)] if model else read))
    job = unpack.Job(
        given,
        effort,
        force,
        salvage,
        max_pixels,
        lambda found: _written(found, form, max_pixels),
        quiet,
        work.Warm(),
        part,
        outputs,
    )

    def act(source: Source) -> None:
        stamp = sources.stamp(source.path) if remove else None
        with files.opened(source.path) as file:
            if archive.is_archive(file):
                where = _members_place(source, outputs, output, stdout, output_dir, members, form)
                done = unpack.extract(file, source.path, where, members, job, failures)
                if done and stamp is not None:
                    sources.remove(stamp)
            elif members:
                raise FormatError(f"{source.path}: one image, not an archive: no --member")
            else:
                one(source, file, stamp)

    def one(source: Source, opened: BinaryIO, stamp: sources.Stamp | None) -> None:
        path = source.path
        target = _target(source, outputs, output, stdout, form)
        files.check_free(target, force, outputs.inputs)
        file = idfz.parse(files.whole(opened), max_pixels, salvage)
        _warm(file, job)
        start = time.perf_counter()
        with work.progress_bar(path.name, _work(file, part), quiet) as progress:
            found, failed = idfz.decompress(file, given, effort, progress, salvage, part)
        seconds = time.perf_counter() - start
        data = _written(found, form, max_pixels)
        outputs.claim(target, source)
        outputs.write(target, data, force, files.look(path))
        if failed:
            raise FormatError(f"{path}: grey in {target}: damaged tiles {_numbers(failed)}")
        if stamp is not None:
            sources.remove(stamp)
        pixels = part.width * part.height if part else _pixels(file)
        note = f"{pixels / 1e6 / seconds:.2f} MP/s" if _pixels(file) else "stored"
        if verbose and isinstance(file.head, ImageHeader):
            note += f", model {', '.join(map(str, file.head.models)) or 'none'}"
        talk.say(f"{path}: {len(data)} bytes in {target}, {note}", quiet)

    def tried(source: Source) -> None:
        with failures.caught(source.path):
            act(source)

    tree.side_by_side(found.sources, tried, effort)
    outputs.finish()
    failures.exit()


def _written(found: Picture | idfz.Stored, form: str | None, max_pixels: int) -> bytes:
    """Return the bytes of the file to write, of a format or of the source's own."""
    if form is None or found.format == form.upper():
        return writer.write(found) if isinstance(found, Picture) else found.data
    if isinstance(found, idfz.Stored):
        read = reader.read(found.data, "the stored file", max_pixels)
        if not isinstance(read, Picture):
            raise UnsupportedImage(
                f"a stored {found.format or 'file'} ({read.reason}): without --format it comes back"
            )
        found = read
    return writer.write(convert.converted(found, form.upper()))


def _numbers(values: list[int]) -> str:
    shown = ", ".join(map(str, values[:20]))
    return shown if len(values) <= 20 else f"{shown} and {len(values) - 20} more"


def _target(
    source: Source, outputs: Outputs, output: Path | None, stdout: bool, form: str | None
) -> Path:
    """Return where the image of a file goes."""
    path = source.path
    if stdout or (output is None and outputs.folder is None and path == files.STANDARD):
        return files.STANDARD
    if output is not None:
        return output
    return _ending(outputs.place(source, _stem(path)), form)


def _ending(path: Path, form: str | None) -> Path:
    """Return a name that ends as a format's files do, in place of how it ends as an image's."""
    if not form:
        return path
    is_images = path.suffix.lower() in Image.registered_extensions()
    return path.with_name((path.stem if is_images else path.name) + convert.SUFFIXES[form.upper()])


def _stem(path: Path) -> str:
    if path.suffix != SUFFIX or path.name == SUFFIX:
        raise IdfzipError(f"{path}: the name does not end in {SUFFIX}; name the output with -o")
    return path.name[: -len(SUFFIX)]


def _members_place(
    source: Source,
    outputs: Outputs,
    output: Path | None,
    stdout: bool,
    folder: Path | None,
    members: Sequence[str],
    form: str | None,
) -> Callable[[Entry], Path]:
    """Return what says where an archive's members go."""
    path = source.path
    single = files.STANDARD if stdout else output

    def ending(target: Path) -> Path:
        return _ending(target, form)

    if single is not None and len(set(members)) == 1:
        return lambda entry: single
    if stdout or output == files.STANDARD:
        raise IdfzipError(f"{path}: an archive: name one of its images with --member for a pipe")
    if output is not None:
        return unpack.inside(output, ending)
    if folder is not None and source.top is None:
        return unpack.inside(folder, ending)
    if path == files.STANDARD:
        raise IdfzipError("an archive: name a folder for its images with --output-dir")
    return unpack.inside(outputs.place(source, _stem(path)), ending)


def _left_out(path: Path) -> str:
    return "" if path.suffix == SUFFIX else f"files without {SUFFIX}"


@click.command()
@click.argument("paths", metavar="FILE.idfz...", nargs=-1, required=True, type=files.INPUT)
@tree.recursive_option
@work.model_option
@work.threads_option
@work.device_option
@work.batch_option
@work.pixels_option
@work.quiet_option
def test(
    paths: tuple[Path, ...],
    recursive: bool,
    model: str | None,
    threads: int,
    device: str,
    max_batch: int | None,
    max_pixels: int,
    quiet: bool,
) -> None:
    """Decode each FILE.idfz and check it, without writing anything; with -r, all below folders."""
    reader.limit(max_pixels)
    given = None if model is None else models.by_name(model)
    effort = work.effort(threads, device, max_batch, quiet)
    failures = work.Failures()
    job = unpack.Job(given, effort, False, False, max_pixels, lambda found: b"", quiet, work.Warm())

    def act(source: Source) -> None:
        path = source.path
        with failures.caught(path), files.opened(path) as opened:
            if archive.is_archive(opened):
                unpack.test(opened, path, job, failures)
                return
            file = idfz.parse(files.whole(opened), max_pixels)
            _warm(file, job)
            with work.progress_bar(path.name, _work(file), quiet) as progress:
                idfz.decompress(file, given, effort, progress)
            talk.say(f"{path}: ok", quiet)

    found = tree.find(paths, recursive, _left_out, failures)
    tree.side_by_side(found.sources, act, effort)
    failures.exit()
