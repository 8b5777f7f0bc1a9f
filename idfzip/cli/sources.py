"""Files that are read: which ones they are, so that none is written to, and what may be removed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from idfzip.errors import IdfzipError

Number = tuple[int, int]
"""A device and a number there, which all names of a file share."""

Inputs = frozenset[Number]


def number(path: Path) -> Number | None:
    """Return the number of a regular file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def inputs(paths: Iterable[Path]) -> Inputs:
    """Return the numbers of files that are read."""
    return frozenset(found for path in paths if (found := number(path)) is not None)


@dataclass(frozen=True)
class Stamp:
    """Which file was read, and when it had changed last."""

    path: Path
    number: Number
    size: int
    changed: int


def stamp(path: Path) -> Stamp:
    """Return that of a file, before it is read; raises IdfzipError for what is no regular one."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise IdfzipError(f"{path}: no regular file, which --rm would remove")
    return Stamp(path, (found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns)


def remove(source: Stamp) -> None:
    """Remove a file that was read; raises IdfzipError where it is another one by now."""
    if stamp(source.path) != source:
        raise IdfzipError(f"{source.path}: it was changed meanwhile, so it is kept")
    os.unlink(source.path)
