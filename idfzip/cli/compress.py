"""`idfzip compress`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from idfzip.cli import files, painting, sources, talk, tree, work
from idfzip.cli.job import Job, check
from idfzip.cli.tree import Outputs, Source
from idfzip.container import choice, idfz, models
from idfzip.container import lossy as lossy_files
from idfzip.container.plan import Part, plan
from idfzip.images import reader, trial
from idfzip.images.picture import Picture
from idfzip.images.reader import Unread

SUFFIX = ".idfz"


@click.command()
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=files.INPUT)
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
@click.option("--progressive", is_flag=True, help="Code from coarse to fine, for previews.")
@click.option("--lossy", is_flag=True, help="Write smaller files of pictures that are alike only.")
@click.option("--lossy-first", is_flag=True, help="Begin a lossless file with a lossy picture.")
@click.option(
    "--quality",
    type=click.IntRange(1, lossy_files.MOST_QUALITY),
    help="Of the lossy picture, 1 (smallest) to 100; with --lossy "
    f"{lossy_files.DEFAULT_QUALITY} if not given, with --lossy-first {lossy_files.FIRST_QUALITY}.",
)
@click.option("--embed-model", is_flag=True, help="Put the model into the output.")
@work.effort_option
@work.threads_option
@work.device_option
@work.batch_option
@work.pixels_option
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
    progressive: bool,
    lossy: bool,
    lossy_first: bool,
    quality: int | None,
    embed_model: bool,
    level: int,
    threads: int,
    device: str,
    max_batch: int | None,
    max_pixels: int,
    force: bool,
    remove: bool,
    no_verify: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Write FILE.idfz beside each image FILE (- is standard input).

    With -r, FILE may be a folder: all images below it are meant, other files are left out, links
    to folders are not followed. -o then names an archive of all of them.

    The pixels are decoded again and compared before anything is written. The smallest is taken
    of what models make, of other codecs' files where that is worth trying, and of the file as it
    is, which is also kept where it cannot be decoded without loss. With --progressive models
    alone are tried, unless the file as it is is smaller; with --lossy-first, too, where -m names
    the lossy model or that of the rest.

    With --lossy the file holds the picture that a model paints, which is the same wherever it is
    decoded; alpha is kept as it is. A source that is smaller than that is kept itself. Only grey
    and RGB of 8 bits are coded so.
    """
    tree.one_place(output, stdout, output_dir)
    if output_dir is not None and files.STANDARD in paths:
        raise click.UsageError("--output-dir needs files in: - has no name; use -o")
    if stdout and recursive:
        output = files.STANDARD
    archive = output is not None and (recursive or len(paths) > 1)
    if output is not None and not recursive and output.suffix != SUFFIX:
        files.one_output(paths, output)
    if quality is not None and not (lossy or lossy_first):
        raise click.UsageError("--quality needs --lossy or --lossy-first")
    if lossy_first and (lossy or progressive):
        raise click.UsageError("--lossy-first does not go with --lossy or --progressive")
    if (lossy or lossy_first) and archive:
        flag = "--lossy" if lossy else "--lossy-first"
        raise click.UsageError(f"{flag} does not go with archives: use --output-dir")
    reader.limit(max_pixels)
    piped = output is not None and files.is_piped(output)
    if remove and (no_verify or stdout or piped or files.STANDARD in paths):
        raise click.UsageError("--rm needs files in and out, and the verification")
    if lossy:
        quality = quality or lossy_files.DEFAULT_QUALITY
    given = None if model is None else models.by_name(model)
    effort = work.effort(threads, device, max_batch, quiet)
    if given is not None and not embed_model and not models.is_released(given):
        talk.say(
            f"model {given.name} is not one of idfzip's: keep its file, decompressing needs it "
            "(--embed-model puts it into the output)",
            quiet,
        )
    failures = work.Failures()
    found = tree.find(paths, recursive, _left_out, failures)
    read = [source.path for source in found.sources]
    job = Job(
        given,
        quality,
        lossy_first,
        progressive,
        embed_model,
        effort,
        level,
        max_pixels,
        force,
        remove,
        not no_verify,
        quiet,
        verbose,
        work.Warm(),
        sources.inputs(read if model is None else [*read, Path(model)]),
    )
    if output is not None and archive:
        from idfzip.cli import pack

        with failures.caught(output):
            pack.pack(found.sources, output, job, failures)
    else:
        outputs = Outputs(output_dir, job.inputs)

        def act(source: Source) -> None:
            with failures.caught(source.path):
                piped = stdout or (output is None and source.path == files.STANDARD)
                target = output or files.STANDARD
                if output is None and not piped:
                    target = outputs.place(source, source.path.name + SUFFIX)
                _one(source, outputs, target, job)

        tree.side_by_side(found.sources, act, effort)
        outputs.finish()
    found.say(quiet)
    failures.exit()


def _left_out(path: Path) -> str:
    meant = path.suffix != SUFFIX and tree.is_image(path)
    return "" if meant else "files that are no images"


def _one(source: Source, outputs: Outputs, target: Path, job: Job) -> None:
    path = source.path
    files.check_free(target, job.force, outputs.inputs)
    stamp = sources.stamp(path) if job.remove else None
    before = files.read(path)
    data, note = encoded(path, before, trial.read(before, str(path), job.max_pixels), job)
    outputs.claim(target, source)
    outputs.write(target, data, job.force, files.look(path))
    if stamp is not None:
        sources.remove(stamp)
    share = 100 * len(data) / len(before)
    talk.say(f"{path}: {len(before)} -> {len(data)} bytes ({share:.1f}%), {note}", job.quiet)


def encoded(path: Path, source: bytes, found: Picture | Unread, job: Job) -> tuple[bytes, str]:
    """Return the `.idfz` file of what was read from a file's bytes, and what to say of it."""
    if isinstance(found, Picture) and job.first:
        return painting.lossless_file(path, source, found, job)
    if isinstance(found, Picture) and job.quality is not None:
        return painting.lossy_file(path, source, found, job)
    if isinstance(found, Picture):
        return _coded(path, source, found, job)
    data = idfz.store(source, found.format)
    check(idfz.decompress(idfz.parse(data), None, job.effort)[0], idfz.Stored(source, ""))
    return data, f"stored: {found.reason}"


def planned(picture: Picture, job: Job) -> list[Part]:
    """Return a picture's planes and the models to code them, whose kernels are ready."""
    parts = plan(picture, job.model, job.level, job.progressive)
    tried = (model for part in parts for model in part.models)
    job.warm.up(tried, job.quiet, job.effort.device)
    return parts


def _coded(path: Path, source: bytes, picture: Picture, job: Job) -> tuple[bytes, str]:
    """Return the `.idfz` file of a picture, and what to say of it."""
    pixels = picture.pixels
    parts = planned(picture, job)
    count = pixels.shape[0] * pixels.shape[1]
    passes = sum(len(part.models) for part in parts) + len(parts) * job.verify
    with work.progress_bar(path.name, count * passes, job.quiet) as progress:
        start = time.perf_counter()
        found = choice.smallest(
            picture,
            source,
            job.model,
            job.effort,
            job.level,
            progress,
            job.embed,
            job.progressive,
        )
        seconds = time.perf_counter() - start
        if job.verify:
            file = idfz.parse(found.data, job.max_pixels)
            back = idfz.decompress(file, job.model, job.effort, progress)[0]
            stored = found.winner == "source"
            check(back, idfz.Stored(source, picture.format) if stored else picture)
    speed = f"{count / 1e6 / seconds:.2f} MP/s"
    note = f"{work.winner(found.winner, found.sizes)}, {speed}"
    if found.winner != "source":
        note = f"{8 * len(found.data) / pixels.size:.3f} bits per subpixel, {note}"
    if job.verbose:
        named = [f"{m.name} ({m.short.hex()})" for part in parts for m in part.models]
        note += f", models tried: {', '.join(named) or 'none'}"
        note += ", verified" if job.verify else ", not verified"
    return found.data, note
