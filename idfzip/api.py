"""The Python API: `compress` and `decompress` for an image, `pack` and `unpack` for many."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from idfzip.container import archive, block, idfz, models, names
from idfzip.container.index import Block, Entry
from idfzip.container.model_file import Model
from idfzip.container.threads import in_order
from idfzip.container.tiling import Effort, all_cores
from idfzip.errors import FormatError, IdfzipError, ModelError
from idfzip.images import png, writer
from idfzip.images.picture import Picture, from_array


def _model(name: str | Path | None) -> Model | None:
    return None if name is None else models.by_name(str(name))


def _effort(threads: int | None) -> Effort:
    return Effort(threads or all_cores())


def compress(
    image: Image.Image | npt.NDArray[Any],
    *,
    model: str | Path | None = None,
    threads: int | None = None,
) -> bytes:
    """Return an `.idfz` file of a Pillow image or of a uint8 array, (H, W) or (H, W, 1 or 3).

    `model` is a name, a hash or a path; without it the released one is taken. An image of a kind
    that no model codes is kept as a PNG. Raises UnsupportedImage for other arrays.
    """
    picture = _read(image)
    if isinstance(picture, bytes):
        return idfz.store(picture, "PNG")
    return idfz.compress(picture, _fitting(picture, _model(model)), _effort(threads))


def _fitting(picture: Picture, given: Model | None) -> Model:
    """Return the model for a picture; raises ModelError where the one given does not fit."""
    channels = picture.pixels.shape[2]
    chosen = given or models.released(channels)
    if chosen.codec.channels != channels:
        raise ModelError(
            f"model {chosen.name} codes {chosen.codec.channels} channels, the image has {channels}"
        )
    return chosen


def _read(image: Image.Image | npt.NDArray[Any]) -> Picture | bytes:
    return from_array(image) if isinstance(image, np.ndarray) else _picture(image)


def _picture(image: Image.Image) -> Picture | bytes:
    """Return the picture of a Pillow image, or, of another kind, a PNG of it."""
    kept = {key: image.info[key] for key in ("icc_profile", "exif", "dpi") if key in image.info}
    if image.mode not in ("L", "RGB") or "transparency" in image.info:
        out = io.BytesIO()
        image.save(out, "PNG", **kept)
        return out.getvalue()
    dot = io.BytesIO()
    Image.new(image.mode, (1, 1)).save(dot, "PNG", **kept)
    pixels = from_array(np.asarray(image)).pixels
    return Picture(pixels, "PNG", png.other_chunks(dot.getvalue()))


def decompress(
    data: bytes, *, model: str | Path | None = None, threads: int | None = None
) -> Image.Image:
    """Return the image in an `.idfz` file.

    Raises FormatError where the file is damaged and ModelNotFound where its model is missing.
    """
    return _image(idfz.decompress(idfz.parse(data), _model(model), _effort(threads))[0])


def _image(found: Picture | idfz.Stored) -> Image.Image:
    if isinstance(found, Picture):
        return writer.to_image(found)
    image = Image.open(io.BytesIO(found.data))
    image.load()
    return image


def pack(
    images: Mapping[str, Image.Image | npt.NDArray[Any]],
    *,
    model: str | Path | None = None,
    threads: int | None = None,
) -> bytes:
    """Return an archive of images by name; each as for `compress`, small ones in common blocks.

    Raises FormatError for a name that is no relative path with `/`.
    """
    given, effort = _model(model), _effort(threads)
    writer = archive.Writer(io.BytesIO(), io.BytesIO())
    groups: dict[str, list[list[block.Image]]] = {}
    wholes: list[tuple[Entry, Picture | bytes]] = []
    for name, image in images.items():
        entry, picture = Entry(names.check(name)), _read(image)
        if isinstance(picture, bytes) or not block.fits(picture, _fitting(picture, given)):
            wholes.append((entry, picture))
            continue
        small = block.Image(entry, picture, picture.pixels.size)
        mine = groups.setdefault(_fitting(picture, given).identity, [[]])
        if not block.takes(mine[-1], small):
            mine.append([])
        mine[-1].append(small)

    def code(part: list[block.Image]) -> tuple[Block, bytes, list[float]]:
        chosen = _fitting(part[0].picture, given)
        return block.encode(part, chosen, writer.place(chosen))

    parts = [part for mine in groups.values() for part in mine]
    for part in parts:
        writer.place(_fitting(part[0].picture, given))
    for part, (row, body, _) in zip(
        parts, in_order((partial(code, part) for part in parts), effort.threads), strict=True
    ):
        if len(body) < sum(image.limit for image in part):
            writer.add_block(row, body)
        else:
            wholes += [(image.entry, image.picture) for image in part]
    for entry, found in wholes:
        if isinstance(found, bytes):
            writer.add_file(entry, idfz.store(found, "PNG"))
        else:
            writer.add_file(entry, idfz.compress(found, _fitting(found, given), effort))
    out = io.BytesIO()
    writer.finish(out)
    return out.getvalue()


def unpack(
    data: bytes,
    *,
    member: str | None = None,
    model: str | Path | None = None,
    threads: int | None = None,
) -> dict[str, Image.Image]:
    """Return the images of an archive by name, or one of them alone.

    Raises FormatError where one is damaged or missing and ModelNotFound.
    """
    box = archive.Archive(io.BytesIO(data))
    found = {}
    for part in archive.decoded(
        box, _model(model), _effort(threads), lambda entry: member in (None, entry.name)
    ):
        if isinstance(part.found, IdfzipError):
            raise type(part.found)(f"member {names.shown(part.entry.name)}: {part.found}")
        found[part.entry.name] = _image(part.found)
    if member is not None and not found:
        raise FormatError(f"there is no member {names.shown(member)}")
    return found
