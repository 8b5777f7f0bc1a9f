"""The section `I` of an `.idfz` file: what is in it and where. `FORMAT.md` is the specification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from idfzip.container import groups, ladder
from idfzip.container.groups import Content, Group
from idfzip.container.sections import Reader, number
from idfzip.errors import FormatError
from idfzip.flows.depth import Ladder
from idfzip.images import convert
from idfzip.images.picture import DEPTHS, Kind, Layout

STORED = 0
"""First byte of a stored file; otherwise layout and depth."""

FORMATS = ("", "PNG", "WEBP", "TIFF", "BMP", "PPM", "JPEG", "GIF")
"""Source formats; index 0 is any other."""

PACKINGS = ("", "webp", "png")
"""What holds the pixels: tiles, or the bytes of a file of another codec."""

RAW, FLAGSHIP, IDF, INDEXED, LATTICE, VQVAE, LOSSY_FIRST, BITSWAP = range(8)
"""Codecs of a tile: the pixels as they are; the flagship; the bipartite one; that of categories;
the progressive one; the lossy one; a lossy picture and what makes it exact; that of bits back."""

MAX_SIDE = 1 << 30
MAX_PIXELS = 500_000_000
"""A reader's limit, unless it is asked for more."""

ANY_PIXELS = MAX_SIDE * MAX_SIDE
"""For those who decode nothing: what is made of a header is bounded by its bytes alone."""

MAX_TILE = (1024, 4096)
"""Most rows and columns of a tile: what decoding one takes grows with its rows and its pixels."""

MAX_NET_TILE = {IDF: 1 << 18, VQVAE: 1 << 20, LOSSY_FIRST: 1 << 20}
"""Most pixels of a tile of codecs that keep all values of a network at once."""


@dataclass(frozen=True)
class ModelName:
    """A model as a file names it: the first eight bytes of its identity, and its name."""

    hash: bytes
    name: str

    def __str__(self) -> str:
        """Return name and hash for messages."""
        return f"{self.name or 'unnamed'} ({self.hash.hex()})"


@dataclass(frozen=True)
class Tile:
    """How a tile is coded: codec, model (index), colour transform, bytes, CRC-32 of its pixels.

    A lossy-first one has a second model, its `painter`.
    """

    codec: int
    model: int
    colour: int
    length: int
    crc: int
    painter: int = 0


@dataclass(frozen=True)
class StoredHeader:
    """A file kept as it is."""

    format: str
    length: int
    crc: int


@dataclass(frozen=True)
class PackedHeader:
    """An image packed by another codec: which, the bytes of its file, CRC-32 of the pixels."""

    format: str
    kind: Kind
    height: int
    width: int
    packing: str
    length: int
    crc: int


@dataclass(frozen=True)
class ImageHeader:
    """A coded image; `tile` is (height, width) of all tiles but the last ones, row by row.

    `ladders` are the values of each group of planes; `tiles` go group by group, row by row.
    """

    format: str
    kind: Kind
    height: int
    width: int
    tile: tuple[int, int]
    models: tuple[ModelName, ...]
    ladders: tuple[Ladder, ...]
    tiles: tuple[Tile, ...]
    crc: int

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups of planes."""
        return groups.of(self.kind)

    @property
    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Top, left, height and width of each tile of a group."""
        return boxes(self.height, self.width, self.tile)


Header = StoredHeader | PackedHeader | ImageHeader


def boxes(height: int, width: int, tile: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Return top, left, height and width of each tile of a grid, row by row."""
    return [
        (y, x, min(tile[0], height - y), min(tile[1], width - x))
        for y in range(0, height, tile[0])
        for x in range(0, width, tile[1])
    ]


def full_ladders(kind: Kind) -> tuple[Ladder, ...]:
    """Return the values of each group where all of its depth are taken."""
    return tuple(groups.full(kind.depth) for _ in groups.of(kind))


def pack(header: Header) -> bytes:
    """Return the section's bytes."""
    form = FORMATS.index(header.format if header.format in FORMATS else "")
    if isinstance(header, StoredHeader):
        start = bytes([STORED, form])
        return start + number(header.length) + header.crc.to_bytes(4, "little")
    packing = header.packing if isinstance(header, PackedHeader) else ""
    kind = header.kind.layout | DEPTHS.index(header.kind.depth) << 4
    out = bytearray([kind, form | PACKINGS.index(packing) << 6])
    out += number(header.width) + number(header.height)
    if isinstance(header, PackedHeader):
        return bytes(out + number(header.length) + header.crc.to_bytes(4, "little"))
    tiled = len(header.tiles) > 1
    gridded = header.tile != (header.height, header.width)
    listed = any(len(one) != 1 << header.kind.depth for one in header.ladders)
    out.append(gridded | listed << 1 | len(header.models) << 4)
    if gridded:
        out += number(header.tile[1]) + number(header.tile[0])
    for model in header.models:
        out += model.hash
    if listed:
        out += b"".join(map(ladder.pack, header.ladders))
    for tile in header.tiles:
        out += bytes([tile.codec | tile.model << 4, tile.colour | tile.painter << 4])
        out += number(tile.length) + tile.crc.to_bytes(4, "little")
    if tiled:
        out += header.crc.to_bytes(4, "little")
    return bytes(out + pack_names(header.models))


def pack_names(models: Sequence[ModelName]) -> bytes:
    """Return the names of models, separated by commas."""
    return ",".join(model.name for model in models).encode("ascii")


def unpack(data: bytes, streams: int | None, max_pixels: int = MAX_PIXELS) -> Header:
    """Return the header in a section's bytes; `streams` is the number of bytes after it.

    It is None where they may be cut. Every size is checked before anything is made from it; raises
    FormatError.
    """
    reader = Reader(data)
    first, second = reader.byte(), reader.byte()
    form, packing = second & 63, second >> 6
    source = FORMATS[form] if form < len(FORMATS) else ""
    if first == STORED:
        length, crc = reader.number(), reader.crc()
        _check_end(length, streams)
        return StoredHeader(source, length, crc)
    kind = _kind(first)
    width, height = reader.number(), reader.number()
    if not (0 < width < MAX_SIDE and 0 < height < MAX_SIDE) or width * height > max_pixels:
        raise too_large(width, height, max_pixels)
    if packing >= len(PACKINGS) or form >= len(FORMATS):
        raise FormatError(f"packing {packing} of format {form} is not known to this release")
    if not convert.holds(source, kind):
        raise FormatError(f"{kind} in a file of format {source or 'unknown'}")
    if packing:
        length, crc = reader.number(), reader.crc()
        _check_end(length, streams)
        return PackedHeader(source, kind, height, width, PACKINGS[packing], length, crc)
    return _image(reader, source, kind, height, width, streams)


def too_large(width: int, height: int, max_pixels: int) -> FormatError:
    """Return the error of an image that is over a reader's limit."""
    return FormatError(
        f"image of {width}x{height} pixels: the limit is {max_pixels} (--max-pixels)"
    )


def _kind(byte: int) -> Kind:
    layout, depth = byte & 15, byte >> 4
    if layout in list(Layout) and depth < len(DEPTHS):
        kind = Kind(Layout(layout), DEPTHS[depth])
        if kind.known:
            return kind
    raise FormatError(f"kind of image {byte} is not known to this release")


def _image(
    reader: Reader, source: str, kind: Kind, height: int, width: int, streams: int | None
) -> ImageHeader:
    flags = reader.byte()
    tile = (height, width)
    if flags & 1:
        columns, rows = reader.number(), reader.number()
        if not (0 < rows <= height and 0 < columns <= width) or (rows, columns) == tile:
            raise FormatError(f"tiles of {columns}x{rows} in an image of {width}x{height}")
        tile = (rows, columns)
    if tile[0] > MAX_TILE[0] or tile[1] > MAX_TILE[1]:
        raise FormatError(f"tile of {tile[1]}x{tile[0]}: the limit is {MAX_TILE[1]}x{MAX_TILE[0]}")
    if flags & 0x0C:
        raise FormatError("flags are not known to this release")
    hashes = [reader.bytes(8) for _ in range(flags >> 4)]
    parts = groups.of(kind)
    ladders = full_ladders(kind)
    if flags & 2:
        ladders = tuple(ladder.unpack(reader) for _ in parts)
        if any(one.values[-1] >> kind.depth for one in ladders):
            raise FormatError(f"values of samples over {kind.depth} bits")
    count = -(-height // tile[0]) * -(-width // tile[1])
    if count * len(parts) * 7 > reader.left:
        raise FormatError(f"{count * len(parts)} tiles do not fit their index")
    tiles = tuple(_tile(reader, len(hashes), part) for part in parts for _ in range(count))
    for codec, most in MAX_NET_TILE.items():
        if tile[0] * tile[1] > most and any(t.codec == codec for t in tiles):
            raise FormatError(f"tile of {tile[1]}x{tile[0]}: codec {codec} takes {most} pixels")
    crc = reader.crc() if len(tiles) > 1 else 0
    names = unpack_names(reader.bytes(reader.left), len(hashes))
    _check_end(sum(t.length for t in tiles), streams)
    models = tuple(ModelName(h, n) for h, n in zip(hashes, names, strict=True))
    return ImageHeader(source, kind, height, width, tile, models, ladders, tiles, crc)


def _check_end(length: int, streams: int | None) -> None:
    if streams is None:
        return
    if length > streams:
        raise FormatError(
            f"file is cut: {length} bytes of streams expected, {streams} found (--salvage writes "
            "the tiles that are there)"
        )
    if length < streams:
        raise FormatError(f"{streams - length} bytes follow the end of the file")


def _tile(reader: Reader, models: int, group: Group) -> Tile:
    first, second = reader.byte(), reader.byte()
    codec, model = first & 15, first >> 4
    colour, painter = second & 15, second >> 4
    if codec > BITSWAP:
        raise FormatError(f"codec {codec} is not known to this release")
    if (model >= models) if codec != RAW else (model != 0):
        raise FormatError(f"tile of model {model}, {models} are named")
    if (painter >= models) if codec == LOSSY_FIRST else (painter != 0):
        raise FormatError(f"tile painted by model {painter}, {models} are named")
    if colour != int(codec != RAW and group.content == Content.COLOUR):
        raise FormatError(f"colour transform {colour} is not known to this release")
    return Tile(codec, model, colour, reader.number(), reader.crc(), painter)


def unpack_names(data: bytes, count: int) -> list[str]:
    """Return the names of so many models; raises FormatError."""
    names = data.decode("ascii", "replace").split(",") if count else []
    if len(names) != count or (data and not count):
        raise FormatError(f"{count} names of models expected")
    if not all(c.isalnum() or c in "-_.," for c in data.decode("ascii", "replace")):
        raise FormatError("name of a model: letters, digits and -_. expected")
    return names
