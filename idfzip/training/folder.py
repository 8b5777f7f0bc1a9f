"""Folders of images as training data: found, read, told apart, split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from idfzip.errors import IdfzipError, TrainingError, UnsupportedImage
from idfzip.images import reader
from idfzip.images.damage import READING
from idfzip.images.picture import GREY, RGB, Picture, Pixels, from_array

HELD_OUT = 10
"""One image in so many is held out for validation, where no folder for that is given."""

KEPT_BYTES = 2 << 30
"""Pixels that are kept in memory; those of further files are read again when they are needed."""


@dataclass(frozen=True)
class Options:
    """How files become images.

    `tile` cuts each into squares of that side (0: not at all); `lossy` takes formats that were
    compressed with loss as well; `grey` turns colour into grey.
    """

    tile: int = 0
    lossy: bool = False
    grey: bool = False


@dataclass(frozen=True)
class Source:
    """One image: its file and its place in it, its size, a hash of its pixels, and these."""

    file: Path
    index: int
    shape: tuple[int, int, int]
    digest: bytes
    kept: Pixels | None
    options: Options

    def read(self) -> Pixels:
        """Return the pixels, uint8 (height, width, C); raises TrainingError if they changed."""
        if self.kept is not None:
            return self.kept
        found = _images(self.file, self.options)
        if isinstance(found, list) and self.index < len(found):
            pixels = found[self.index]
            if _digest(pixels) == self.digest:
                return pixels
        raise TrainingError(f"{self.file}: the file changed during training")


@dataclass
class Found:
    """Images of one kind, and what was left out: the reason, and how many files or images.

    `blocky` counts images that look as if a JPEG had been decoded into them.
    """

    sources: list[Source] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    blocky: int = 0

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.sources[0].shape[2]

    @property
    def pixels(self) -> int:
        """Number of pixels of all images."""
        return sum(source.shape[0] * source.shape[1] for source in self.sources)

    def skip(self, reason: str) -> None:
        """Count what is left out."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1


def files(folders: Sequence[Path]) -> Iterator[Path]:
    """Yield every file below the folders, in order; raises TrainingError for what is not there.

    A file in place of a folder is taken as it is.
    """
    for folder in folders:
        if folder.is_file():
            yield folder
            continue
        if not folder.is_dir():
            raise TrainingError(f"{folder}: no such folder")
        yield from (file for file in sorted(folder.rglob("*")) if file.is_file())


def read(folders: Sequence[Path], channels: int = 0, options: Options | None = None) -> Found:
    """Return the images below the folders that have so many channels (0: as most of them have).

    What Pillow opens and no codec has changed (see `idfzip.images.reader`), and `.npy` arrays of
    one image or of many. Raises TrainingError where there is none.
    """
    options = options or Options()
    found, total = Found(), 0
    for file in files(folders):
        try:
            images = _images(file, options)
        except UnsupportedImage as error:
            found.skip(str(error).removeprefix(f"{file}: "))
            continue
        except (IdfzipError, OSError, ValueError, EOFError, MemoryError):
            found.skip("cannot be read")
            continue
        if isinstance(images, str):
            found.skip(images)
            continue
        for index, pixels in enumerate(images):
            total += pixels.nbytes
            kept = pixels if total <= KEPT_BYTES else None
            shape = (pixels.shape[0], pixels.shape[1], pixels.shape[2])
            found.sources.append(Source(file, index, shape, _digest(pixels), kept, options))
            found.blocky += looks_decoded(pixels)
    _keep_one_kind(found, channels)
    if not found.sources:
        raise TrainingError(f"no image to train on in {', '.join(map(str, folders))}")
    return found


def _keep_one_kind(found: Found, channels: int) -> None:
    counts = {1: 0, 3: 0}
    for source in found.sources:
        counts[source.shape[2]] += source.shape[0] * source.shape[1] * source.shape[2]
    kind = channels or (1 if counts[1] > counts[3] else 3)
    for source in found.sources:
        if source.shape[2] != kind:
            found.skip(f"{source.shape[2]} channels instead of {kind}")
    found.sources = [source for source in found.sources if source.shape[2] == kind]


def _digest(pixels: Pixels) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(pixels).data).digest()


def _images(file: Path, options: Options) -> list[Pixels] | str:
    """Return the images of a file, or why it is left out."""
    if file.suffix == ".npy":
        array = np.load(file, allow_pickle=False)
        stack = array if array.ndim == 4 else array[None]
        pictures = [_plain(from_array(image)) for image in stack]
    else:
        picture = reader.read(file.read_bytes(), str(file))
        if options.lossy and (
            isinstance(picture, reader.Unread) or picture.kind not in (GREY, RGB)
        ):
            pictures = [_converted(file)]
        elif isinstance(picture, reader.Unread):
            return picture.reason
        else:
            pictures = [_plain(picture)]
    if options.grey:
        pictures = [_grey(pixels) for pixels in pictures]
    return [part for pixels in pictures for part in _cut(pixels, options.tile)]


def _plain(picture: Picture) -> Pixels:
    """Return the pixels of a picture of 8-bit grey or RGB; raises UnsupportedImage for others."""
    if picture.kind not in (GREY, RGB):
        raise UnsupportedImage(f"{picture.kind} is not trained on")
    return picture.pixels


def _converted(file: Path) -> Pixels:
    """Return the pixels of an image of any kind as RGB or grey of 8 bits."""
    try:
        with Image.open(file) as image:
            grey = image.mode in ("1", "L", "LA")
            array = np.asarray(image.convert("L" if grey else "RGB"))
    except READING:
        raise UnsupportedImage("cannot be read") from None
    return from_array(array).pixels


def _grey(pixels: Pixels) -> Pixels:
    if pixels.shape[2] == 1:
        return pixels
    return from_array(np.asarray(Image.fromarray(pixels).convert("L"))).pixels


def _cut(pixels: Pixels, side: int) -> list[Pixels]:
    """Return the tiles of a mosaic, row by row; what is left over at the edges is dropped."""
    if side == 0:
        return [pixels]
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    whole = pixels[: rows * side, : columns * side]
    tiles = whole.reshape(rows, side, columns, side, -1).swapaxes(1, 2)
    return list(np.ascontiguousarray(tiles).reshape(rows * columns, side, side, -1))


def looks_decoded(pixels: Pixels) -> bool:
    """Return whether steps are larger at every eighth column and row, as JPEG leaves them.

    Each column's mean step is taken over that of its two neighbours. [Measured: the first six
    Kodak images at most 1.005 at the eighths; decoded from JPEGs of quality 75 at least 1.059, of
    quality 90 from 1.01 to 1.23, so that some of these pass unnoticed.] Images under 64 x 64 are
    not judged.
    """
    if min(pixels.shape[:2]) < 64:
        return False
    grey = pixels.astype(np.int32).sum(2)
    columns = np.abs(np.diff(grey, axis=1)).mean(0)
    rows = np.abs(np.diff(grey, axis=0)).mean(1)
    return all(_stands_out(steps) for steps in (columns, rows))


def _stands_out(steps: npt.NDArray[np.float64]) -> bool:
    around = (steps[:-2] + steps[2:]) / 2 + 0.1
    share = steps[1:-1] / around
    phases = [float(np.median(share[k::8])) for k in range(8)]  # share[6] is the step at column 8
    return phases[6] > 1.04 and phases[6] > max(p for k, p in enumerate(phases) if k != 6) + 0.03


def split(found: Found) -> tuple[list[Source], list[Source]]:
    """Return images for training and held-out ones, told apart by a hash of their pixels.

    The same image always falls on the same side; with few images the one of the least hash is held
    out, and a single image serves for both.
    """
    sources = found.sources
    out = {i for i, source in enumerate(sources) if source.digest[0] % HELD_OUT == 0}
    if not out or len(out) == len(sources):
        out = {min(range(len(sources)), key=lambda i: sources[i].digest)}
    kept = [source for i, source in enumerate(sources) if i not in out]
    return kept or list(sources), [sources[i] for i in sorted(out)]
