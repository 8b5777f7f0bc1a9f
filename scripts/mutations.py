"""Mutations of `.idfz` files and model files: bytes that are damaged, or forged and checksummed.

Each is made by a source of randomness that is given, of bytes that are sound; see `fuzz.py`.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zlib
from dataclasses import replace

import safetensors.numpy

from idfzip.container import header, index, model_file, sections
from idfzip.container.architecture import named
from idfzip.container.archive import Archive
from idfzip.container.header import ImageHeader
from idfzip.container.sections import Section, number
from idfzip.errors import ModelError

LARGE = 1 << 16
"""Pixels from which on a claimed size is not tried, unless it is over the limit."""

EXTREMES = (0, 1, 2, 127, 128, 255, 1023, 4096, 65535, 65536, (1 << 30) - 1, 1 << 31, (1 << 35) - 1)
FACTS: tuple[object, ...] = (
    *(0, -1, 1, 7, 255, 1 << 31, 1 << 63, -(1 << 63), 10**30, 1e300, None, "", True),
    *([], {}),
)
"""What whole numbers in metadata are exchanged for."""

DEFLATED = b"pqthcexm" + sections.ARCHIVE
"""Tags of sections that are deflated."""


def broken(rng: random.Random, data: bytes) -> bytes:
    """Return bytes with some flipped, overwritten, left out, put in, or cut at the end."""
    out = bytearray(data)
    at = rng.randrange(len(out) + 1)
    how = rng.randrange(6)
    if how == 0 and out:
        for _ in range(rng.randint(1, 8)):
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    elif how == 1:
        del out[at:]
    elif how == 2:
        del out[at : at + rng.randint(1, 20)]
    elif how == 3:
        out[at:at] = rng.randbytes(rng.randint(1, 20))
    else:
        out[at : at + rng.randint(1, 5)] = number(rng.choice(EXTREMES))
    return bytes(out)


def forged_section(rng: random.Random, section: Section) -> Section:
    """Return a section changed within, what is deflated mostly inside."""
    data = section.data
    if section.tag in DEFLATED and rng.random() < 0.8:
        return Section(section.tag, zlib.compress(broken(rng, zlib.decompress(data))))
    return Section(section.tag, broken(rng, data))


def forged(rng: random.Random, data: bytes) -> bytes:
    """Return a file with a section changed, and its checksum right."""
    parts, streams = sections.read(data)
    i = rng.choice((len(parts) - 1, rng.randrange(len(parts))))
    return sections.write([*parts[:i], forged_section(rng, parts[i]), *parts[i + 1 :]], [streams])


def resized(rng: random.Random, data: bytes) -> bytes:
    """Return a file of an image whose header says other sizes, of the image and of its tiles.

    Those that a reader takes are small: decoding takes as long as the pixels claimed do, of a
    sound file of flat ones likewise.
    """
    parts, streams = sections.read(data)
    head = header.unpack(parts[-1].data, len(streams))
    if isinstance(head, header.StoredHeader):
        return forged(rng, data)
    sizes = (1, head.height, head.width, *EXTREMES)
    height, width = rng.choice(sizes), rng.choice(sizes)
    if LARGE < height * width <= header.MAX_PIXELS:
        height, width = head.width, head.height
    head = replace(head, height=height, width=width)
    if isinstance(head, ImageHeader):
        whole = rng.random() < 0.5
        tile = (height, width) if whole else (rng.choice(sizes), rng.choice(sizes))
        head = replace(head, tile=tile)
    return sections.write([*parts[:-1], Section(sections.LAST, header.pack(head))], [streams])


def exchanged(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Return a file of sections of two, and the streams of one."""
    mine, streams = sections.read(data)
    theirs, others = sections.read(other)
    if rng.random() < 0.5:
        return sections.write([*theirs[:-1], *mine], [streams])
    return sections.write([*mine[:-1], theirs[-1]], [rng.choice((streams, others))])


def forged_member(rng: random.Random, data: bytes) -> bytes:
    """Return an archive with the bytes of a member or block changed, checksums and index right."""
    parts, _ = sections.read(data)
    box = Archive(io.BytesIO(data))
    found = box.index
    blocks = [box.block(i) for i in range(len(found.blocks))]
    wholes = [box.file(i) for i in range(len(found.files))]
    if rng.random() < 0.5:
        i = rng.randrange(len(blocks))
        blocks[i] = broken(rng, blocks[i])
    else:
        i = rng.randrange(len(wholes))
        wholes[i] = forged(rng, wholes[i])
    rows = tuple(
        replace(row, length=len(body), crc=zlib.crc32(body))
        for row, body in zip(found.blocks, blocks, strict=True)
    )
    files = tuple(replace(m, length=len(b)) for m, b in zip(found.files, wholes, strict=True))
    packed = index.pack(replace(found, blocks=rows, files=files))
    return sections.write([*parts[:-1], Section(sections.ARCHIVE, packed)], blocks + wholes)


def broken_head(rng: random.Random, data: bytes) -> bytes:
    """Return a model whose header is broken, or said to be of another length."""
    (length,) = struct.unpack_from("<Q", data)
    start = broken(rng, data[8 : 8 + length])
    size = rng.choice((len(start), len(start), length, *EXTREMES))
    return struct.pack("<Q", size) + start + data[8 + length :]


def broken_facts(rng: random.Random, facts: dict[str, object]) -> dict[str, object]:
    """Return metadata with a value exchanged, left out or made a list's."""
    key = rng.choice(sorted(facts))
    value = facts[key]
    if isinstance(value, list) and value and rng.random() < 0.7:
        return facts | {key: [*value[1:], rng.choice(FACTS)]}
    left = {name: fact for name, fact in facts.items() if name != key}
    return left if rng.random() < 0.2 else left | {key: rng.choice(FACTS)}


def forged_model(rng: random.Random, data: bytes) -> bytes:
    """Return a model with tensors or metadata changed, its self-test right where there is one."""
    (length,) = struct.unpack_from("<Q", data)
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    tensors, facts = safetensors.numpy.load(data), json.loads(metadata["decoding"])
    name = rng.choice(sorted(tensors))
    how = rng.randrange(5)
    if how == 0:
        facts = broken_facts(rng, facts)
    elif how == 1:
        axis = rng.randrange(tensors[name].ndim)
        count = rng.randrange(tensors[name].shape[axis] + 1)
        tensors[name] = tensors[name].take(range(count), axis)
    elif how == 2:
        del tensors[name]
    else:
        bits = bytearray(tensors[name].tobytes())
        for _ in range(rng.choice((1, 1, 4, 100))):
            bits[rng.randrange(len(bits))] = rng.choice((0, 1, 127, 128, 255))
        tensors[name] = safetensors.numpy.load(
            safetensors.numpy.save({name: tensors[name]})[: -len(bits)] + bytes(bits)
        )[name]
    kind = named(facts.get("architecture")) if isinstance(facts, dict) else None
    try:
        if kind is not None and rng.random() < 0.8:
            return model_file.dump(kind.from_tensors(tensors, facts), "forged")
    except ModelError:
        pass  # it is refused, and should be as a file as well
    metadata["decoding"] = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return bytes(safetensors.numpy.save(tensors, metadata))
