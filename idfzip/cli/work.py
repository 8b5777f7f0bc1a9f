"""What the commands share: options, many files in turn, progress, the first run's compilation."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from idfzip.container.model_file import Model
from idfzip.container.tiling import Effort, Progress, all_cores
from idfzip.errors import IdfzipError

threads_option = click.option(
    "-T", "--threads", type=click.IntRange(0), default=0, help="Threads (0: all cores)."
)
model_option = click.option(
    "-m", "--model", metavar="MODEL", help="Model: a name, a hash or an .idfm file."
)
force_option = click.option("-f", "--force", is_flag=True, help="Overwrite the output.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Print more.")

_COMPILING_AFTER = 1.5
"""Seconds of warming up after which it is said that kernels are being compiled."""


def effort(threads: int) -> Effort:
    """Return how work is spread, for the option's value."""
    return Effort(threads or all_cores())


def say(text: str, quiet: bool = False) -> None:
    """Print a line of talk, which goes to standard error."""
    if not quiet:
        click.echo(text, err=True)


def each(paths: Iterable[Path], act: Callable[[Path], None]) -> None:
    """Act on every path; print the error of each that fails, and exit 1 if any did."""
    failed = 0
    for path in paths:
        try:
            act(path)
        except IdfzipError as error:
            text = str(error)
            say(f"idfzip: {text if text.startswith(str(path)) else f'{path}: {text}'}")
            failed = error.exit_code
        except MemoryError:
            say(f"idfzip: {path}: not enough memory")
            failed = 1
        except OSError as error:
            say(f"idfzip: {error.filename or path}: {error.strerror or error}")
            failed = 1
    if failed:
        sys.exit(failed)


def warm_up(models: Iterable[Model], quiet: bool) -> None:
    """Load or compile the kernels; say so where that takes long."""
    import numpy as np

    note = "compiling the kernels for this machine (first run only, about a minute) ..."
    timer = threading.Timer(_COMPILING_AFTER, say, (note, quiet))
    timer.daemon = True
    timer.start()
    try:
        for model in models:
            dot = np.zeros((model.codec.channels, 2, 2), np.int32)
            streams = model.architecture.encode(model.codec, [dot])
            model.architecture.decode(model.codec, streams, [(2, 2)])
    finally:
        timer.cancel()


@contextmanager
def progress_bar(name: str, pixels: int, quiet: bool) -> Iterator[Progress | None]:
    """Show a bar of pixels on a terminal; yield what to call with their numbers."""
    if quiet or not sys.stderr.isatty() or pixels < 250_000:
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=pixels, desc=name, unit="px", unit_scale=True, leave=False) as bar:
        lock = threading.Lock()

        def advance(count: int) -> None:
            with lock:
                bar.update(count)

        yield advance
