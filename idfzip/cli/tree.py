"""Folders as input: which files below them are meant, and where their results go."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from PIL import Image, UnidentifiedImageError

from idfzip.cli import files, sources
from idfzip.cli.sources import Inputs, Number
from idfzip.cli.talk import say
from idfzip.cli.work import Failures
from idfzip.container.effort import HELD, Effort
from idfzip.container.threads import in_order
from idfzip.errors import OutputExists, UnsupportedImage
from idfzip.images.damage import READING

recursive_option = click.option(
    "-r", "--recursive", is_flag=True, help="Take the files below folders."
)
output_dir_option = click.option(
    "--output-dir", type=click.Path(path_type=Path), help="Write below this folder."
)

_NO_PICTURES = {"BUFR", "GRIB", "HDF5", "MPEG"}
"""Formats that Pillow opens but that are seldom images."""


@dataclass(frozen=True)
class Source:
    """A file and its name below the folder that was given, with `/`; `top` is that folder."""

    path: Path
    name: str
    top: Path | None = None

    @property
    def size(self) -> int:
        """The file's bytes, 0 where they cannot be told before it is opened."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


@dataclass
class Found:
    """What is below the paths given: files, and how many were left out, by reason."""

    sources: list[Source]
    skipped: dict[str, int]

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count what is left out."""
        self.skipped[reason] = self.skipped.get(reason, 0) + count

    def say(self, quiet: bool) -> None:
        """Print what was left out, if anything was."""
        for reason, count in self.skipped.items():
            say(f"left out: {count} {reason}", quiet)


def find(
    paths: Sequence[Path], recursive: bool, left_out: Callable[[Path], str], failures: Failures
) -> Found:
    """Return the files given and, if asked, in a fixed order, those below the folders given.

    `left_out` returns why a file below a folder is not meant, or an empty string. Links to folders
    are not followed. With several folders each one's name comes before the names below it.
    """
    found = Found([], {})
    folders = sum(path != files.STANDARD and os.path.isdir(path) for path in paths)
    for path in paths:
        if not recursive or path == files.STANDARD or not os.path.isdir(path):
            found.sources.append(Source(path, path.name))
            continue
        lead = f"{path.resolve().name}/" if folders > 1 else ""
        for parts in sorted(_below(path, found, failures)):
            file = path.joinpath(*parts)
            reason = left_out(file)
            if reason:
                found.leave_out(reason)
            else:
                found.sources.append(Source(file, lead + "/".join(parts), path))
    return found


def _below(top: Path, found: Found, failures: Failures) -> Iterator[tuple[str, ...]]:
    """Yield the path below a folder, part by part, of every file below it."""

    def failed(error: OSError) -> None:
        failures.note(f"{error.filename}: {error.strerror}")

    for folder, folders, names in os.walk(top, onerror=failed):
        links = sum(os.path.islink(Path(folder, name)) for name in folders)
        if links:
            found.leave_out("links to folders", links)
        for name in names:
            file = Path(folder, name)
            try:
                is_file = stat.S_ISREG(file.stat().st_mode)
            except OSError as error:
                is_file = False
                if error.errno not in (errno.ENOENT, errno.ELOOP):
                    failed(error)
                    continue
            if is_file:
                yield file.relative_to(top).parts
            else:
                found.leave_out("broken links and special files")


def is_image(path: Path) -> bool:
    """Return whether a file is, by its suffix or its first bytes, an image."""
    Image.init()
    form = Image.EXTENSION.get(path.suffix.lower())
    if form in Image.OPEN and form not in _NO_PICTURES:
        return True
    try:
        Image.open(path).close()
    except UnidentifiedImageError:
        return False
    except READING:
        return True  # whoever reads it says what is wrong
    return True


def one_place(output: Path | None, stdout: bool, folder: Path | None) -> None:
    """Refuse several places for the results; a usage error."""
    if folder is not None and (output is not None or stdout):
        raise click.UsageError("--output-dir does not go with -o or -c")
    if output is not None and stdout:
        raise click.UsageError("-o does not go with -c")


class Outputs:
    """Where results go: beside their sources, or below a folder that mirrors theirs.

    Folders that are made get the times and permissions of those they mirror in the end.
    """

    def __init__(self, folder: Path | None, inputs: Inputs) -> None:
        """Begin; none of the `inputs` is written to, whatever is forced."""
        self.folder, self.inputs = folder, inputs
        self._written: set[Number] = set()
        self._made: dict[Path, files.Look] = {}
        self._taken: set[Path] = set()
        self._lock = threading.Lock()

    def place(self, source: Source, name: str) -> Path:
        """Return where the result of that file name goes."""
        if not source.path.name:
            raise UnsupportedImage(f"{source.path}: a directory")
        if self.folder is None:
            return source.path.with_name(name)
        return self.folder / Path(source.name).with_name(name)

    def claim(self, target: Path, source: Source) -> None:
        """Make the folder of a result; raises OutputExists as `reserve` does."""
        self.reserve(target, str(source.path))
        if self.folder is not None:
            with self._lock:
                self._make_folders(target, source)

    def reserve(self, target: Path, whose: str) -> None:
        """Note where a result goes; raises OutputExists where another one does."""
        with self._lock:
            if target in self._taken:
                raise OutputExists(f"{whose}: {target} is the output of another input")
            self._taken.add(target)

    def write(self, target: Path, data: bytes, force: bool, like: files.Look) -> None:
        """Write a result as `files.write`, but over none of before: some systems ignore case."""
        with self._lock:
            there = sources.number(target) if force else None
            if there is not None and there in self._written:
                raise OutputExists(f"{target}: it is the output of another input")
        files.write(target, data, force, like, self.inputs)
        there = sources.number(target)
        with self._lock:
            if there is not None:
                self._written.add(there)

    def _make_folders(self, target: Path, source: Source) -> None:
        missing = [folder for folder in target.parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
        depth = len(Path(source.name).parts) - 1
        for folder, like in zip(target.parents, source.path.parents[:depth], strict=False):
            if folder in missing:
                self._made[folder] = files.look(like)  # before anything is removed there

    def finish(self) -> None:
        """Give the folders that were made the times and permissions of those they mirror."""
        for folder, like in reversed(self._made.items()):
            files.dress(folder, like)


def side_by_side(sources: Sequence[Source], act: Callable[[Source], None], effort: Effort) -> None:
    """Act on files, which notes its own failures: in turn, or many at once where a device waits."""
    jobs = (partial(act, source) for source in sources)
    weights = (source.size for source in sources)
    for _ in in_order(jobs, 1 if effort.device is None else effort.jobs, weights, HELD):
        pass
