"""Writing pictures as files of their own format."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from idfzip.images import png
from idfzip.images.picture import Metadata, Picture

_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 9},
    "WEBP": {"lossless": True, "quality": 80, "method": 4, "exact": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "BMP": {},
    "PPM": {},
}


def to_image(picture: Picture) -> Image.Image:
    """Return the picture as a Pillow image, metadata in its `info`."""
    pixels = picture.pixels
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    metadata = picture.metadata
    image.info.update(_arguments(metadata))
    if metadata.chunks or metadata.last_chunks:
        dot = Picture(pixels[:1, :1], "PNG", metadata)
        image.info.update(Image.open(io.BytesIO(write(dot))).info)
    return image


def write(picture: Picture) -> bytes:
    """Return the bytes of a file of the picture's format that holds it."""
    out = io.BytesIO()
    pixels = picture.pixels
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.save(out, picture.format, **_OPTIONS[picture.format], **_arguments(picture.metadata))
    if picture.format == "PNG":
        return png.with_chunks(out.getvalue(), picture.metadata)
    return out.getvalue()


def _arguments(metadata: Metadata) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if metadata.icc:
        found["icc_profile"] = metadata.icc
    if metadata.exif:
        found["exif"] = metadata.exif
    if metadata.xmp:
        found["xmp"] = metadata.xmp
    if metadata.dpi:
        found["dpi"] = metadata.dpi
    return found
