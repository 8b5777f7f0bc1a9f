"""`.idfz` files: a picture or a file of any kind goes in, bytes come out, and back."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from idfzip.codecs.indexed import Indexed
from idfzip.container import (
    header,
    model_file,
    models,
    palette,
    region,
    representations,
    sections,
    tiling,
)
from idfzip.container import parts as levelled
from idfzip.container.effort import Effort, Progress
from idfzip.container.header import Header, ImageHeader, ModelName, PackedHeader, StoredHeader
from idfzip.container.metadata import inflate, pack_metadata, unpack_metadata
from idfzip.container.model_file import Model
from idfzip.container.palette import Taken
from idfzip.container.plan import Part, plan
from idfzip.container.region import Region
from idfzip.container.representations import Sizes
from idfzip.container.samples import crc32
from idfzip.container.sections import Section
from idfzip.container.tiling import Coded
from idfzip.errors import FormatError, TileError
from idfzip.images import packing
from idfzip.images.picture import Metadata, Picture, Pixels

MODEL = b"m"
"""Tag of a section that holds a deflated model file."""


@dataclass(frozen=True)
class File:
    """The parts of an `.idfz` file.

    `sizes` are those of the representations that were tried; `levels` those of a progressive file,
    else 0. Of a stored file no more than `max_pixels` are decoded.
    """

    head: Header
    metadata: Metadata
    streams: bytes
    models: tuple[Section, ...] = ()
    sizes: Sizes = field(default_factory=dict)
    palette: Section | None = None
    levels: int = 0
    max_pixels: int = header.MAX_PIXELS


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


def store(data: bytes, form: str, sizes: Sizes | None = None) -> bytes:
    """Return an `.idfz` file that keeps a file's own bytes."""
    head = StoredHeader(form, len(data), zlib.crc32(data))
    return _write(head, representations.pack(sizes), [data])


def compress(
    picture: Picture,
    model: Model | None,
    effort: Effort,
    progress: Progress | None = None,
    embed: bool = False,
    level: int = models.DEFAULT_LEVEL,
    progressive: bool = False,
) -> bytes:
    """Return an `.idfz` file of the picture, coded by models.

    `model` codes the planes it fits; released models, of an effort `level`, the others. If `embed`
    is set the models go into the file. A `progressive` file begins with the coarse levels of all
    tiles. Raises ModelError where the given model fits no planes, or has no levels, and
    UnsupportedImage where there are planes that cannot be progressive.
    """
    parts = plan(picture, model, level, progressive)
    coded = tiling.encode(picture.pixels, parts, effort, progress, progressive)
    return assemble(picture, coded, parts, embed)


def assemble(
    picture: Picture,
    coded: Coded,
    parts: Sequence[Part],
    embed: bool = False,
    sizes: Sizes | None = None,
) -> bytes:
    """Return an `.idfz` file of a picture's coded tiles."""
    pixels = picture.pixels
    head = ImageHeader(
        picture.format,
        picture.kind,
        pixels.shape[0],
        pixels.shape[1],
        coded.size,
        tuple(ModelName(model.short, model.name) for model in coded.models),
        tuple(part.ladder for part in parts),
        coded.tiles,
        coded.crc,
    )
    metadata, extra = picture.metadata, representations.pack(sizes)
    coder = next((m.codec for m in coded.models if isinstance(m.codec, Indexed)), None)
    if coder is not None and any(part.palette is not None for part in parts):
        taken, metadata = palette.take(metadata)
        extra += [palette.pack(taken, coder)] if taken else []
    extra += pack_metadata(metadata)
    if embed:
        files = [model_file.dump(model.codec, model.name) for model in coded.models]
        extra += [Section(MODEL, zlib.compress(file, 9)) for file in files]
    streams = [b"".join(stream) for stream in coded.streams]
    if coded.levels:
        table, streams = levelled.pack(coded.streams)
        extra.append(table)
    return _write(head, extra, streams)


def pack(picture: Picture, packing: str, data: bytes, sizes: Sizes | None = None) -> bytes:
    """Return an `.idfz` file of a picture whose samples another codec has packed."""
    pixels = picture.pixels
    head = PackedHeader(
        picture.format,
        picture.kind,
        pixels.shape[0],
        pixels.shape[1],
        packing,
        len(data),
        crc32(pixels),
    )
    return _write(head, pack_metadata(picture.metadata) + representations.pack(sizes), [data])


def _write(head: Header, extra: list[Section], streams: list[bytes]) -> bytes:
    return sections.write([*extra, Section(sections.LAST, header.pack(head))], streams)


def parse(data: bytes, max_pixels: int = header.MAX_PIXELS, salvage: bool = False) -> File:
    """Return the parts of an `.idfz` file, checked as far as they go without decoding.

    To `salvage` it, streams may be cut, or other bytes may follow them.
    """
    parts, streams = sections.read(data)
    if parts[-1].tag == sections.ARCHIVE:
        raise FormatError("an archive of many images: 'idfzip decompress' unpacks it")
    file, table = _file(parts, streams, None if salvage else len(streams), max_pixels)
    if table is None:
        return file
    if len(streams) < levelled.through(table, len(table[0])):
        raise FormatError("a progressive file that is cut: 'idfzip preview' shows what is there")
    whole = b"".join(levelled.gathered(streams, table))
    return replace(file, streams=whole, levels=len(table[0]))


def begin(data: bytes, max_pixels: int = header.MAX_PIXELS) -> Start:
    """Return the parts of an `.idfz` file that may be cut after its sections."""
    parts, streams = sections.read(data)
    if parts[-1].tag == sections.ARCHIVE:
        raise FormatError("an archive of many images has no preview: 'idfzip decompress' it")
    file, table = _file(parts, streams, None, max_pixels)
    return Start(file, len(data) - len(streams), table)


def _file(
    parts: Sequence[Section], streams: bytes, length: int | None, max_pixels: int
) -> tuple[File, levelled.Table | None]:
    """Return a file whose streams are as they lie in it, and the table of parts if there is one.

    `length` is as in `header.unpack`; raises FormatError, too, for unknown sections.
    """
    head = header.unpack(parts[-1].data, length, max_pixels)
    table = None
    for section in parts[:-1]:
        if section.tag == levelled.TAG and isinstance(head, ImageHeader) and table is None:
            table = levelled.unpack(section, [tile.length for tile in head.tiles])
        elif section.tag != palette.TAG and not (section.tag.isalpha() and section.tag.islower()):
            raise FormatError(f"section {section.tag!r} is not known to this release")
    known = tuple(section for section in parts if section.tag == MODEL)
    tried = (section for section in parts if section.tag == representations.TAG)
    sizes = next(map(representations.unpack, tried), {})
    coded = next((section for section in parts if section.tag == palette.TAG), None)
    metadata = unpack_metadata(parts[:-1])
    file = File(head, metadata, streams, known, sizes, coded, max_pixels=max_pixels)
    return file, table


def needed_models(file: File, given: Model | None) -> list[Model]:
    """Return the models an image was coded with; raises ModelNotFound.

    One that is given or in the file comes before those that are installed.
    """
    head = file.head
    if not isinstance(head, ImageHeader):
        return []
    known = [given] if given else []
    if len(file.models) > len(head.models):
        raise FormatError(f"{len(file.models)} models in the file, {len(head.models)} are named")
    known += [embedded(part) for part in file.models]
    return [models.for_file(name, known) for name in head.models]


@lru_cache(maxsize=16)
def embedded(section: Section) -> Model:
    """Return the model in a section; raises FormatError or ModelError."""
    return model_file.load(inflate(section), "a model in the file")


def decompress(
    file: File,
    given: Model | None,
    effort: Effort,
    progress: Progress | None = None,
    salvage: bool = False,
    part: Region | None = None,
) -> tuple[Picture | Stored, list[int]]:
    """Return what the file holds, and which tiles failed (none, unless `salvage` is set).

    Of a `part` only the tiles that have pixels in it are decoded, what is stored or packed all.
    Raises FormatError or ModelNotFound; never returns pixels whose checksum is wrong as good.
    Raises RegionError for a part that is not inside, UnsupportedImage for one of a stored file
    whose pixels cannot be read exactly.
    """
    head = file.head
    if isinstance(head, StoredHeader):
        if zlib.crc32(file.streams) != head.crc:
            raise FormatError("the stored file is damaged (checksum)")
        if part is not None:
            return region.of_stored(file.streams, head.format, part, file.max_pixels), []
        return Stored(file.streams, head.format), []
    if part is not None:
        part.check(head.height, head.width)
    if isinstance(head, PackedHeader):
        pixels = packing.unpack(file.streams, head.packing, head.kind, head.height, head.width)
        if crc32(pixels) != head.crc:
            raise FormatError("the packed image is damaged (checksum)")
        return _picture(part.of(pixels) if part else pixels, head, file.metadata, part), []
    found = needed_models(file, given)
    taken = _palette(file, found)
    colours = taken.palette if taken else None
    decoded = tiling.decode(head, file.streams, found, effort, progress, colours, part)
    if decoded.failed and not salvage:
        raise TileError(
            f"{len(decoded.failed)} of {len(head.tiles)} tiles are damaged (checksum), first tile "
            f"{decoded.failed[0]}; --salvage writes the others"
        )
    metadata = palette.put_back(taken, file.metadata) if taken else file.metadata
    return _picture(decoded.pixels, head, metadata, part), decoded.failed


def _palette(file: File, found: Sequence[Model]) -> Taken | None:
    """Return the palette of a file, coded by the first of its models that is one of categories."""
    if file.palette is None:
        return None
    coder = next((m.codec for m in found if isinstance(m.codec, Indexed)), None)
    if coder is None:
        raise FormatError("a palette, but no model of categories")
    return palette.unpack(file.palette, coder)


def _picture(
    pixels: Pixels, head: PackedHeader | ImageHeader, metadata: Metadata, part: Region | None
) -> Picture:
    metadata = part.metadata(metadata) if part else metadata
    return Picture(pixels, head.format, metadata, head.kind.layout, head.kind.depth)
