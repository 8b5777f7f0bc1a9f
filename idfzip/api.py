"""The Python API: `idfzip.compress` and `idfzip.decompress`."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from operator import index
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin, TiffImagePlugin

from idfzip.container import archive, block, choice, devices, header, idfz, models, names
from idfzip.container import lossy as painting
from idfzip.container.effort import Effort, all_cores
from idfzip.container.index import Entry
from idfzip.container.model_file import Model
from idfzip.container.plan import plan
from idfzip.container.region import Region
from idfzip.container.threads import in_order
from idfzip.errors import FormatError, IdfzipError, UnsupportedImage
from idfzip.images import reader, trial, writer
from idfzip.images.damage import READING, line
from idfzip.images.picture import Picture, from_array

_KEPT = ("icc_profile", "exif", "dpi", "transparency")
_OPENERS = {"PNG": PngImagePlugin.PngImageFile, "TIFF": TiffImagePlugin.TiffImageFile}
"""Of Pillow's, which do not ask how large an image is that is in memory already."""

_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def _model(name: str | Path | None) -> Model | None:
    return None if name is None else models.by_name(str(name))


def _effort(threads: int | None, device: str) -> Effort:
    count = threads or all_cores()
    return Effort(count, device=_device(device, count))


@lru_cache(maxsize=8)
def _device(name: str, threads: int) -> devices.Device | None:
    """Return a device, which stays ready for the next call."""
    return devices.find(name, threads, None, _warn)


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)


def compress(
    image: Image.Image | npt.NDArray[Any],
    *,
    model: str | Path | None = None,
    threads: int | None = None,
    device: str = devices.CPU,
    level: int = models.DEFAULT_LEVEL,
    progressive: bool = False,
    lossy: bool = False,
    lossy_first: bool = False,
    quality: int | None = None,
) -> bytes:
    """Return an `.idfz` file of a Pillow image, or of an array (H, W) or (H, W, 1 to 4).

    Arrays are uint8 or uint16: grey, grey with alpha, RGB, RGBA. `model` is a name, a hash or a
    path; without it released ones are taken, and other codecs where they are smaller. `level`, 1
    to 9, says how much is tried. `device` is "cpu", "cuda", "cuda:N", or "auto", which takes a GPU
    where it is there and faster; it changes no byte. A `progressive` file goes from coarse to fine,
    so that its beginning shows the whole image; such models code channels of 256 values at most. An
    image of a kind that is not coded is kept as a TIFF.

    Nothing is lost unless the file is `lossy`: then it holds a picture that is alike only, of a
    `quality` from 1 (smallest) to 100, 50 without one. A `lossy_first` file is lossless and begins
    with such a picture, of 40 without a quality. Both are of grey and RGB of 8 bits, with or
    without alpha, which is always kept.

    Raises UnsupportedImage for other arrays, and for images that no file holds as they are, or that
    cannot be progressive or lossy; ModelError for a model that does not fit; ValueError for options
    that exclude each other or are out of range; DeviceError where the device is missing or fails.
    """
    _check_options(progressive, lossy, lossy_first, quality)
    _check_level(level)
    picture = _read(image)
    if isinstance(picture, bytes):
        if lossy or lossy_first:
            raise UnsupportedImage("an image of a kind that is kept as it is cannot be lossy")
        return idfz.store(picture, "TIFF")
    given, effort = _model(model), _effort(threads, device)
    if lossy:
        wanted = quality or painting.DEFAULT_QUALITY
        painter = given or models.packaged(models.LOSSY)
        return painting.compress(picture, painter, wanted, effort, levels=progressive).data
    if lossy_first:
        painter, rest = painting.told_apart(given)
        wanted = quality or painting.FIRST_QUALITY
        return painting.compress_first(picture, painter, rest, wanted, effort, level=level)
    return choice.smallest(picture, None, given, effort, level, progressive=progressive).data


def _check_options(progressive: bool, lossy: bool, first: bool, quality: int | None) -> None:
    """Raise ValueError for options that exclude each other, or a quality out of range."""
    if first and (lossy or progressive):
        raise ValueError("lossy_first does not go with lossy or progressive")
    if quality is not None and not (lossy or first):
        raise ValueError("a quality needs lossy or lossy_first")
    if quality is not None and not 1 <= quality <= painting.MOST_QUALITY:
        raise ValueError(f"quality {quality}: 1 to {painting.MOST_QUALITY} expected")


def _check_level(level: int) -> None:
    """Raise ValueError for an effort out of range."""
    if level not in range(1, models.ALL + 1):
        raise ValueError(f"level {level}: 1 to {models.ALL} expected")


def _read(image: Image.Image | npt.NDArray[Any]) -> Picture | bytes:
    if isinstance(image, np.ndarray):
        return from_array(image)
    if not isinstance(image, Image.Image):
        raise TypeError(f"{type(image).__name__}: a Pillow image or a numpy array expected")
    return _picture(image)


def _region(asked: Sequence[int] | None) -> Region | None:
    """Return the region; raises ValueError for anything but four whole numbers."""
    if asked is None:
        return None
    try:
        left, top, width, height = map(index, asked)
    except (TypeError, ValueError):
        raise ValueError(
            f"region {asked!r}: whole numbers (left, top, width, height) expected"
        ) from None
    return Region(left, top, width, height)


def _picture(image: Image.Image) -> Picture | bytes:
    """Return the picture of a Pillow image, or, of a kind that is not coded, a TIFF of it."""
    if image.mode in ("I;16B", "I;16L"):
        native = Image.fromarray(np.asarray(image).astype(np.uint16))
        native.info = image.info
        image = native
    kept = {key: image.info[key] for key in _KEPT if key in image.info}
    form = "PNG" if image.mode in _PNG_MODES else "TIFF"
    options: dict[str, Any] = {"compress_level": 1} if form == "PNG" else {}
    out = io.BytesIO()
    try:
        image.save(out, form, **options, **kept)
        file = _OPENERS[form](io.BytesIO(out.getvalue()))
        found = trial.tried(reader.opened(file, out.getvalue(), image.width * image.height))
        same = writer.to_image(found) if isinstance(found, Picture) else file
        if same.mode != image.mode or same.tobytes() != image.tobytes():
            raise ValueError("it comes back as another one")
    except READING as error:
        raise UnsupportedImage(
            f"image of mode {image.mode}: no file holds it as it is ({line(error)}); convert it, "
            "or leave out what goes with it"
        ) from None
    return found if isinstance(found, Picture) else out.getvalue()


@overload
def decompress(
    data: bytes,
    *,
    model: str | Path | None = ...,
    threads: int | None = ...,
    device: str = ...,
    max_pixels: int = ...,
    as_array: Literal[False] = ...,
    region: tuple[int, int, int, int] | None = ...,
) -> Image.Image: ...


@overload
def decompress(
    data: bytes,
    *,
    model: str | Path | None = ...,
    threads: int | None = ...,
    device: str = ...,
    max_pixels: int = ...,
    as_array: Literal[True],
    region: tuple[int, int, int, int] | None = ...,
) -> npt.NDArray[np.unsignedinteger[Any]]: ...


def decompress(
    data: bytes,
    *,
    model: str | Path | None = None,
    threads: int | None = None,
    device: str = devices.CPU,
    max_pixels: int = header.MAX_PIXELS,
    as_array: bool = False,
    region: tuple[int, int, int, int] | None = None,
) -> Image.Image | npt.NDArray[np.unsignedinteger[Any]]:
    """Return the image in an `.idfz` file, as Pillow's or as an array (H, W) or (H, W, C).

    Of a `region`, (left, top, width, height), only the tiles that hold some of it are decoded.
    Images of more than `max_pixels` are refused before memory is taken for them.

    Arrays hold the samples as they are, uint8 or uint16: of a palette the indices, of few bits
    whole numbers from 0. Raises FormatError where the file is damaged, ModelNotFound where its
    model is missing, RegionError for a region that is not inside, and UnsupportedImage where
    Pillow, or an array, does not hold such an image.
    """
    part = _region(region)
    file = idfz.parse(data, max_pixels)
    found, _ = idfz.decompress(file, _model(model), _effort(threads, device), part=part)
    return _image(found, as_array, max_pixels)


def _image(
    found: Picture | idfz.Stored, as_array: bool, max_pixels: int
) -> Image.Image | npt.NDArray[np.unsignedinteger[Any]]:
    """Return what was decoded, as Pillow's image or as an array."""
    if as_array and isinstance(found, idfz.Stored):
        read = reader.read(found.data, "the stored file", max_pixels)
        if isinstance(read, reader.Unread):
            kept = found.format or "file"
            raise UnsupportedImage(f"a stored {kept}, its samples are not known: {read.reason}")
        found = read
    if isinstance(found, Picture):
        if not as_array:
            return writer.to_image(found)
        return found.pixels[:, :, 0] if found.pixels.shape[2] == 1 else found.pixels
    try:
        image = reader.open_image(found.data)
        if image.width * image.height > max_pixels:
            raise header.too_large(image.width, image.height, max_pixels)
        image.load()
    except READING as error:
        raise UnsupportedImage(f"a stored {found.format or 'file'}: {line(error)}") from None
    return image


def pack(
    images: Mapping[str, Image.Image | npt.NDArray[Any]],
    *,
    model: str | Path | None = None,
    threads: int | None = None,
    device: str = devices.CPU,
    level: int = models.DEFAULT_LEVEL,
) -> bytes:
    """Return an archive of images by name; each as for `compress`, small ones in common blocks.

    Raises FormatError for a name that is no relative path with `/`, or is a folder of another.
    """
    _check_level(level)
    names.check_folders(images)
    given, effort = _model(model), _effort(threads, device)
    writer = archive.Writer(io.BytesIO(), io.BytesIO())
    groups: dict[str, tuple[Model, list[list[block.Image]]]] = {}
    wholes: list[tuple[Entry, Picture | bytes]] = []
    for name, image in images.items():
        entry, picture = Entry(names.check(name)), _read(image)
        chosen = None if isinstance(picture, bytes) else _for_block(picture, given, level)
        if isinstance(picture, bytes) or chosen is None:
            wholes.append((entry, picture))
            continue
        small = block.Image(entry, picture, picture.pixels.size)
        _, mine = groups.setdefault(chosen.identity, (chosen, [[]]))
        if not block.takes(mine[-1], small):
            mine.append([])
        mine[-1].append(small)

    parts = [(part, chosen) for chosen, mine in groups.values() for part in mine]
    jobs = (
        partial(block.encode, part, chosen, writer.place(chosen), None, effort.device)
        for part, chosen in parts
    )
    coded = in_order(jobs, effort.jobs)
    for (part, _), (row, body, _) in zip(parts, coded, strict=True):
        if len(body) < sum(image.limit for image in part):
            writer.add_block(row, body)
        else:
            wholes += [(image.entry, image.picture) for image in part]
    for entry, found in wholes:
        if isinstance(found, bytes):
            writer.add_file(entry, idfz.store(found, "TIFF"))
        else:
            data = choice.smallest(found, None, given, effort, level).data
            writer.add_file(entry, data)
    out = io.BytesIO()
    writer.finish(out)
    return out.getvalue()


def _for_block(picture: Picture, given: Model | None, level: int) -> Model | None:
    """Return the model for a block that may hold a picture, None where it goes in alone."""
    tried = plan(picture, given, level)[-1].models
    return next((model for model in tried if block.fits(picture, model)), None)


@overload
def unpack(
    data: bytes,
    *,
    member: str | None = ...,
    model: str | Path | None = ...,
    threads: int | None = ...,
    device: str = ...,
    max_pixels: int = ...,
    as_array: Literal[False] = ...,
) -> dict[str, Image.Image]: ...


@overload
def unpack(
    data: bytes,
    *,
    member: str | None = ...,
    model: str | Path | None = ...,
    threads: int | None = ...,
    device: str = ...,
    max_pixels: int = ...,
    as_array: Literal[True],
) -> dict[str, npt.NDArray[np.unsignedinteger[Any]]]: ...


def unpack(
    data: bytes,
    *,
    member: str | None = None,
    model: str | Path | None = None,
    threads: int | None = None,
    device: str = devices.CPU,
    max_pixels: int = header.MAX_PIXELS,
    as_array: bool = False,
) -> Any:
    """Return the images of an archive by name, or one of them alone; each as `decompress` does.

    Raises FormatError where one is damaged or missing and ModelNotFound.
    """
    box = archive.Archive(io.BytesIO(data))
    found = {}
    given, effort = _model(model), _effort(threads, device)

    def chosen(entry: Entry) -> bool:
        return member in (None, entry.name)

    for part in archive.decoded(box, given, effort, chosen, max_pixels=max_pixels):
        if isinstance(part.found, IdfzipError):
            raise type(part.found)(f"member {names.shown(part.entry.name)}: {part.found}")
        found[part.entry.name] = _image(part.found, as_array, max_pixels)
    if member is not None and not found:
        raise FormatError(f"there is no member {names.shown(member)}")
    return found
