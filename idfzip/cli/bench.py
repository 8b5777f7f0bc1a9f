"""`idfzip bench`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource
from PIL import Image

from idfzip.cli import files, sources, talk, work
from idfzip.images import reader

if TYPE_CHECKING:
    from idfzip.bench.codecs import How
    from idfzip.bench.run import Result, Survey

INTERRUPTED = 130
"""Exit code after an interrupt, as of a shell."""

_output = click.Path(path_type=Path)


@click.command()
@click.argument(
    "paths", metavar="FOLDER|FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--codec", "names", metavar="NAME", multiple=True, help="Codec (default: all).")
@click.option(
    "-m", "--model", "models", metavar="MODEL", multiple=True, help="A model to compare as well."
)
@click.option("--json", "as_json", type=_output, metavar="FILE", help="Write figures as JSON.")
@click.option("--csv", "as_csv", type=_output, metavar="FILE", help="Write the table as CSV.")
@click.option("--plot", type=_output, metavar="FILE", help="Draw size against speed (needs bench).")
@click.option("--lossy", is_flag=True, help="Compare lossy codecs: bits against likeness.")
@click.option("--per-image", is_flag=True, help="Show every image's bits as well.")
@click.option("--repeat", type=click.IntRange(1), default=3, help="Times to repeat (default: 3).")
@click.option("--tile", type=click.IntRange(1), help="Cut mosaics into such squares.")
@work.threads_option
@work.device_option
@work.batch_option
@work.force_option
@work.quiet_option
def bench(
    paths: tuple[Path, ...],
    names: tuple[str, ...],
    models: tuple[str, ...],
    as_json: Path | None,
    as_csv: Path | None,
    plot: Path | None,
    lossy: bool,
    per_image: bool,
    repeat: int,
    tile: int | None,
    threads: int,
    device: str,
    max_batch: int | None,
    force: bool,
    quiet: bool,
) -> None:
    """Compare idfzip with other lossless codecs on the images in FOLDERs, or on FILEs.

    Every result is decoded and compared. All codecs are measured on the same images: what one of
    them cannot hold is left out for all, and said. Ctrl-C prints what is done so far. More codecs
    come with pip install 'idfzip[bench]'.

    With --lossy, lossy codecs paint every image at a ladder of qualities instead (-m names lossy
    models): bits a pixel, PSNR and MS-SSIM, and --plot draws the curves.
    """
    from idfzip.bench import codecs, report, run, sample
    from idfzip.bench import plot as plots

    inputs = sources.inputs([*sample.files(paths), *map(Path, models)])
    written = [path for path in (as_json, as_csv, plot) if path is not None]
    if len(set(written)) < len(written):
        raise click.UsageError("--json, --csv and --plot need files of their own")
    for path in written:
        files.check_free(path, force, inputs)
        files.check_folder(path)
    if plot is not None:
        plots.check(plot.suffix)
    Image.MAX_IMAGE_PIXELS = reader.MAX_PIXELS // 2
    how = codecs.How(work.effort(threads).threads, device, max_batch)
    if lossy:
        context, default = click.get_current_context(), ParameterSource.DEFAULT
        for option in ("repeat", "tile"):
            if context.get_parameter_source(option) != default:
                raise click.UsageError(f"--{option} does not go with --lossy")
        _lossy(paths, names, models, how, as_json, as_csv, plot, per_image)
        return
    survey, result = _prepare(paths, names, models, tile or 0, how, quiet)
    total = sum(i.count for images in run.held(result, survey).values() for i in images)
    with _bar(total * len(result.codecs) * repeat, quiet) as advance:
        run.run(result, survey, repeat, advance)
    _tell(report.to_text(result, per_image), written)
    _write(result, as_json, as_csv, plot, per_image, force)
    if result.interrupted:
        sys.exit(INTERRUPTED)
    asked = any(missing.name in names for missing in result.missing)
    if result.failures or asked or any(left.damaged for left in result.left):
        sys.exit(1)


def _lossy(
    paths: Sequence[Path],
    names: Sequence[str],
    models: Sequence[str],
    how: How,
    as_json: Path | None,
    as_csv: Path | None,
    plot: Path | None,
    per_image: bool,
) -> None:
    """Compare lossy codecs, and write what was asked for; exits as `bench`."""
    from idfzip.bench import lossy, painters
    from idfzip.bench import plot as plots

    chosen = painters.choose(painters.listed(models, how), names, models)
    here = [p for p in chosen if isinstance(p, painters.Painter)]
    work.warm_up([model for painter in here for model in painter.models], True)
    result = lossy.run(paths, chosen)
    _tell(lossy.to_text(result), [as_json, as_csv, plot])
    if as_json is not None:
        text = json.dumps(lossy.to_json(result, per_image), indent=1)
        files.write(as_json, f"{text}\n".encode(), force=True)
    if as_csv is not None:
        files.write(as_csv, lossy.to_csv(result).encode(), force=True)
    if plot is not None:
        files.write(plot, plots.draw_lossy(result, plot.suffix), force=True)
    if result.interrupted:
        sys.exit(INTERRUPTED)
    if result.failures or any(missing.name in names for missing in result.missing):
        sys.exit(1)


def _tell(text: str, written: Sequence[Path | None]) -> None:
    """Print a table, on standard error where the standard output is for a file."""
    click.echo(text, err=files.STANDARD in written)


def _prepare(
    paths: Sequence[Path],
    names: Sequence[str],
    models: Sequence[str],
    tile: int,
    how: How,
    quiet: bool,
) -> tuple[Survey, Result]:
    """Return the images and the codecs to compare, with idfzip's kernels warm."""
    from idfzip.bench import codecs, run

    given = codecs.with_models(models, how)
    survey = run.survey(paths, tile)
    result = run.plan(survey, [*given, *codecs.choose(codecs.listed(how), names)])
    work.warm_up([model for codec in result.codecs for model in codec.models], quiet)
    return survey, result


@contextmanager
def _bar(pixels: int, quiet: bool) -> Iterator[Callable[[int], object] | None]:
    """Show a bar of pixels on a terminal, over all codecs and repeats."""
    if quiet or not talk.is_terminal():
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=pixels, unit="px", unit_scale=True, leave=False) as bar:
        yield bar.update


def _write(
    result: Result,
    as_json: Path | None,
    as_csv: Path | None,
    plot: Path | None,
    per_image: bool,
    force: bool,
) -> None:
    from idfzip.bench import table

    if as_json is not None:
        text = json.dumps(table.to_json(result, per_image), indent=1)
        files.write(as_json, f"{text}\n".encode(), force)
    if as_csv is not None:
        files.write(as_csv, table.to_csv(result).encode(), force)
    if plot is not None:
        from idfzip.bench import plot as plots

        files.write(plot, plots.draw(result, plot.suffix), force)
