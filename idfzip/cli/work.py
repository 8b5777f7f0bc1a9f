"""What the commands share: options, many files in turn, progress, the first run's compilation."""

from __future__ import annotations

import errno
import math
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from idfzip.cli.talk import is_terminal, say
from idfzip.codecs import flagship
from idfzip.codecs.flagship import Flagship
from idfzip.container import devices
from idfzip.container.devices import Device
from idfzip.container.effort import Effort, Progress, all_cores
from idfzip.container.model_file import Model
from idfzip.container.models import DEFAULT_LEVEL
from idfzip.container.region import Region
from idfzip.errors import IdfzipError
from idfzip.images import reader

threads_option = click.option(
    "-T", "--threads", type=click.IntRange(0), default=0, help="Threads (0: all cores)."
)
model_option = click.option(
    "-m", "--model", metavar="MODEL", help="Model: a name, a hash or an .idfm file."
)
effort_option = click.option(
    "--effort",
    "level",
    type=click.IntRange(1, 9),
    default=DEFAULT_LEVEL,
    show_default=True,
    help="How much is tried, 1 to 9: work, not time.",
)
pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=reader.MAX_PIXELS,
    show_default=True,
    help="Larger images are not decoded.",
)


class DeviceType(click.ParamType[str]):
    """The name of a device."""

    name = "auto|cpu|cuda[:N]"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """Return the name; a usage error for what is none."""
        if not devices.is_name(str(value)):
            self.fail(f"{value!r}: auto, cpu, cuda or cuda:N expected", param, context)
        return str(value)


device_option = click.option(
    "--device",
    type=DeviceType(),
    default=devices.AUTO,
    show_default=True,
    help="Where to code: a GPU gives the same files.",
)
batch_option = click.option(
    "--max-batch",
    type=click.IntRange(1),
    metavar="PIXELS",
    help="Most pixels that a GPU codes at once (default: what its memory holds).",
)


class FiniteRange(click.FloatRange):
    """A number within limits, and not NaN, which is within all."""

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> float:
        """Return the number; a usage error for what is none."""
        found = float(super().convert(value, param, context))
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a number to count with", param, context)
        return found


class RegionType(click.ParamType[Region]):
    """Four whole numbers X,Y,W,H."""

    name = "X,Y,W,H"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Region:
        """Return the region; a usage error for anything else."""
        if isinstance(value, Region):
            return value
        fields = str(value).split(",")
        if len(fields) != 4 or not all(re.fullmatch("[0-9]{1,10}", field) for field in fields):
            self.fail(f"{value!r}: four whole numbers X,Y,W,H expected", param, context)
        found = Region(*map(int, fields))
        if not (found.width and found.height):
            self.fail(f"{value!r}: W and H must be at least 1", param, context)
        return found


region_option = click.option(
    "--region", "part", type=RegionType(), help="Only these pixels: left, top, width, height."
)
force_option = click.option("-f", "--force", is_flag=True, help="Overwrite the output.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Print more.")

_COMPILING_AFTER = 1.5
"""Seconds of warming up after which it is said that kernels are being compiled."""


def effort(
    threads: int, device: str = devices.CPU, max_batch: int | None = None, quiet: bool = False
) -> Effort:
    """Return how work is spread, for the options' values; raises DeviceError."""
    count = threads or all_cores()

    def warn(text: str) -> None:
        say(f"idfzip: warning: {text}", quiet)

    return Effort(count, device=devices.find(device, count, max_batch, warn))


def counted(count: int, noun: str) -> str:
    """Return how many there are of something, in words."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class Failures:
    """Prints errors as they come, and exits with their code when all else is done."""

    def __init__(self) -> None:
        self.code = self.count = 0

    @contextmanager
    def caught(self, path: Path | str) -> Iterator[None]:
        """Print the error with which work on `path` fails, and go on after it."""
        try:
            yield
        except IdfzipError as error:
            text = str(error)
            self.note(text if text.startswith(str(path)) else f"{path}: {text}", error.exit_code)
        except MemoryError:
            self.note(f"{path}: not enough memory")
        except OSError as error:
            if error.errno == errno.EPIPE:  # nobody reads on: the end, and a quiet one
                raise
            self.note(f"{error.filename or path}: {error.strerror or error}")

    def note(self, text: str, code: int = 1) -> None:
        """Print an error."""
        say(f"idfzip: {text}")
        self.code = code
        self.count += 1

    def exit(self) -> None:
        """Exit if anything failed."""
        if self.code:
            sys.exit(self.code)


def each(paths: Iterable[Path], act: Callable[[Path], None]) -> None:
    """Act on every path; print the error of each that fails, and exit 1 if any did."""
    failures = Failures()
    for path in paths:
        with failures.caught(path):
            act(path)
    failures.exit()


_WORDS = {"models": "models", "source": "the file as it is", "webp": "WebP", "png": "PNG"}


def winner(name: str, sizes: Mapping[str, int]) -> str:
    """Return which representation was taken, and how large the others would be."""
    others = [f"{_WORDS[other]} {size}" for other, size in sizes.items() if other != name]
    stored = "stored: " if name == "source" else "by "
    return f"{stored}{_WORDS[name]}" + (f" ({', '.join(others)} bytes)" if others else "")


def warm_up(models: Iterable[Model], quiet: bool, device: Device | None = None) -> None:
    """Load or compile the kernels; say so where that takes long.

    Also say so where a device that was named leaves a model to the processor.
    """
    import numpy as np

    note = "compiling the kernels for this machine (first run only, about a minute) ..."
    timer = threading.Timer(_COMPILING_AFTER, say, (note, quiet))
    timer.daemon = True
    timer.start()
    try:
        for model in models:
            if device is not None and not device.codes(model.codec):
                say(f"model {model.name} is coded on the processor, not on {device}", quiet)
            dot = np.zeros((model.codec.channels, 2, 2), np.int32)
            if isinstance(model.codec, Flagship):
                picture = dot if model.codec.looks else None
                streams = flagship.encode(model.codec, [dot], picture=picture)
                flagship.decode(model.codec, streams, [(2, 2)], picture=picture)
                continue
            streams = model.architecture.encode(model.codec, [dot])
            model.architecture.decode(model.codec, streams, [(2, 2)])
    finally:
        timer.cancel()


class Warm:
    """The models whose kernels are ready, for one command's threads."""

    def __init__(self) -> None:
        self._ready: set[str] = set()
        self._lock = threading.Lock()

    def up(self, models: Iterable[Model], quiet: bool, device: Device | None) -> None:
        """Warm up for those that are not ready."""
        with self._lock:
            for model in models:
                if model.identity not in self._ready:
                    warm_up([model], quiet, device)
                    self._ready.add(model.identity)


@contextmanager
def progress_bar(name: str, pixels: int, quiet: bool) -> Iterator[Progress | None]:
    """Show a bar of pixels on a terminal; yield what to call with their numbers."""
    if quiet or not is_terminal() or pixels < 250_000:
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=pixels, desc=name, unit="px", unit_scale=True, leave=False) as bar:
        lock = threading.Lock()

        def advance(count: int) -> None:
            with lock:
                bar.update(count)

        yield advance


@contextmanager
def count_bar(count: int, quiet: bool) -> Iterator[Callable[[int], object]]:
    """Show a bar of images on a terminal; yield what to call with their numbers."""
    if quiet or not is_terminal():
        yield lambda done: None
        return
    from tqdm import tqdm

    with tqdm(total=count, unit=" images", leave=False) as bar:
        yield bar.update
