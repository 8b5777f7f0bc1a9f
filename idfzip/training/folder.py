"""Folders of images as training data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from idfzip.errors import IdfzipError, TrainingError
from idfzip.flows import colour
from idfzip.flows.autoregressive import Planes
from idfzip.images import reader
from idfzip.images.picture import Picture, Pixels, from_array

HELD_OUT = 10
"""One image in so many is held out for validation, where no folder for that is given."""


@dataclass
class Found:
    """Images of one kind, and what was left out: the reason, and how many files."""

    pixels: list[Pixels] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, reason: str) -> None:
        """Count a file that is left out."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1


def files(folders: Sequence[Path]) -> Iterator[Path]:
    """Yield every file below the folders, in order; raises TrainingError for what is no folder."""
    for folder in folders:
        if not folder.is_dir():
            raise TrainingError(f"{folder}: not a folder")
        yield from (file for file in sorted(folder.rglob("*")) if file.is_file())


def read(folders: Sequence[Path], channels: int = 0) -> Found:
    """Return the images below the folders that have so many channels (0: as most of them have).

    What Pillow opens and no codec has changed (see `idfzip.images.reader`), and `.npy` arrays.
    """
    found = Found()
    images: list[Pixels] = []
    for file in files(folders):
        try:
            picture = _picture(file)
        except (IdfzipError, OSError, ValueError, EOFError) as error:
            found.skip("not an image" if isinstance(error, IdfzipError) else "cannot be read")
            continue
        if isinstance(picture, Picture):
            images.append(picture.pixels)
        else:
            found.skip(picture.reason)
    counts = {c: sum(p.size for p in images if p.shape[2] == c) for c in (1, 3)}
    kind = channels or (1 if counts[1] > counts[3] else 3)
    for pixels in images:
        if pixels.shape[2] == kind:
            found.pixels.append(pixels)
        else:
            found.skip(f"{pixels.shape[2]} channels instead of {kind}")
    if not found.pixels:
        raise TrainingError(f"no image to train on in {', '.join(map(str, folders))}")
    return found


def _picture(file: Path) -> Picture | reader.Unread:
    if file.suffix == ".npy":
        return from_array(np.load(file, allow_pickle=False))
    return reader.read(file.read_bytes(), str(file))


def split(pixels: Sequence[Pixels]) -> tuple[list[Pixels], list[Pixels]]:
    """Return images for training and held-out ones, told apart by a hash of their pixels.

    The same image always falls on the same side; with few images the one of the least hash is held
    out, and a single image serves for both.
    """
    hashes = [hashlib.sha256(np.ascontiguousarray(p).data).digest() for p in pixels]
    out = {i for i, digest in enumerate(hashes) if digest[0] % HELD_OUT == 0}
    if not out or len(out) == len(pixels):
        out = {min(range(len(pixels)), key=lambda i: hashes[i])}
    kept = [p for i, p in enumerate(pixels) if i not in out]
    return kept or list(pixels), [pixels[i] for i in sorted(out)]


def planes(pixels: Sequence[Pixels], mirrored: bool) -> Iterator[Planes]:
    """Yield the planes of each image, and those of its mirror image if asked."""
    for image in pixels:
        yield colour.forward(image)
        if mirrored:
            yield colour.forward(np.ascontiguousarray(image[:, ::-1]))
