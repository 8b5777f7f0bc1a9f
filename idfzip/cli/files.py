"""Files in and out: never a half-written output, never an overwritten one unasked."""

from __future__ import annotations

import io
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import click

from idfzip.cli import sources
from idfzip.cli.sources import Inputs
from idfzip.errors import IdfzipError, OutputExists, UnsupportedImage

STANDARD = Path("-")

NONE: Inputs = frozenset()

INPUT = click.Path(path_type=Path, readable=False)
"""The type of a file to read: one that cannot be is that file's failure, and not the usage's."""


def read(path: Path) -> bytes:
    """Return a file's bytes, of standard input for `-`; raises an error of one line."""
    if path == STANDARD:
        return _standard_input()
    if path.is_dir():
        raise UnsupportedImage(f"{path}: a directory")
    data = path.read_bytes()
    if not data:
        raise UnsupportedImage(f"{path}: the file is empty")
    return data


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Yield a file open for reading, seekable; of standard input for `-`."""
    if path == STANDARD:
        yield io.BytesIO(_standard_input())
        return
    if path.is_dir():
        raise UnsupportedImage(f"{path}: a directory")
    with path.open("rb") as file:
        yield file if file.seekable() else io.BytesIO(file.read())


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise IdfzipError("standard input is closed")
    return sys.stdin.buffer.read()


def whole(file: BinaryIO) -> bytes:
    """Return all bytes of an open file."""
    file.seek(0)
    return file.read()


def check_free(path: Path, force: bool, inputs: Inputs = NONE) -> None:
    """Raise an error where the output may not be written; before the work, to save it.

    One of the `inputs` may not be, whatever `force` says; a device or a pipe may.
    """
    if path == STANDARD:
        if sys.stdout is None:
            raise IdfzipError("standard output is closed")
        if sys.stdout.isatty():
            raise IdfzipError("binary data is not written to a terminal; use -o or a pipe")
    elif path.is_dir():
        raise OutputExists(f"{path}: a directory")
    elif os.path.lexists(path) and not is_special(path):
        if sources.number(path) in inputs:
            raise OutputExists(f"{path}: the output is an input as well: name another")
        if not force:
            raise OutputExists(f"{path}: exists already (-f overwrites it)")


def check_folder(path: Path) -> None:
    """Raise an error where the folder of an output is not there; before work that takes long."""
    if path != STANDARD and not path.parent.is_dir():
        raise IdfzipError(f"{path}: cannot be written (No such file or directory)")


def is_piped(path: Path) -> bool:
    """Return whether what is written there goes to the standard output, a device or a pipe."""
    return path == STANDARD or is_special(path)


def is_special(path: Path) -> bool:
    """Return whether there is a device, a pipe or a socket, which is written to as it is."""
    return path.exists() and not path.is_file() and not path.is_dir()


@dataclass(frozen=True)
class Look:
    """Permissions, and times of access and change in nanoseconds; None: those of a new file."""

    mode: int | None = None
    times: tuple[int, int] | None = None


def look(path: Path) -> Look:
    """Return those of a file or folder; of standard input, those of a new file."""
    if path == STANDARD:
        return Look()
    found = path.stat()
    return Look(stat.S_IMODE(found.st_mode), (found.st_atime_ns, found.st_mtime_ns))


def write(
    path: Path,
    data: bytes,
    force: bool,
    like: Look | None = None,
    inputs: Inputs = NONE,
) -> None:
    """Write a file at once or not at all, as `created` does."""
    with created(path, force, like, inputs) as file:
        file.write(data)


@contextmanager
def created(
    path: Path, force: bool, like: Look | None = None, inputs: Inputs = NONE
) -> Iterator[BinaryIO]:
    """Yield a file that comes into being at once or not at all.

    It is a temporary file beside it, flushed, then renamed, with times and permissions of `like`.
    `-` is standard output. Raises OutputExists as `check_free` does.
    """
    check_free(path, force, inputs)
    if path == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        if is_special(path):
            with path.open("wb") as file:
                yield file
            return
        with _replaced(path, force, like or Look(), inputs) as file:
            yield file
    except OSError as error:
        raise IdfzipError(f"{path}: cannot be written ({error.strerror})") from None


@contextmanager
def _replaced(path: Path, force: bool, like: Look, inputs: Inputs) -> Iterator[BinaryIO]:
    start = os.fsencode(path.name)[:100].decode(errors="ignore")
    temporary = path.with_name(f".{start}.{secrets.token_hex(4)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    # What will be nobody else's to read is not while it is written.
    handle = os.open(temporary, flags, 0o666 if like.mode is None else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            dress(temporary, like)
            os.fsync(file.fileno())
        check_free(path, force, inputs)
        _place(temporary, path, force)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _place(temporary: Path, path: Path, force: bool) -> None:
    """Give a file its name; where it may not replace another, in one move that cannot."""
    if force or os.name != "posix":
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise OutputExists(f"{path}: exists already (-f overwrites it)") from None
    except OSError:  # a file system without hard links
        os.replace(temporary, path)
    else:
        temporary.unlink()


def dress(path: Path, like: Look) -> None:
    """Give a file or folder permissions and times."""
    if like.mode is not None:
        os.chmod(path, like.mode)
    if like.times is not None:
        os.utime(path, ns=like.times)


def _sync_folder(folder: Path) -> None:
    """Make a rename last; not every system allows it, and the file itself is safe already."""
    if os.name != "posix":
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def one_output(paths: tuple[Path, ...], output: Path | None) -> None:
    """Refuse `-o` for several inputs; a usage error."""
    if output is not None and len(paths) != 1:
        raise click.UsageError(f"-o is for one input, {len(paths)} are given")
