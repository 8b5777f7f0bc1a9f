"""Archives: many images in one `.idfz` file, small ones in blocks, others as files of their own."""

from __future__ import annotations

import io
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import BinaryIO

from idfzip.container import block, header, idfz, index, model_file, models, sections
from idfzip.container.effort import Effort
from idfzip.container.header import ImageHeader, ModelName, StoredHeader
from idfzip.container.idfz import Stored
from idfzip.container.index import Block, Entry, Index, Small, Whole
from idfzip.container.model_file import Model
from idfzip.container.region import Region, cropped
from idfzip.container.sections import Section
from idfzip.container.threads import in_order
from idfzip.errors import FormatError, IdfzipError, RegionError
from idfzip.images.picture import Picture

LARGE = 1 << 22
"""Images of more pixels are coded one at a time, by all threads, for the sake of memory."""


class Writer:
    """Collects the members of an archive in two files, and puts them together behind their index.

    `blocks` and `files` are empty, open for reading and writing: temporary ones where there is
    much to come.
    """

    def __init__(self, blocks: BinaryIO, files: BinaryIO) -> None:
        self._blocks, self._files = blocks, files
        self._rows: list[Block] = []
        self._wholes: list[Whole] = []
        self.models: list[Model] = []
        self.members = 0
        """Number of members so far."""

    def place(self, model: Model) -> int:
        """Return the place of a model among the archive's, which it joins; raises IdfzipError."""
        known = [m.identity for m in self.models]
        if model.identity not in known:
            if len(known) == index.MAX_MODELS:
                raise IdfzipError(f"an archive has at most {len(known)} models: {index.SPLIT}")
            self.models.append(model)
            return len(known)
        return known.index(model.identity)

    def add_block(self, row: Block, body: bytes) -> None:
        """Append a block; raises IdfzipError where there are too many members."""
        self._count(len(row.members))
        self._blocks.write(body)
        self._rows.append(row)

    def add_file(self, entry: Entry, data: bytes) -> None:
        """Append a member that is an `.idfz` file of its own; raises IdfzipError likewise."""
        self._count(1)
        self._files.write(data)
        self._wholes.append(Whole(entry, len(data)))

    def _count(self, more: int) -> None:
        check_members(self.members + more)
        self.members += more

    def finish(self, out: BinaryIO, embed: bool = False) -> None:
        """Write the archive; with `embed`, its models as well. Raises IdfzipError."""
        names = tuple(ModelName(model.short, model.name) for model in self.models)
        found = Index(names, tuple(self._rows), tuple(self._wholes))
        parts = []
        for model in self.models if embed else []:
            whole = model_file.dump(model.codec, model.name)
            parts.append(Section(idfz.MODEL, zlib.compress(whole, 9)))
        out.write(sections.write([*parts, Section(sections.ARCHIVE, index.pack(found))], []))
        for spool in (self._blocks, self._files):
            spool.seek(0)
            shutil.copyfileobj(spool, out, 1 << 20)


def check_members(count: int) -> None:
    """Raise IdfzipError for more members than are read again."""
    if count > index.MAX_MEMBERS:
        most = f"an archive has at most {index.MAX_MEMBERS} members"
        raise IdfzipError(f"{most}, not {count}: {index.SPLIT}")


def is_archive(file: BinaryIO) -> bool:
    """Return whether a seekable file is an archive; raises FormatError if it is no `.idfz`."""
    return sections.read_head(file)[-1].tag == sections.ARCHIVE


class Archive:
    """An archive open for reading; the file must be seekable. Raises FormatError.

    To `salvage` it, other bytes may follow it; that it is cut is found out member by member.
    """

    def __init__(self, file: BinaryIO, salvage: bool = False) -> None:
        parts = sections.read_head(file)
        for section in parts[:-1]:
            if section.tag.isupper() or not section.tag.isalpha():
                raise FormatError(f"section {section.tag!r} is not known to this release")
        if parts[-1].tag != sections.ARCHIVE:
            raise FormatError("one image, not an archive")
        self._file, self._lock = file, threading.Lock()
        start = file.tell()
        self.index = index.unpack(parts[-1].data)
        self.size = file.seek(0, io.SEEK_END)
        """Bytes of the archive."""
        lengths = [row.length for row in self.index.blocks]
        lengths += [member.length for member in self.index.files]
        self._starts = list(accumulate(lengths, initial=start))
        if self._starts[-1] < self.size and not salvage:
            raise FormatError(f"{self.size - self._starts[-1]} bytes follow the end of the file")
        self._embedded = [section for section in parts if section.tag == idfz.MODEL]

    @property
    def has_models(self) -> bool:
        """Whether models are in the file."""
        return bool(self._embedded)

    def embedded(self) -> list[tuple[Model, Section]]:
        """Return the models in the file, and where; raises ModelError."""
        found = self._embedded[: len(self.index.models)]
        return [(idfz.embedded(section), section) for section in found]

    def known(self, given: Model | None) -> list[Model]:
        """Return the models that come before those installed: one given, those in the file."""
        return ([given] if given else []) + [model for model, _ in self.embedded()]

    def block(self, i: int) -> bytes:
        """Return the bytes of block i; raises FormatError where they are cut."""
        return self._bytes(i, self.index.blocks[i].length)

    def is_damaged(self, i: int) -> bool:
        """Return whether block i is not what was written; raises FormatError where it is cut."""
        return zlib.crc32(self.block(i)) != self.index.blocks[i].crc

    def file(self, i: int) -> bytes:
        """Return the `.idfz` file that member i of the files is; raises FormatError."""
        return self._bytes(len(self.index.blocks) + i, self.index.files[i].length)

    def _bytes(self, i: int, length: int) -> bytes:
        if self._starts[i] + length > self.size:
            raise FormatError(f"file is cut: {length} bytes expected at offset {self._starts[i]}")
        with self._lock:
            self._file.seek(self._starts[i])
            return self._file.read(length)


@dataclass(frozen=True)
class Member:
    """A member decoded: what it holds, or why it cannot be had, and which of its tiles failed."""

    entry: Entry
    found: Picture | Stored | IdfzipError
    failed: Sequence[int] = ()


def decoded(
    archive: Archive,
    given: Model | None,
    effort: Effort,
    chosen: Callable[[Entry], bool] = lambda entry: True,
    salvage: bool = False,
    max_pixels: int = header.MAX_PIXELS,
    part: Region | None = None,
) -> Iterator[Member]:
    """Yield the chosen members, in the order of the file.

    `salvage` and `part` are as in `idfz.decompress`. None has more than `max_pixels` pixels.

    Blocks and files are decoded by threads; blocks without a chosen member are passed over. The
    failure of one harms its own members only.
    """
    known, embedded = archive.known(given), archive.embedded()
    large = threading.Lock()

    def small(i: int) -> list[Member]:
        row = archive.index.blocks[i]
        model = models.for_file(archive.index.models[row.model], known)
        pictures = block.decode(row, archive.block(i), model, device=effort.device)

        def found(member: Small, picture: Picture | None) -> Picture | IdfzipError:
            if member.height * member.width > max_pixels:
                return header.too_large(member.width, member.height, max_pixels)
            if picture is None:
                return FormatError("it is damaged (checksum)")
            return _cut(picture, part)

        return [
            Member(member.entry, found(member, picture))
            for member, picture in zip(row.members, pictures, strict=True)
            if chosen(member.entry)
        ]

    def whole(i: int) -> list[Member]:
        file = idfz.parse(archive.file(i), max_pixels, salvage)
        pixels = 0 if isinstance(file.head, StoredHeader) else file.head.height * file.head.width
        if isinstance(file.head, ImageHeader):
            named = {name.hash for name in file.head.models}
            mine = (section for model, section in embedded if model.short in named)
            file = replace(file, models=(*file.models, *mine))
        one_by_one = large if pixels > LARGE else nullcontext()
        with one_by_one:
            how = effort if pixels > LARGE else effort.alone
            found, failed = idfz.decompress(file, given, how, None, salvage, part)
        return [Member(archive.index.files[i].entry, found, failed)]

    def tried(work: Callable[[int], list[Member]], i: int, entries: list[Entry]) -> list[Member]:
        try:
            return work(i)
        except IdfzipError as error:
            return [Member(entry, error) for entry in entries]

    def jobs() -> Iterator[Callable[[], list[Member]]]:
        for i, row in enumerate(archive.index.blocks):
            entries = [member.entry for member in row.members if chosen(member.entry)]
            if entries:
                yield partial(tried, small, i, entries)
        for i, member in enumerate(archive.index.files):
            if chosen(member.entry):
                yield partial(tried, whole, i, [member.entry])

    for found in in_order(jobs(), effort.jobs):
        yield from found


def _cut(picture: Picture, part: Region | None) -> Picture | IdfzipError:
    try:
        return cropped(picture, part) if part else picture
    except RegionError as error:
        return error
