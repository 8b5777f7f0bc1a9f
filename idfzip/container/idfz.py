"""`.idfz` files: a picture or a file of any kind goes in, bytes come out, and back."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from idfzip.container import header, model_file, models, sections, tiling
from idfzip.container import parts as levelled
from idfzip.container.header import ImageHeader, ModelName, StoredHeader
from idfzip.container.model_file import Model
from idfzip.container.sections import Section
from idfzip.container.tiling import Effort, Progress
from idfzip.errors import FormatError, TileError
from idfzip.images.picture import Metadata, Picture

_METADATA = {b"p": "chunks", b"q": "last_chunks", b"c": "icc", b"e": "exif", b"x": "xmp"}
"""Tags of ancillary sections, deflated, and what they hold; `d` holds pixels per inch."""

MODEL = b"m"
"""Tag of a section that holds a deflated model file."""

MAX_METADATA = 256 << 20


@dataclass(frozen=True)
class File:
    """The parts of an `.idfz` file; `levels` of a progressive one, else 0."""

    head: StoredHeader | ImageHeader
    metadata: Metadata
    streams: bytes
    model: Section | None = None
    levels: int = 0


@dataclass(frozen=True)
class Start:
    """The beginning of an `.idfz` file, whose streams may be cut and are as they lie in the file.

    `size` is the number of bytes before the streams; `table` that of the parts of a progressive
    file.
    """

    file: File
    size: int
    table: levelled.Table | None


@dataclass(frozen=True)
class Stored:
    """A source file's own bytes, and its format."""

    data: bytes
    format: str


def store(data: bytes, form: str) -> bytes:
    """Return an `.idfz` file that keeps a file's own bytes."""
    head = StoredHeader(form, len(data), zlib.crc32(data))
    return sections.write([Section(sections.LAST, header.pack(head))], [data])


def compress(
    picture: Picture,
    model: Model,
    effort: Effort,
    progress: Progress | None = None,
    embed: bool = False,
    levels: bool = False,
) -> bytes:
    """Return an `.idfz` file of the picture, coded by the model, which must fit its channels.

    If `embed` is set the model goes into the file. With `levels` the file begins with the coarse
    levels of all tiles; raises ModelError where the model has none.
    """
    pixels = picture.pixels
    size, tiles, streams = tiling.encode(pixels, model, effort, progress, levels)
    used = any(tile.codec != header.RAW for tile in tiles)
    head = ImageHeader(
        picture.format,
        pixels.shape[2],
        pixels.shape[0],
        pixels.shape[1],
        size,
        (ModelName(model.short, model.name),) if used else (),
        tuple(tiles),
        zlib.crc32(np.ascontiguousarray(pixels).data),
    )
    parts = _pack_metadata(picture.metadata)
    if embed and used:
        whole = model_file.dump(model.codec, model.name)
        parts.append(Section(MODEL, zlib.compress(whole, 9)))
    ordered = [b"".join(stream) for stream in streams]
    if levels and used:
        table, ordered = levelled.pack(streams)
        parts.append(table)
    return sections.write([*parts, Section(sections.LAST, header.pack(head))], ordered)


def parse(data: bytes) -> File:
    """Return the parts of an `.idfz` file, checked as far as they go without decoding."""
    parts, streams = sections.read(data)
    head = header.unpack(parts[-1].data, len(streams))
    table = _known(parts, head)
    if table is not None:
        streams = b"".join(levelled.gathered(streams, table))
    model = next((section for section in parts if section.tag == MODEL), None)
    levels = len(table[0]) if table else 0
    return File(head, _unpack_metadata(parts[:-1]), streams, model, levels)


def begin(data: bytes) -> Start:
    """Return the parts of an `.idfz` file that may be cut after its sections."""
    parts, streams = sections.read(data)
    head = header.unpack(parts[-1].data, None)
    model = next((section for section in parts if section.tag == MODEL), None)
    file = File(head, _unpack_metadata(parts[:-1]), streams, model)
    return Start(file, len(data) - len(streams), _known(parts, head))


def _known(parts: list[Section], head: StoredHeader | ImageHeader) -> levelled.Table | None:
    """Return the table of parts, if there is one; raises FormatError for unknown sections."""
    table = None
    for section in parts[:-1]:
        if section.tag == levelled.TAG and isinstance(head, ImageHeader) and table is None:
            table = levelled.unpack(section, [tile.length for tile in head.tiles])
        elif section.tag.isupper() or not section.tag.isalpha():
            raise FormatError(f"section {section.tag!r} is not known to this release")
    return table


def needed_models(file: File, given: Model | None) -> list[Model]:
    """Return the models an image was coded with; raises ModelNotFound.

    One that is given or in the file comes before those that are installed.
    """
    head = file.head
    if not isinstance(head, ImageHeader):
        return []
    known = [given] if given else []
    if file.model and head.models:
        known.append(model_file.load(_inflate(file.model), "the model in the file"))
    found = [models.for_file(name, known) for name in head.models]
    for i, (model, name) in enumerate(zip(found, head.models, strict=True)):
        if model.codec.channels != head.channels:
            raise FormatError(f"model {name} codes {model.codec.channels} channels")
        codecs = {tile.codec for tile in head.tiles if tile.codec and tile.model == i}
        if codecs - {model.architecture.number}:
            raise FormatError(f"model {name} is not of the codec that its tiles name")
    return found


def decompress(
    file: File,
    given: Model | None,
    effort: Effort,
    progress: Progress | None = None,
    salvage: bool = False,
) -> tuple[Picture | Stored, list[int]]:
    """Return what the file holds, and which tiles failed (none, unless `salvage` is set).

    Raises FormatError or ModelNotFound; never returns pixels whose checksum is wrong as good.
    """
    head = file.head
    if isinstance(head, StoredHeader):
        if zlib.crc32(file.streams) != head.crc:
            raise FormatError("the stored file is damaged (checksum)")
        return Stored(file.streams, head.format), []
    found = needed_models(file, given)
    decoded = tiling.decode(head, file.streams, found, effort, progress)
    if decoded.failed and not salvage:
        raise TileError(
            f"{len(decoded.failed)} of {len(head.tiles)} tiles are damaged (checksum), first tile "
            f"{decoded.failed[0]}; --salvage writes the others"
        )
    return Picture(decoded.pixels, head.format, file.metadata), decoded.failed


def _pack_metadata(metadata: Metadata) -> list[Section]:
    found = [
        Section(tag, zlib.compress(getattr(metadata, name), 9))
        for tag, name in _METADATA.items()
        if getattr(metadata, name)
    ]
    if metadata.dpi is not None:
        found.append(Section(b"d", struct.pack("<2d", *metadata.dpi)))
    return found


def _unpack_metadata(parts: list[Section]) -> Metadata:
    values: dict[str, bytes] = {}
    dpi: tuple[float, float] | None = None
    for section in parts:
        if section.tag in _METADATA:
            values[_METADATA[section.tag]] = _inflate(section)
        elif section.tag == b"d" and len(section.data) == 16:
            dpi = struct.unpack("<2d", section.data)
    return Metadata(**values, dpi=dpi)


def _inflate(section: Section) -> bytes:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(section.data, MAX_METADATA)
    except zlib.error as error:
        raise FormatError(f"metadata {section.tag!r} is damaged ({error})") from None
    if not stream.eof:
        raise FormatError(f"metadata {section.tag!r} is cut or over {MAX_METADATA} bytes")
    return data
