"""Pixels as files of other lossless codecs, which code some kinds of images better.

Only samples go through them, palettes and metadata do not: indices and bilevel samples as grey
ones, grey with alpha and CMYK as four channels. What a codec cannot hold exactly, in its limits,
is not packed by it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image, PngImagePlugin, WebPImagePlugin

from idfzip.errors import FormatError
from idfzip.images import damage, png, reader, scanlines
from idfzip.images.picture import Kind, Layout, Metadata, Pixels

_WEBP_SIDE = 16383
_WEBP_PIXELS = 1 << 27
"""More are not packed: Pillow opens at most 178 million, unless it is told otherwise."""

THOROUGH = {"method": 6, "quality": 100}
"""Settings of WebP: how much it tries."""

_OPENERS = {"png": PngImagePlugin.PngImageFile, "webp": WebPImagePlugin.WebPImageFile}
"""Of Pillow's for one format; how large an image may be was asked before."""


def webp(pixels: Pixels, kind: Kind, settings: Mapping[str, int]) -> bytes | None:
    """Return a lossless WebP of the samples, None where it cannot hold them."""
    height, width, channels = pixels.shape
    if kind.depth == 16 or max(height, width) > _WEBP_SIDE or height * width > _WEBP_PIXELS:
        return None
    if channels == 2:
        pixels = pixels[:, :, [0, 0, 0, 1]]
    out = io.BytesIO()
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    image.save(out, "WEBP", lossless=True, exact=True, **settings)
    return out.getvalue()


def as_png(pixels: Pixels, kind: Kind, level: int = 9) -> bytes | None:
    """Return a PNG of the samples, None for 16-bit colour, which not every machine can read."""
    plain = _plain(kind)
    if plain.depth == 16 and plain.layout != Layout.GREY:
        return None
    streams = [scanlines.deflated(pixels, plain, level, False)]
    if plain.depth >= 8:
        streams.append(scanlines.deflated(pixels, plain, level, True))
    return png.write(pixels, plain, min(streams, key=len), Metadata())


def _plain(kind: Kind) -> Kind:
    """Return the kind as which a PNG without palette holds samples."""
    others = {Layout.PALETTE: Layout.GREY, Layout.CMYK: Layout.RGBA}
    return Kind(others.get(kind.layout, kind.layout), kind.depth)


def unpack(data: bytes, packing: str, kind: Kind, height: int, width: int) -> Pixels:
    """Return the samples, (height, width, C), in a file; raises FormatError where it is damaged."""
    try:
        image = _OPENERS[packing](io.BytesIO(data))
        if image.size != (width, height):
            raise FormatError(f"packed image of {image.width}x{image.height}")
        channels = kind.layout.channels
        if packing == "png":
            fits = png.kind(data) == _plain(kind)
            found = reader.png_pixels(image, data) if fits else "it is of another kind"
        else:
            found = np.asarray(image.convert("RGBA" if channels in (2, 4) else "RGB"))
            found = found[:, :, {1: [0], 2: [0, 3]}.get(channels, slice(None))]
    except damage.READING as error:
        found = str(error)
    if isinstance(found, str):
        raise FormatError(f"packed image is damaged ({found})")
    dtype = np.uint16 if kind.depth == 16 else np.uint8
    return np.ascontiguousarray(found.astype(dtype, copy=False).reshape(height, width, channels))
