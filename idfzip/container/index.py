"""The section `A` of an archive: its members and where they are. See `FORMAT.md`, section 6."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from idfzip.container.flagship_file import MAX_RATE
from idfzip.container.header import (
    BITSWAP,
    FLAGSHIP,
    FORMATS,
    MAX_TILE,
    ModelName,
    pack_names,
    unpack_names,
)
from idfzip.container.sections import Reader, number
from idfzip.errors import FormatError, IdfzipError
from idfzip.flows.wavefront import MARGIN
from idfzip.images import convert
from idfzip.images.picture import GREY, RGB

MAX_INDEX = 256 << 20
"""Most bytes of an index, inflated."""

MAX_MODELS = 16
MAX_MEMBERS = 1 << 20
SPLIT = "make several archives"

MAX_BLOCK = 1 << 22
"""Most pixels of a block."""

MAX_ROWS = MAX_TILE[0]
"""Most rows that a block's tiles in lockstep have together: what decoding takes grows with them."""

MAX_PLACES = 1 << 21
"""Most places of a plane of tiles in lockstep, with margins."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of every member: name, seconds since 1970 (0: unknown), permissions."""

    name: str
    modified: int = 0
    mode: int = 0


@dataclass(frozen=True, slots=True)
class Small:
    """A member of a block; `crc` is that of its place in the block and its pixels."""

    entry: Entry
    format: str
    height: int
    width: int
    crc: int


@dataclass(frozen=True, slots=True)
class Block:
    """Images of so many channels in one stream, in runs of `lockstep`; `model` is an index.

    `rate` is that at which the network learns, 0 if it stays; `crc` is that of the block's `length`
    bytes.
    """

    channels: int
    codec: int
    model: int
    lockstep: int
    rate: int
    length: int
    crc: int
    members: tuple[Small, ...]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each member."""
        return [(member.height, member.width) for member in self.members]


@dataclass(frozen=True, slots=True)
class Whole:
    """A member that is an `.idfz` file of its own, of so many bytes."""

    entry: Entry
    length: int


@dataclass(frozen=True)
class Index:
    """What an archive holds: the blocks, then the files, in the order of their bytes."""

    models: tuple[ModelName, ...]
    blocks: tuple[Block, ...]
    files: tuple[Whole, ...]

    @property
    def entries(self) -> list[Entry]:
        """All members, in the order of the file."""
        small = [member.entry for block in self.blocks for member in block.members]
        return small + [member.entry for member in self.files]


def pack(index: Index) -> bytes:
    """Return the section's bytes; raises IdfzipError where they are more than are read."""
    small = [member for block in index.blocks for member in block.members]
    out = bytearray(number(len(index.models)))
    for model in index.models:
        out += model.hash
    names = pack_names(index.models)
    out += number(len(names)) + names + number(len(index.blocks))
    for block in index.blocks:
        out += bytes([block.channels, block.codec | block.model << 4])
        for value in (len(block.members), block.lockstep, block.rate, block.length):
            out += number(value)
        out += block.crc.to_bytes(4, "little")
    out += number(len(index.files))
    entries = index.entries
    out += b"".join(entry.name.encode("utf-8", "surrogateescape") + b"\0" for entry in entries)
    out += _column(entry.modified for entry in entries)
    out += _column(entry.mode for entry in entries)
    out += bytes(_code(member.format) for member in small)
    out += _column(member.height for member in small)
    out += _column(member.width for member in small)
    out += b"".join(member.crc.to_bytes(4, "little") for member in small)
    out += _column(member.length for member in index.files)
    if len(out) > MAX_INDEX:
        raise IdfzipError(f"an index of {len(out)} bytes, the limit is {MAX_INDEX}: {SPLIT}")
    return zlib.compress(bytes(out), 9)


def _code(form: str) -> int:
    return FORMATS.index(form) if form in FORMATS else 0


def _column(values: Iterable[int]) -> bytes:
    return b"".join(map(number, values))


def unpack(data: bytes) -> Index:
    """Return the index in a section's bytes.

    Every size is checked before anything is made from it; raises FormatError. Names are as they
    stand: whoever writes files must check them.
    """
    reader = Reader(_inflate(data))
    count = reader.number()
    if count > MAX_MODELS:
        raise FormatError(f"{count} models, an archive has at most {MAX_MODELS}")
    hashes = [reader.bytes(8) for _ in range(count)]
    named = unpack_names(reader.bytes(reader.number()), count)
    models = tuple(ModelName(h, n) for h, n in zip(hashes, named, strict=True))
    rows, sizes = [], []
    for _ in range(_count(reader, 10)):
        row, size = _block(reader, count)
        rows.append(row)
        sizes.append(size)
    small = sum(sizes)
    files = reader.number()
    total = small + files
    if total > MAX_MEMBERS or total * 3 > reader.left:
        raise FormatError(f"{total} members do not fit the index")
    names = [_name(reader) for _ in range(total)]
    times = [reader.number() for _ in range(total)]
    modes = [reader.number() for _ in range(total)]
    entries = list(map(Entry, names, times, modes))
    formats = [FORMATS[f] if f < len(FORMATS) else "" for f in reader.bytes(small)]
    heights = [reader.number() for _ in range(small)]
    widths = [reader.number() for _ in range(small)]
    crcs = [reader.crc() for _ in range(small)]
    members = list(map(Small, entries[:small], formats, heights, widths, crcs))
    wholes = tuple(Whole(entry, reader.number()) for entry in entries[small:])
    if reader.left:
        raise FormatError(f"{reader.left} bytes follow the index")
    made, at = [], 0
    for row, size in zip(rows, sizes, strict=True):
        made.append(_checked(Block(*row, tuple(members[at : at + size]))))
        at += size
    return Index(models, tuple(made), wholes)


def _inflate(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, MAX_INDEX)
    except zlib.error as error:
        raise FormatError(f"the index is damaged ({error})") from None
    if not stream.eof or stream.unused_data:
        raise FormatError(f"the index is cut or over {MAX_INDEX} bytes")
    return found


def _count(reader: Reader, least: int) -> int:
    """Return the next number: that of things that take `least` bytes or more."""
    count = reader.number()
    if count * least > reader.left:
        raise FormatError(f"{count} entries do not fit the index")
    return count


def _block(reader: Reader, models: int) -> tuple[tuple[int, int, int, int, int, int, int], int]:
    """Return a block's row as in `Block`, and the number of its members."""
    channels, first = reader.byte(), reader.byte()
    codec, model = first & 15, first >> 4
    if channels not in (1, 3):
        raise FormatError(f"kind of image {channels} is not known to this release")
    if codec not in (FLAGSHIP, BITSWAP):
        raise FormatError(f"codec {codec} of a block is not known to this release")
    if model >= models:
        raise FormatError(f"block of model {model}, {models} are named")
    members, lockstep, rate = reader.number(), reader.number(), reader.number()
    if not 0 < lockstep <= members:
        raise FormatError(f"block of {members} members, {lockstep} in lockstep")
    if codec == BITSWAP and (lockstep, rate) != (1, 0):
        raise FormatError(f"block of bits back, {lockstep} in lockstep, that learns at {rate}")
    if rate > MAX_RATE:
        raise FormatError(f"block that learns at a rate of {rate}, the limit is {MAX_RATE}")
    return (channels, codec, model, lockstep, rate, reader.number(), reader.crc()), members


def _name(reader: Reader) -> str:
    end = reader.data.find(b"\0", reader.at)
    if end < 0:
        raise FormatError("the index is cut in a name")
    name = reader.bytes(end - reader.at)
    reader.byte()
    return name.decode("utf-8", "surrogateescape")


def _checked(block: Block) -> Block:
    """Return the block; raises FormatError where decoding it would take too much."""
    if reason := oversized(block.sizes, block.lockstep):
        raise FormatError(f"a block's {reason}")
    kind = GREY if block.channels == 1 else RGB
    for form in {member.format for member in block.members}:
        if not convert.holds(form, kind):
            raise FormatError(f"{kind} in a file of format {form or 'unknown'}")
    return block


def oversized(sizes: Sequence[tuple[int, int]], lockstep: int) -> str:
    """Return what is beyond the limits in a block of such images, or an empty string."""
    rows, columns = max(h for h, _ in sizes), max(w for _, w in sizes)
    if min(min(size) for size in sizes) < 1:
        return "member has no pixels"
    places = lockstep * (rows + MARGIN) * (columns + 2 * MARGIN)
    if rows * lockstep > MAX_ROWS or places > MAX_PLACES:
        return f"members of {columns}x{rows}, {lockstep} in lockstep, are over the limit"
    pixels = sum(h * w for h, w in sizes)
    return f"{pixels} pixels are over {MAX_BLOCK}" if pixels > MAX_BLOCK else ""
