"""Files in and out: never a half-written output, never an overwritten one unasked."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

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


def check_free(path: Path, force: bool) -> None:
    """Raise an error where the output may not be written; before the work, to save it."""
    if path == STANDARD:
        if sys.stdout.isatty():
            raise IdfzipError("binary data is not written to a terminal; use -o or a pipe")
    elif path.is_dir():
        raise OutputExists(f"{path}: a directory")
    elif path.exists() and not force:
        raise OutputExists(f"{path}: exists already (-f overwrites it)")


def write(path: Path, data: bytes, force: bool, like: Path | None = None) -> None:
    """Write a file at once or not at all: a temporary file beside it, flushed, then renamed.

    Times and permissions are those of `like`. `-` is standard output.
    """
    check_free(path, force)
    if path == STANDARD:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        _replace(path, data, force, like)
    except OSError as error:
        raise IdfzipError(f"{path}: cannot be written ({error.strerror})") from None


def _replace(path: Path, data: bytes, force: bool, like: Path | None) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            _dress(temporary, like)
            os.fsync(file.fileno())
        check_free(path, force)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _dress(path: Path, like: Path | None) -> None:
    if like is None or like == STANDARD:
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(path, 0o666 & ~mask)
        return
    found = like.stat()
    os.chmod(path, stat.S_IMODE(found.st_mode))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


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
