"""Blocks of an archive: small images of one kind, coded together by one model."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from idfzip.codecs import bitswap
from idfzip.codecs import block as codec
from idfzip.codecs.bitswap import Bitswap
from idfzip.codecs.flagship import Flagship
from idfzip.container import sections, tiling
from idfzip.container.architecture import Planes
from idfzip.container.devices import Device
from idfzip.container.effort import Progress
from idfzip.container.index import Block, Entry, Small
from idfzip.container.metadata import inflate, pack_metadata, unpack_metadata
from idfzip.container.model_file import Model
from idfzip.container.samples import checksum
from idfzip.container.sections import Reader, Section, number
from idfzip.errors import FormatError
from idfzip.flows import colour
from idfzip.images.picture import GREY, RGB, Metadata, Picture

PIXELS = 1 << 18
"""Most pixels that an encoder puts into a block: what decoding one member costs at most."""

MAX_PIXELS = 1 << 16
"""Most pixels of an image that goes into a block; it gains by company as long as it is small."""

MAX_METADATA = 1 << 16

ROWS = 256
"""About as many rows as a block's images in lockstep have together."""


@dataclass(frozen=True)
class Image:
    """An image on its way into a block; `limit` is the size in bytes that it should stay below."""

    entry: Entry
    picture: Picture
    limit: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.picture.pixels.shape[:2]


def fits(picture: Picture, model: Model) -> bool:
    """Return whether a picture may go into a block of this model."""
    pixels = picture.pixels
    height, width, channels = pixels.shape
    return (
        isinstance(model.codec, Bitswap | Flagship)
        and picture.kind in (GREY, RGB)
        and channels == model.codec.channels
        and pixels.size <= MAX_PIXELS * channels
        and height <= tiling.TILE_ROWS
        and width <= tiling.TILE_COLUMNS
        and len(_pack_metadata(picture.metadata)) <= MAX_METADATA
    )


def takes(images: Sequence[Image], other: Image) -> bool:
    """Return whether a block of these images has room for another."""
    sizes = [image.size for image in (*images, other)]
    return not images or sum(h * w for h, w in sizes) <= PIXELS


def _lockstep(sizes: Sequence[tuple[int, int]]) -> int:
    return min(len(sizes), max(1, ROWS // max(h for h, _ in sizes)))


def _learning(model: Model, rate: int) -> Flagship:
    """Return the codec, learning at this rate; raises FormatError where it may not."""
    codec = model.flagship
    if rate and not codec.learning.rate:
        raise FormatError(f"model {model.name} does not learn")
    return replace(codec, learning=codec.learning._replace(rate=rate))


def encode(
    images: Sequence[Image],
    model: Model,
    place: int,
    progress: Progress | None = None,
    device: Device | None = None,
) -> tuple[Block, bytes, list[float]]:
    """Return a block's row, its bytes, and the bits that each image takes of its stream.

    Images of a bits-back model are one chain. A flagship's network learns from image to image where
    that gives fewer bits: it does where the images are others than those it was trained on. Bits
    per subpixel of 256 tiles of 32 x 32, as it was trained, learning from each tile alone, and
    learning on: `cifar10` 3.538, 3.536, 3.558 on CIFAR-10's test images; `photo` 3.642, 3.641,
    3.611 on them, 2.203, 2.202, 2.085 on stained tissue; 64 tiles of 64 x 64 of the latter 2.044,
    2.032, 1.957; 32 of 128 x 128 of `cid22/validation` 2.599, 2.557, 2.524. In runs of 1, 4, 8, 16,
    32 tiles, the tissue took 2.086, 2.084, 2.085, 2.088, 2.098.

    `place` is the model's among those of the archive.
    """
    numbers = np.arange(256, dtype=np.uint16)
    tiles = [colour.to_planes(image.picture.pixels, numbers) for image in images]
    if isinstance(model.codec, Bitswap):
        lockstep, rate, coded = 1, 0, bitswap.encode_chain(model.codec, tiles, progress)
    else:
        lockstep, rate, coded = _learned(images, tiles, model, progress, device)
    parts = [_pack_metadata(image.picture.metadata) for image in images]
    deflated = b""
    if any(parts):
        deflated = zlib.compress(b"".join(number(len(part)) + part for part in parts), 9)
    body = number(len(deflated)) + deflated + coded.stream
    members = tuple(
        Small(
            image.entry,
            image.picture.format,
            *image.size,
            checksum(image.picture.pixels, i),
        )
        for i, image in enumerate(images)
    )
    row = Block(
        model.codec.channels,
        model.architecture.number,
        place,
        lockstep,
        rate,
        len(body),
        zlib.crc32(body),
        members,
    )
    return row, body, coded.bits


def _learned(
    images: Sequence[Image],
    tiles: Sequence[Planes],
    model: Model,
    progress: Progress | None,
    device: Device | None,
) -> tuple[int, int, codec.Coded]:
    """Return how many tiles are in lockstep, the best rate of learning, and what it gives."""
    lockstep = _lockstep([image.size for image in images])
    rates = sorted({0, model.flagship.learning.rate})
    codecs = [_learning(model, rate) for rate in rates]
    if device is not None:
        coming = [device.encode_block(model, one, tiles, lockstep) for one in codecs]
        made = [future.result() for future in coming]
    else:
        made = [codec.encode(one, tiles, lockstep, progress) for one in codecs]
    rate, coded = min(zip(rates, made, strict=True), key=lambda tried: len(tried[1].stream))
    return lockstep, rate, coded


def decode(
    row: Block,
    body: bytes,
    model: Model,
    progress: Progress | None = None,
    device: Device | None = None,
) -> list[Picture | None]:
    """Return the block's pictures, None for those that are damaged.

    Raises FormatError where nothing of it can be had.
    """
    if model.architecture.number != row.codec:
        raise FormatError(f"model {model.name} is not of the codec that its block names")
    if model.codec.channels != row.channels:
        raise FormatError(f"model {model.name} codes {model.codec.channels} channels")
    reader = Reader(body)
    deflated = reader.bytes(reader.number())
    metadata = _metadata(deflated, len(row.members))
    stream = reader.bytes(reader.left // 4 * 4)
    tiles = _tiles(row, stream, model, progress, device)
    found: list[Picture | None] = []
    values = np.arange(256, dtype=np.uint8)
    for i, (member, planes) in enumerate(zip(row.members, tiles, strict=True)):
        pixels = colour.to_samples(planes, values)
        whole = checksum(pixels, i) == member.crc
        found.append(Picture(pixels, member.format, metadata[i]) if whole else None)
    return found


def _tiles(
    row: Block, stream: bytes, model: Model, progress: Progress | None, device: Device | None
) -> list[Planes]:
    """Return the planes of a block's members; those after any damage are wrong."""
    if isinstance(model.codec, Bitswap):
        return bitswap.decode_chain(model.codec, stream, row.sizes, progress)[0]
    learning = _learning(model, row.rate)
    if device is not None:
        return device.decode_block(model, learning, stream, row.sizes, row.lockstep).result()
    return codec.decode(learning, stream, row.sizes, row.lockstep, progress)


def _pack_metadata(metadata: Metadata) -> bytes:
    packed = pack_metadata(metadata)
    return b"".join(part.tag + number(len(part.data)) + part.data for part in packed)


def _metadata(deflated: bytes, members: int) -> list[Metadata]:
    if not deflated:
        return [Metadata()] * members
    reader = Reader(inflate(Section(sections.ARCHIVE, deflated)))
    return [_unpack_metadata(reader.bytes(reader.number())) for _ in range(members)]


def _unpack_metadata(data: bytes) -> Metadata:
    reader = Reader(data)
    parts = []
    while reader.left:
        parts.append(Section(reader.bytes(1), reader.bytes(reader.number())))
    return unpack_metadata(parts)
