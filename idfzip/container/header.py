"""The section `I` of an `.idfz` file: what is in it and where. `FORMAT.md` is the specification."""

from __future__ import annotations

from dataclasses import dataclass

from idfzip.container.sections import Reader, number
from idfzip.errors import FormatError

STORED = 0
"""Kind: the source file's own bytes. The other kinds are the number of 8-bit channels, 1 or 3."""

FORMATS = ("", "PNG", "WEBP", "TIFF", "BMP", "PPM", "JPEG")
"""Source formats; index 0 is any other."""

RAW, FLAGSHIP, IDF, LATTICE = 0, 1, 2, 4
"""Codecs of a tile: the pixels as they are; the flagship; the bipartite and the progressive one."""

MAX_SIDE = 1 << 30
MAX_PIXELS = 500_000_000
MAX_TILE = (1024, 4096)
"""Most rows and columns of a tile: what decoding one takes grows with its rows and its pixels."""

MAX_IDF_TILE = 1 << 18
"""Most pixels of a tile of the bipartite codec, which keeps all values of a network at once."""


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
    """How a tile is coded: codec, model (index), colour transform, bytes, CRC-32 of its pixels."""

    codec: int
    model: int
    colour: int
    length: int
    crc: int


@dataclass(frozen=True)
class StoredHeader:
    """A file kept as it is."""

    format: str
    length: int
    crc: int


@dataclass(frozen=True)
class ImageHeader:
    """A coded image; `tile` is (height, width) of all tiles but the last ones, row by row."""

    format: str
    channels: int
    height: int
    width: int
    tile: tuple[int, int]
    models: tuple[ModelName, ...]
    tiles: tuple[Tile, ...]
    crc: int

    @property
    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Top, left, height and width of each tile."""
        return boxes(self.height, self.width, self.tile)


def boxes(height: int, width: int, tile: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Return top, left, height and width of each tile of a grid, row by row."""
    return [
        (y, x, min(tile[0], height - y), min(tile[1], width - x))
        for y in range(0, height, tile[0])
        for x in range(0, width, tile[1])
    ]


def pack(header: StoredHeader | ImageHeader) -> bytes:
    """Return the section's bytes."""
    known = header.format if header.format in FORMATS else ""
    if isinstance(header, StoredHeader):
        start = bytes([STORED, FORMATS.index(known)])
        return start + number(header.length) + header.crc.to_bytes(4, "little")
    tiled = header.tile != (header.height, header.width)
    out = bytearray([header.channels, FORMATS.index(known)])
    out += number(header.width) + number(header.height)
    out.append(int(tiled) | len(header.models) << 4)
    if tiled:
        out += number(header.tile[1]) + number(header.tile[0])
    for model in header.models:
        out += model.hash
    for tile in header.tiles:
        out += bytes([tile.codec | tile.model << 4, tile.colour])
        out += number(tile.length) + tile.crc.to_bytes(4, "little")
    if tiled:
        out += header.crc.to_bytes(4, "little")
    out += ",".join(model.name for model in header.models).encode("ascii")
    return bytes(out)


def unpack(data: bytes, streams: int | None) -> StoredHeader | ImageHeader:
    """Return the header in a section's bytes; `streams` is the number of bytes after it.

    It is None where they may be cut. Every size is checked before anything is made from it; raises
    FormatError.
    """
    reader = Reader(data)
    kind = reader.byte()
    form = reader.byte()
    source = FORMATS[form] if form < len(FORMATS) else ""
    if kind == STORED:
        length, crc = reader.number(), reader.crc()
        _check_end(length, streams)
        return StoredHeader(source, length, crc)
    if kind not in (1, 3):
        raise FormatError(f"kind of image {kind} is not known to this release")
    width, height = reader.number(), reader.number()
    if not (0 < width < MAX_SIDE and 0 < height < MAX_SIDE) or width * height > MAX_PIXELS:
        raise FormatError(f"image of {width}x{height} pixels: the limit is {MAX_PIXELS}")
    flags = reader.byte()
    tile = (height, width)
    if flags & 1:
        columns, rows = reader.number(), reader.number()
        if not (0 < rows <= height and 0 < columns <= width) or (rows, columns) == tile:
            raise FormatError(f"tiles of {columns}x{rows} in an image of {width}x{height}")
        tile = (rows, columns)
    if tile[0] > MAX_TILE[0] or tile[1] > MAX_TILE[1]:
        raise FormatError(f"tile of {tile[1]}x{tile[0]}: the limit is {MAX_TILE[1]}x{MAX_TILE[0]}")
    if flags & 0x0E:
        raise FormatError("flags are not known to this release")
    hashes = [reader.bytes(8) for _ in range(flags >> 4)]
    count = -(-height // tile[0]) * -(-width // tile[1])
    if count * 7 > reader.left:
        raise FormatError(f"{count} tiles do not fit their index")
    tiles = tuple(_tile(reader, len(hashes), kind) for _ in range(count))
    if tile[0] * tile[1] > MAX_IDF_TILE and any(t.codec == IDF for t in tiles):
        raise FormatError(f"tile of {tile[1]}x{tile[0]}: codec {IDF} takes {MAX_IDF_TILE} pixels")
    crc = reader.crc() if flags & 1 else 0
    names = _names(reader.bytes(reader.left), len(hashes))
    _check_end(sum(t.length for t in tiles), streams)
    models = tuple(ModelName(h, n) for h, n in zip(hashes, names, strict=True))
    return ImageHeader(source, kind, height, width, tile, models, tiles, crc)


def _check_end(length: int, streams: int | None) -> None:
    if streams is None:
        return
    if length > streams:
        raise FormatError(f"file is cut: {length} bytes of streams expected, {streams} found")
    if length < streams:
        raise FormatError(f"{streams - length} bytes follow the end of the file")


def _tile(reader: Reader, models: int, channels: int) -> Tile:
    first, colour = reader.byte(), reader.byte()
    codec, model = first & 15, first >> 4
    if codec not in (RAW, FLAGSHIP, IDF, LATTICE):
        raise FormatError(f"codec {codec} is not known to this release")
    if (model >= models) if codec != RAW else (model != 0):
        raise FormatError(f"tile of model {model}, {models} are named")
    if colour != int(codec != RAW and channels == 3):
        raise FormatError(f"colour transform {colour} is not known to this release")
    return Tile(codec, model, colour, reader.number(), reader.crc())


def _names(data: bytes, count: int) -> list[str]:
    names = data.decode("ascii", "replace").split(",") if count else []
    if len(names) != count or (data and not count):
        raise FormatError(f"{count} names of models expected")
    if not all(c.isalnum() or c in "-_.," for c in data.decode("ascii", "replace")):
        raise FormatError("name of a model: letters, digits and -_. expected")
    return names
