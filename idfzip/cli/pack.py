"""Making an archive: many images into one `.idfz` file."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, cast

from idfzip.cli import compress, files, talk, work
from idfzip.cli.job import Job, check
from idfzip.cli.sources import Stamp, remove, stamp
from idfzip.cli.tree import Source
from idfzip.container import archive, block, idfz, models, names
from idfzip.container.archive import LARGE, Writer
from idfzip.container.block import Image
from idfzip.container.effort import Effort
from idfzip.container.header import ImageHeader
from idfzip.container.idfz import Stored
from idfzip.container.index import Block, Entry
from idfzip.container.model_file import Model
from idfzip.container.threads import in_order
from idfzip.errors import FormatError, IdfzipError
from idfzip.images import trial
from idfzip.images.picture import Picture
from idfzip.images.reader import Unread


@dataclass(frozen=True)
class _Item:
    """A file read, on its way in."""

    source: Source
    entry: Entry
    data: bytes
    found: Picture | Unread

    @property
    def image(self) -> Image:
        """What goes into a block, where it is a picture."""
        return Image(self.entry, cast(Picture, self.found), len(self.data))


@dataclass(frozen=True)
class _Coded:
    """What a thread made of sources of so many bytes: perhaps a block, files; or the error."""

    sources: list[Source]
    size: int
    block: tuple[Block, bytes] | None
    files: list[tuple[Entry, bytes]]
    error: Exception | None = None


_Work = Callable[[], _Coded]


def pack(sources: Sequence[Source], target: Path, job: Job, failures: work.Failures) -> None:
    """Write an archive of all sources that can be read; others are noted as failures."""
    files.check_free(target, job.force, job.inputs)
    archive.check_members(len(sources))
    made: list[Source] = []
    with ExitStack() as stack:
        # Without names, so that nothing is left behind however this ends.
        near = None if files.is_piped(target) else target.parent
        spools = [stack.enter_context(_spool(near, target)) for _ in range(2)]
        writer = Writer(*cast(list[BinaryIO], spools))
        advance = stack.enter_context(work.count_bar(len(sources), job.quiet))
        packer = _Packer(job, failures, writer)
        for coded in in_order(packer.jobs(sources), job.effort.jobs):
            made += packer.take(coded)
            advance(len(coded.sources))
        if not made:
            raise IdfzipError(f"{target}: no image to put in; nothing was written")
        with files.created(target, job.force, inputs=job.inputs) as out:
            writer.finish(out, job.embed)
    if job.remove:
        for source in made:
            with failures.caught(source.path):
                remove(packer.stamps[source])
    if target != files.STANDARD:
        size, before = target.stat().st_size, packer.bytes
        talk.say(
            f"{target}: {work.counted(len(made), 'file')}, {packer.small} of them in "
            f"{work.counted(packer.blocks, 'block')}, "
            f"{before} -> {size} bytes ({100 * size / before:.1f}%)",
            job.quiet,
        )


def _spool(folder: Path | None, target: Path) -> IO[bytes]:
    """Return a file without a name; raises an error that tells what could not be written."""
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise IdfzipError(f"{target}: cannot be written ({error.strerror})") from None


def _mode(mode: int | None) -> int:
    """Return a member's permissions; 0 stands for unknown ones, so of none one is kept."""
    return 0 if mode is None else mode & 0o777 or 0o400


class _Packer:
    """Turns sources into work for threads, and takes the results."""

    def __init__(self, job: Job, failures: work.Failures, writer: Writer) -> None:
        self._job, self._failures, self._writer = job, failures, writer
        self._quiet = replace(job, quiet=True, embed=False)
        self._open: dict[str, tuple[Model, list[_Item]]] = {}
        self._large = threading.Lock()
        self._names: set[str] = set()
        self.stamps: dict[Source, Stamp] = {}
        self.bytes = self.small = self.blocks = 0

    def jobs(self, sources: Sequence[Source]) -> Iterator[_Work]:
        """Yield work as sources are read: small pictures in blocks, each other alone."""
        for source in sources:
            with self._failures.caught(source.path):
                yield from self._add(source)
        for model, items in self._open.values():
            yield self._block(items, model)

    def _add(self, source: Source) -> Iterator[_Work]:
        entry = self._entry(source)
        if self._job.remove:
            self.stamps[source] = stamp(source.path)
        data = files.read(source.path)
        found = trial.read(data, str(source.path), self._job.max_pixels)
        item = _Item(source, entry, data, found)
        if isinstance(found, Picture):
            # The choice in the block's thread must find all kernels ready.
            for model in compress.planned(found, self._job)[-1].models:
                if block.fits(found, model):
                    yield from self._gather(item, model)
                    return
            if found.pixels.size > 3 * LARGE:
                yield partial(self._tried, [source], partial(self._again, source, entry))
                return
        yield partial(self._tried, [source], partial(self._whole, item))

    def _entry(self, source: Source) -> Entry:
        name = names.check(source.name)
        if name in self._names:
            raise FormatError(f"{source.path}: another input has the name {name}")
        self._names.add(name)
        look = files.look(source.path)
        seconds = look.times[1] // 1_000_000_000 if look.times else 0
        return Entry(name, min(max(seconds, 0), (1 << 35) - 1), _mode(look.mode))

    def _gather(self, item: _Item, model: Model) -> Iterator[_Work]:
        """Put a picture into the open block of its model; yield the block once it is full."""
        _, items = self._open.setdefault(model.identity, (model, []))
        if not block.takes([other.image for other in items], item.image):
            yield self._block(items, model)
            items = []
            self._open[model.identity] = (model, items)
        items.append(item)

    def _block(self, items: list[_Item], model: Model) -> _Work:
        sources = [item.source for item in items]
        place = self._writer.place(model)
        return partial(self._tried, sources, partial(self._coded, items, model, place))

    def _tried(self, sources: list[Source], code: Callable[[], _Coded]) -> _Coded:
        """Return what was made, or the error for the caller's thread to print."""
        try:
            return code()
        except (IdfzipError, OSError, MemoryError) as error:
            return _Coded(sources, 0, None, [], error)

    def _coded(self, items: list[_Item], model: Model, place: int) -> _Coded:
        """Code a block; what takes more in it than its file goes in as a file of its own."""
        row, body, bits = self._encoded(items, model, place)
        small = [item for item, b in zip(items, bits, strict=True) if b < 8 * item.image.limit]
        if len(small) < len(items) and small:
            row, body, _ = self._encoded(small, model, place)
        if small and self._job.verify:
            found = block.decode(row, body, model, device=self._job.effort.device)
            for item, picture in zip(small, found, strict=True):
                check(picture or Stored(b"", ""), cast(Picture, item.found))
        kept = {item.entry.name for item in small}
        rest = [item for item in items if item.entry.name not in kept]
        return _Coded(
            [item.source for item in items],
            sum(len(item.data) for item in items),
            (row, body) if small else None,
            [(item.entry, self._file(item, self._job.effort.alone)) for item in rest],
        )

    def _encoded(
        self, items: list[_Item], model: Model, place: int
    ) -> tuple[Block, bytes, list[float]]:
        images = [item.image for item in items]
        return block.encode(images, model, place, device=self._job.effort.device)

    def _whole(self, item: _Item, effort: Effort | None = None) -> _Coded:
        made = self._file(item, effort or self._job.effort.alone)
        return _Coded([item.source], len(item.data), None, [(item.entry, made)])

    def _again(self, source: Source, entry: Entry) -> _Coded:
        """Read and code a large picture, which was not kept, with no other one beside it."""
        with self._large:
            data = files.read(source.path)
            found = trial.read(data, str(source.path), self._job.max_pixels)
            return self._whole(_Item(source, entry, data, found), self._job.effort)

    def _file(self, item: _Item, effort: Effort) -> bytes:
        job = replace(self._quiet, effort=effort)
        return compress.encoded(item.source.path, item.data, item.found, job)[0]

    def take(self, coded: _Coded) -> list[Source]:
        """Write what a thread made; return its sources unless it failed."""
        if coded.error is not None:
            for source in coded.sources:
                with self._failures.caught(source.path):
                    raise coded.error
            return []
        self.bytes += coded.size
        if coded.block is not None:
            self._writer.add_block(*coded.block)
            self.blocks += 1
            self.small += len(coded.block[0].members)
        for entry, data in coded.files:
            head = idfz.parse(data, self._job.max_pixels).head
            for name in head.models if isinstance(head, ImageHeader) else ():
                self._writer.place(models.for_file(name, [m for m in [self._job.model] if m]))
            self._writer.add_file(entry, data)
        return coded.sources
