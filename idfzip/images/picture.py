"""A picture: pixels and what must come back with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from idfzip.errors import UnsupportedImage

Pixels = npt.NDArray[np.unsignedinteger[Any]]
"""Samples, uint8 or uint16 (height, width, C)."""


MAX_METADATA = 256 << 20
"""Most bytes of each part of an image's metadata."""


class Layout(IntEnum):
    """What the channels of a pixel are; the numbers are those of `.idfz` files."""

    GREY = 1
    GREY_ALPHA = 2
    RGB = 3
    RGBA = 4
    PALETTE = 5
    CMYK = 6

    @property
    def channels(self) -> int:
        """Samples of a pixel."""
        return {Layout.PALETTE: 1, Layout.CMYK: 4}.get(self, int(self))


DEPTHS = (1, 2, 4, 8, 16)
"""Bits a sample; the place in this list is the number in `.idfz` files."""


@dataclass(frozen=True)
class Kind:
    """What pixels are, and how many bits a sample has."""

    layout: Layout
    depth: int

    @property
    def mode(self) -> str:
        """Pillow's mode; an empty string for 16 bits a sample in several channels."""
        if self.depth == 16:
            return "I;16" if self.layout == Layout.GREY else ""
        if self == BILEVEL:
            return "1"
        return {Layout.GREY: "L", Layout.GREY_ALPHA: "LA", Layout.PALETTE: "P"}.get(
            self.layout, self.layout.name
        )

    @property
    def known(self) -> bool:
        """Whether files have this kind: fewer than 8 bits are for one channel."""
        if self.layout == Layout.PALETTE:
            return self.depth <= 8
        return self.depth >= 8 or self.layout == Layout.GREY

    def __str__(self) -> str:
        """Return the kind in words."""
        if self == BILEVEL:
            return "bilevel"
        name = self.layout.name.lower().replace("_", "+").replace("rgb", "RGB")
        name = name.replace("RGBa", "RGBA").replace("cmyk", "CMYK")
        return name if self.depth == 8 else f"{name} {self.depth}-bit"


BILEVEL, GREY, RGB = Kind(Layout.GREY, 1), Kind(Layout.GREY, 8), Kind(Layout.RGB, 8)


@dataclass(frozen=True)
class Metadata:
    """What goes with the pixels, as the source's format has it.

    Of a PNG, all other chunks as they are, those before the pixels and those after them; of a TIFF
    all other tags, as a TIFF without pixels; of a PPM or its like the header; of other files colour
    profile, EXIF and XMP as bytes, and pixels per inch.
    """

    chunks: bytes = b""
    last_chunks: bytes = b""
    tags: bytes = b""
    head: bytes = b""
    icc: bytes = b""
    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None

    @property
    def longest(self) -> int:
        """Bytes of the part that has most."""
        parts = (self.chunks, self.last_chunks, self.tags, self.head, self.icc, self.exif, self.xmp)
        return max(map(len, parts))


@dataclass(frozen=True)
class Picture:
    """Pixels, uint8 or uint16 (height, width, C), the format of their file, and metadata.

    Where `layout` and `depth` are not given, the number of channels and their type tell them.
    Samples of a palette are indices; the palette is in the metadata. A sample of fewer than 8
    bits is a whole number from 0.
    """

    pixels: Pixels
    format: str = "PNG"
    metadata: Metadata = field(default_factory=Metadata)
    layout: Layout | None = None
    depth: int | None = None

    @property
    def kind(self) -> Kind:
        """What the pixels are."""
        layout = self.layout or Layout(self.pixels.shape[2])
        return Kind(layout, self.depth or 8 * self.pixels.itemsize)


def from_array(array: npt.NDArray[np.generic]) -> Picture:
    """Return the picture of an array (height, width) or (height, width, 1 to 4), uint8 or uint16.

    Raises UnsupportedImage for others.
    """
    if np.ma.is_masked(array):
        raise UnsupportedImage("array with masked values, which no file holds: fill them first")
    pixels = np.asarray(array)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    fits = pixels.ndim == 3 and 1 <= pixels.shape[2] <= 4 and pixels.dtype.kind == "u"
    if not fits or pixels.dtype.itemsize > 2:
        raise UnsupportedImage(
            f"array of {pixels.dtype} and shape {array.shape}: uint8 or uint16 of shape HxW or "
            "HxWxC, C from 1 to 4, can be coded"
        )
    if 0 in pixels.shape:
        raise UnsupportedImage(f"array of shape {array.shape}: there is no pixel")
    native = np.uint8 if pixels.dtype.itemsize == 1 else np.uint16
    return Picture(np.ascontiguousarray(pixels.astype(native, copy=False)))
