"""Images to compare codecs on: files read without loss, mosaics cut, all others told apart."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from idfzip.errors import BenchError, UnsupportedImage
from idfzip.images import png, reader, webp
from idfzip.images.damage import READING, line
from idfzip.images.picture import Layout, Picture

Array = npt.NDArray[np.unsignedinteger[Any]]

LAYOUTS = {1: "grey", 2: "grey+alpha", 3: "RGB", 4: "RGBA"}
PALETTE = "palette"

_LOSSLESS = ("PNG", "BMP", "GIF", "QOI", "TGA", "TIFF", "WEBP")
_LOSSY = ("AVIF", "JPEG", "JPEG2000", "MPO")
_LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp", "lerc")
_MODES = ("L", "LA", "RGB", "RGBA", "P", "I;16", "I;16B", "I;16L")


@dataclass(frozen=True)
class Indexed:
    """An image with a palette: indices, uint8 (height, width), and colours, (256, 3 or 4)."""

    indices: npt.NDArray[np.uint8]
    colours: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One image: its name and its pixels, uint8 or uint16 (height, width, 1 to 4).

    The pixels of an image with a palette are its colours; `indexed` is how its file has them.
    """

    name: str
    pixels: Array
    indexed: Indexed | None = None

    @property
    def layout(self) -> str:
        """What the pixels are: grey, RGB, ..., with their depth if it is not 8 bits."""
        return LAYOUTS[self.pixels.shape[2]] + (" 16-bit" if self.pixels.itemsize == 2 else "")

    @property
    def kind(self) -> str:
        """What a codec must hold: the layout, or a palette."""
        return PALETTE if self.indexed else self.layout

    @property
    def count(self) -> int:
        """Number of pixels."""
        return int(self.pixels.shape[0] * self.pixels.shape[1])


@dataclass(frozen=True)
class LeftOut:
    """A file that is not compared on, and why; `damaged` tells what should have been readable."""

    path: Path
    reason: str
    damaged: bool = False


def files(paths: Sequence[Path]) -> list[Path]:
    """Return the files given, and those below the folders given whose suffix is an image's.

    Raises BenchError where a path does not exist.
    """
    known = Image.registered_extensions()
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(file for file in path.rglob("*") if file.is_file())
            found += [file for file in below if file.suffix.lower() in known]
        elif path.exists():
            found.append(path)
        else:
            raise BenchError(f"{path}: no such file or folder")
    return list(dict.fromkeys(found))


def read(path: Path, tile: int = 0) -> list[Sample] | LeftOut:
    """Return the image of a file, or its squares of side `tile`, row by row, or why there is none.

    What does not fill a square at the edges is dropped. Metadata are left aside.
    """
    try:
        data = path.read_bytes()
        if not data:
            return LeftOut(path, "the file is empty", damaged=True)
        whole = _whole(str(path), data)
    except (OSError, UnsupportedImage) as error:
        text = str(error).removeprefix(f"{path}: ")
        return LeftOut(path, text, damaged=True)
    if isinstance(whole, str):
        return LeftOut(path, whole)
    if tile == 0:
        return [whole]
    if whole.indexed:
        return LeftOut(path, "images with a palette are not cut into tiles")
    parts = _cut(whole.pixels, tile)
    if not parts:
        return LeftOut(path, f"smaller than a tile of {tile} x {tile}")
    return [Sample(f"{path}#{i}", pixels) for i, pixels in enumerate(parts)]


def _cut(pixels: Array, side: int) -> list[Array]:
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    places = [(r * side, c * side) for r in range(rows) for c in range(columns)]
    return [np.ascontiguousarray(pixels[y : y + side, x : x + side]) for y, x in places]


def _whole(name: str, data: bytes) -> Sample | str:
    """Return the image in a file's bytes, or why it is not taken; raises UnsupportedImage."""
    found = reader.read(data, name)
    if isinstance(found, Picture):
        if found.kind.layout == Layout.PALETTE and found.format == "PNG":
            return of_chunks(name, found)
        if found.kind.depth < 8 or found.kind.layout > Layout.RGBA:
            return f"images of kind {found.kind} are not compared"
        return Sample(name, found.pixels)
    if found.format not in _LOSSLESS:
        lossy = found.format in _LOSSY
        return f"{found.format} {'may have lost something already' if lossy else 'is not compared'}"
    if found.format == "PNG":
        damage = png.damage(data)
        if damage:
            raise UnsupportedImage(f"{name}: {damage}")
        kind = png.kind(data)
        if kind is None or kind.depth == 16:
            return found.reason
    return _by_pillow(name, data)


def of_chunks(name: str, found: Picture) -> Sample:
    """Return the image of a PNG with a palette."""
    chunks = dict(png.contents(found.metadata.chunks))
    listed = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(listed)] = listed
    if b"tRNS" in chunks:
        clear = np.frombuffer(chunks[b"tRNS"], np.uint8)
        alpha = np.full((256, 1), 255, np.uint8)
        alpha[: len(clear), 0] = clear
        colours = np.hstack([colours, alpha])
    indices = found.pixels[:, :, 0].astype(np.uint8)
    return Sample(name, colours[indices], Indexed(indices, colours))


def _by_pillow(name: str, data: bytes) -> Sample | str:
    try:
        with Image.open(io.BytesIO(data)) as image:
            reason = _obstacle(image, data)
            if reason:
                return reason
            image.load()
            if image.mode == "P":
                return _indexed(name, image)
            pixels = np.asarray(image)
    except READING as error:
        raise UnsupportedImage(f"{name}: its pixels cannot be read ({line(error)})") from None
    if pixels.dtype.itemsize == 2:
        pixels = pixels.astype(np.uint16)
    return Sample(name, pixels if pixels.ndim == 3 else pixels[:, :, None])


def _obstacle(image: Image.Image, data: bytes) -> str:
    if image.width * image.height > reader.MAX_PIXELS:
        return f"{image.width}x{image.height} is over {reader.MAX_PIXELS} pixels"
    if getattr(image, "n_frames", 1) != 1:
        return "several frames are not compared"
    lossy_webp = image.format == "WEBP" and not webp.is_lossless(data)
    if lossy_webp or image.info.get("compression") in _LOSSY_TIFF:
        return f"lossy {image.format} has lost something already"
    if image.mode not in _MODES:
        return f"images of mode {image.mode} are not compared"
    return ""


def _indexed(name: str, image: Image.Image) -> Sample:
    indices = np.asarray(image)
    listed = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(listed)] = listed
    clear = image.info.get("transparency")
    if clear is not None:
        alpha = np.full((256, 1), 255, np.uint8)
        if isinstance(clear, bytes):
            alpha[: len(clear), 0] = np.frombuffer(clear, np.uint8)
        else:
            alpha[clear] = 0
        colours = np.hstack([colours, alpha])
    return Sample(name, colours[indices], Indexed(indices, colours))
