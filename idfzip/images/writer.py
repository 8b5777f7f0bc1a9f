"""Writing pictures as files of their own format."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from PIL import Image

from idfzip.errors import UnsupportedImage
from idfzip.images import bmp, damage, heads, png, pnm, reader, scanlines, tiff
from idfzip.images.picture import Metadata, Picture

_WEBP: dict[str, Any] = {"lossless": True, "quality": 80, "method": 4, "exact": True}


def to_image(picture: Picture) -> Image.Image:
    """Return the picture as a Pillow image, palette and metadata with it.

    Raises UnsupportedImage for 16 bits in several channels, which Pillow has no image for, and
    where the metadata are damaged.
    """
    mode = picture.kind.mode
    if not mode:
        raise UnsupportedImage(
            f"{picture.kind} is no kind of Pillow's: ask for an array (as_array=True)"
        )
    pixels = picture.pixels[:, :, 0] if picture.pixels.shape[2] == 1 else picture.pixels
    if picture.kind.depth in (2, 4) and mode == "L":
        pixels = pixels * (255 // ((1 << picture.kind.depth) - 1))  # as Pillow reads them
    pixels = pnm.spread(pixels, picture.kind, picture.metadata.head)  # likewise
    if mode == "1":
        pixels = pixels.astype(bool)
    image = Image.fromarray(pixels) if mode not in ("P", "CMYK") else Image.fromarray(pixels, mode)
    head = heads.resized(picture.metadata.head, 1, 1)
    one = replace(
        picture, pixels=picture.pixels[:1, :1], metadata=replace(picture.metadata, head=head)
    )
    with damage.in_metadata():
        dot = reader.open_image(write(one))
        if mode == "P" and dot.palette is not None:
            image.putpalette(dot.palette)
        if picture.format == "TIFF" and picture.metadata.tags:
            turned = tiff.parse(picture.metadata.tags).number(tiff.ORIENTATION, 1)
            if turned != 1:  # Pillow has it from a file alone, where it turns the pixels by it
                exif = Image.Exif()
                exif[tiff.ORIENTATION] = turned
                image.info["exif"] = exif.tobytes()
    image.info.update(dot.info)
    return image


def write(picture: Picture) -> bytes:
    """Return the bytes of a file of the picture's format that holds it.

    Raises UnsupportedImage where its metadata are damaged.
    """
    with damage.in_metadata():
        return _written(picture)


def _written(picture: Picture) -> bytes:
    pixels, kind, metadata = picture.pixels, picture.kind, picture.metadata
    if picture.format == "PNG":
        return png.write(pixels, kind, scanlines.deflated(pixels, kind), metadata)
    if picture.format == "TIFF":
        return tiff.write(pixels, kind, metadata.tags)
    if picture.format == "PPM":
        return pnm.write(pixels, kind, metadata.head)
    if picture.format == "BMP":
        return bmp.write(pixels, kind, metadata)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", **_WEBP, **_arguments(metadata))
    return out.getvalue()


def _arguments(metadata: Metadata) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if metadata.icc:
        found["icc_profile"] = metadata.icc
    if metadata.exif:
        found["exif"] = metadata.exif
    if metadata.xmp:
        found["xmp"] = metadata.xmp
    return found
