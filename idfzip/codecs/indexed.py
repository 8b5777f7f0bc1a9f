"""The codec of categories: bilevel planes, indices of palettes, label maps and masks.

Values are categories, not magnitudes: what counts is which of them are equal. Everything is
adaptive and begins with what a model has learned from other images. Two values are coded by
`bilevel`, more by `categories`, which uses a palette where there is one; palettes themselves are
coded by `palette`. One value costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from idfzip.codecs import bilevel, categories, decisions
from idfzip.codecs import palette as palettes
from idfzip.codecs.bilevel import Bilevel
from idfzip.codecs.categories import Categories
from idfzip.codecs.colours import colours
from idfzip.codecs.palette import Palettes
from idfzip.coding import ans
from idfzip.errors import FormatError, ModelError, UnsupportedImage

Planes = npt.NDArray[np.int32]
Palette = npt.NDArray[np.uint8]
Progress = Callable[[int], object]

MOST = 256
"""Largest alphabet."""


@dataclass(frozen=True)
class Indexed:
    """All that coding needs of a model, and the `palette` of the values where there is one.

    The palette, uint8 (alphabet, 3 or 4), is no part of the model: see `with_palette`.
    """

    bilevel: Bilevel
    categories: Categories
    palettes: Palettes
    palette: Palette | None = None

    @property
    def channels(self) -> int:
        """Planes of the images it codes: 1."""
        return 1

    def with_palette(self, palette: Palette) -> Indexed:
        """Return what codes values of this palette, which decoding needs as well."""
        return replace(self, palette=palette)

    @property
    def operations(self) -> int:
        """Products and sums for a pixel that takes as many questions as there can be."""
        row = int(self.categories.learned.stage.shape[1])
        return 4 * row * (categories.MEMORIES + categories.NAMED + categories.QUESTIONS)


def _check(alphabet: int, palette: Palette | None) -> None:
    """Raise ModelError for an alphabet that cannot be coded, or one that the palette has not."""
    if not 1 <= alphabet <= MOST:
        raise ModelError(f"{alphabet} categories: 1 to {MOST} can be coded")
    if palette is not None and (len(palette) != alphabet or palette.shape[1:] not in ((3,), (4,))):
        raise ModelError(f"palette of shape {palette.shape}: ({alphabet}, 3 or 4) expected")


def encode(
    model: Indexed,
    tiles: Sequence[Planes],
    progress: Progress | None = None,
    alphabet: int = MOST,
) -> list[bytes]:
    """Return the stream of each tile: a plane, int32 (1, height, width), in [0, alphabet).

    `progress` is called with numbers of pixels. Raises UnsupportedImage for a value beyond the
    alphabet.
    """
    _check(alphabet, model.palette)
    known = colours(alphabet, model.palette)
    streams = []
    for planes in tiles:
        plane = planes[0]
        if plane.size and not 0 <= plane.min() <= plane.max() < alphabet:
            wrong = plane.max() if plane.max() >= alphabet else plane.min()
            raise UnsupportedImage(f"index {wrong} is outside of the {alphabet} categories")
        port = decisions.writer()
        if alphabet == 1:
            noted = np.empty((0, 2), np.int32)
        elif alphabet == 2:
            noted = np.empty((plane.size + 1, 2), np.int32)
            bilevel.walk(model.bilevel, plane, port, noted, model.bilevel.learned)
        else:
            noted, _ = categories.walk(
                model.categories, plane, port, known, model.categories.learned
            )
        streams.append(_stream(noted))
        if progress is not None:
            progress(plane.size)
    return streams


def decode(
    model: Indexed,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    progress: Progress | None = None,
    alphabet: int = MOST,
) -> list[Planes | None]:
    """Return the planes of each stream, None for a stream that is visibly damaged.

    Damage that no rule of the coder shows gives wrong planes: checksums are the container's work.
    """
    _check(alphabet, model.palette)
    known = colours(alphabet, model.palette)
    tiles: list[Planes | None] = []
    for stream, (height, width) in zip(streams, sizes, strict=True):
        plane = np.zeros((height, width), np.int32)
        port = decisions.reader(stream)
        if alphabet == 2:
            none = np.empty((0, 2), np.int32)
            bilevel.walk(model.bilevel, plane, port, none, model.bilevel.learned)
        elif alphabet > 2:
            categories.walk(model.categories, plane, port, known, model.categories.learned)
        tiles.append(plane[None] if ans.is_finished(port.coder, 0) else None)
        if progress is not None:
            progress(height * width)
    return tiles


def encode_palette(model: Indexed, palette: Palette) -> bytes:
    """Return the stream of a palette, uint8 (K, 3 or 4), entries in their order."""
    noted, _ = palettes.walk(
        model.palettes, palette.astype(np.int64), decisions.writer(), model.palettes.learned
    )
    return _stream(noted)


def decode_palette(model: Indexed, stream: bytes, entries: int, channels: int) -> Palette:
    """Return a palette, uint8 (entries, channels); raises FormatError for a damaged stream."""
    if not (1 <= entries <= MOST and channels in (3, 4)):
        raise FormatError(f"palette of {entries} entries of {channels} channels")
    palette = np.zeros((entries, channels), np.int64)
    port = decisions.reader(stream)
    palettes.walk(model.palettes, palette, port, model.palettes.learned)
    if not ans.is_finished(port.coder, 0):
        raise FormatError("the palette's stream does not end with its entries")
    return palette.astype(np.uint8)


def _stream(noted: decisions.Intervals) -> bytes:
    return ans.to_bytes(ans.push_all(*np.ascontiguousarray(noted.T)))
