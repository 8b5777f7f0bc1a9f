"""A picture: pixels and what must come back with them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from idfzip.errors import UnsupportedImage

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Metadata:
    """What goes with the pixels.

    Of a PNG, all other chunks as they are, those before the pixels and those after them; of other
    files colour profile, EXIF and XMP as bytes, and pixels per inch.
    """

    chunks: bytes = b""
    last_chunks: bytes = b""
    icc: bytes = b""
    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Picture:
    """Pixels, uint8 (height, width, C) with C 1 or 3, the format of their file, and metadata."""

    pixels: Pixels
    format: str = "PNG"
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def mode(self) -> str:
        """Pillow's name of the kind of pixels."""
        return "L" if self.pixels.shape[2] == 1 else "RGB"


def from_array(array: npt.NDArray[np.generic]) -> Picture:
    """Return the picture of an array (height, width), (height, width, 1) or (.., 3) of uint8."""
    pixels = np.asarray(array)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise UnsupportedImage(
            f"array of {pixels.dtype} and shape {array.shape}: uint8 of shape HxW, HxWx1 or HxWx3 "
            "can be coded"
        )
    if 0 in pixels.shape:
        raise UnsupportedImage(f"array of shape {array.shape}: there is no pixel")
    return Picture(np.ascontiguousarray(pixels, dtype=np.uint8))
