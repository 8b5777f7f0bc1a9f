"""Files in and out: never a half-written output, never an overwritten one unasked."""

from __future__ import annotations

import io
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import click

from idfzip.errors import IdfzipError, OutputExists, UnsupportedImage

STANDARD = Path("-")


def read(path: Path) -> bytes:
    """Return a file's bytes, of standard input for `-`; raises an error of one line."""
    if path == STANDARD:
        return sys.stdin.buffer.read()
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
        yield io.BytesIO(sys.stdin.buffer.read())
        return
    if path.is_dir():
        raise UnsupportedImage(f"{path}: a directory")
    with path.open("rb") as file:
        yield file


def whole(file: BinaryIO) -> bytes:
    """Return all bytes of an open file."""
    file.seek(0)
    return file.read()


def check_free(path: Path, force: bool) -> None:
    """Raise an error where the output may not be written; before the work, to save it."""
    if path == STANDARD:
        if sys.stdout.isatty():
            raise IdfzipError("binary data is not written to a terminal; use -o or a pipe")
    elif path.is_dir():
        raise OutputExists(f"{path}: a directory")
    elif path.exists() and not force:
        raise OutputExists(f"{path}: exists already (-f overwrites it)")


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


def write(path: Path, data: bytes, force: bool, like: Look | None = None) -> None:
    """Write a file at once or not at all, as `created` does."""
    with created(path, force, like) as file:
        file.write(data)


@contextmanager
def created(path: Path, force: bool, like: Look | None = None) -> Iterator[BinaryIO]:
    """Yield a file that comes into being at once or not at all.

    It is a temporary file beside it, flushed, then renamed, with times and permissions of `like`.
    `-` is standard output.
    """
    check_free(path, force)
    if path == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with _replaced(path, force, like or Look()) as file:
            yield file
    except OSError as error:
        raise IdfzipError(f"{path}: cannot be written ({error.strerror})") from None


@contextmanager
def _replaced(path: Path, force: bool, like: Look) -> Iterator[BinaryIO]:
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            dress(temporary, like)
            os.fsync(file.fileno())
        check_free(path, force)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def dress(path: Path, like: Look) -> None:
    """Give a file or folder permissions and times."""
    mode = like.mode
    if mode is None:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    os.chmod(path, mode)
    if like.times is not None:
        os.utime(path, ns=like.times)


def _sync_folder(folder: Path) -> None:
    """Make a rename last; not every system allows it, and the file itself is safe already."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def one_output(paths: tuple[Path, ...], output: Path | None) -> None:
    """Refuse `-o` for several inputs; a usage error."""
    if output is not None and len(paths) != 1:
        raise click.UsageError(f"-o is for one input, {len(paths)} are given")
