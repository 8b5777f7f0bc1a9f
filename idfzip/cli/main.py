"""The group of commands, and how errors become lines and exit codes."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from idfzip import __version__
from idfzip.cli.talk import say
from idfzip.errors import IdfzipError

_COMMANDS = {
    "compress": ("compress", "compress", "Write FILE.idfz beside each image FILE."),
    "decompress": ("decompress", "decompress", "Write the image in each FILE.idfz."),
    "test": ("decompress", "test", "Decode and check, without writing anything."),
    "preview": ("preview", "preview", "Show an image from the first part of FILE.idfz."),
    "sample": ("sample", "sample", "Draw images from a model."),
    "info": ("info", "info", "Print what each FILE.idfz holds."),
    "models": ("info", "models_command", "List the models that are installed."),
    "train": ("train", "train", "Train a model on folders of images (needs torch)."),
    "bench": ("bench", "bench", "Compare with other codecs on images of your own."),
}
"""Each command's module in this package, its name there, and its line in the list of commands."""


class _Group(click.Group):
    """Imports a command's module when it is asked for; prints errors as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"idfzip.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run; SIGTERM and SIGHUP end it as an interrupt does, so that nothing is left behind.

        Where nobody reads on (EPIPE) click ends quietly.
        """
        try:
            with _ended_by("SIGTERM", "SIGHUP"):
                return super().main(*args, **extra)
        except IdfzipError as error:
            say(f"idfzip: {error}")
            sys.exit(error.exit_code)
        except OSError as error:
            name = "" if error.filename is None else f"{error.filename}: "
            say(f"idfzip: {name}{error.strerror or error}")
            sys.exit(1)
        finally:
            _drop_rest()


def _drop_rest() -> None:
    """Drop what could not be written, which was said: all that is printed is flushed at once.

    The interpreter would try to write it once more as it ends, and complain.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _ended_by(*names: str) -> Iterator[None]:
    """Have signals that nobody handles or ignores raise SystemExit."""
    known = [getattr(signal, name) for name in names if hasattr(signal, name)]
    in_charge = threading.current_thread() is threading.main_thread()
    mine = [number for number in known if in_charge and signal.getsignal(number) == signal.SIG_DFL]
    for number in mine:
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="idfzip")
def main() -> None:
    """Lossless image compression with learned models; the same pixels on every machine."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of files that are odd, lines tell
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
