"""A picture as one of another file format: the same samples, and what metadata both hold.

Colour profile, EXIF, XMP, resolution and palette go along where the other format has a place for
them: BMP and PPM have none for a profile and for an orientation. What else decides how pixels look,
and what the other format cannot hold, is an error; other metadata (text, time, ...) stay behind.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from idfzip.errors import UnsupportedImage
from idfzip.images import bmp, damage, png, pnm, tiff
from idfzip.images.picture import RGB, Kind, Layout, Metadata, Picture

SUFFIXES = {"PNG": ".png", "TIFF": ".tif", "WEBP": ".webp", "BMP": ".bmp", "PPM": ".ppm"}
"""The formats, and how names of their files end."""

_RGBA = Kind(Layout.RGBA, 8)
_INCH = 0.0254
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_XMP = _XMP_KEYWORD + bytes(5)
_SRGB_GAMMA = (45455,)
_SRGB_COLOURS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
"""What the chunks gAMA and cHRM hold for sRGB (PNG, third edition, section 11.3.2.5).

Writers round: 5% of the gamma, and half a hundredth of the colours, are no difference.
"""

_ABOUT = (270, 271, 272, tiff.ORIENTATION, 305, 306, 315, 33432, tiff.EXIF, tiff.GPS)
"""TIFF's tags that EXIF has as well."""

Palette = npt.NDArray[np.uint8]


def converted(picture: Picture, form: str) -> Picture:
    """Return the picture with another file format; raises UnsupportedImage where it cannot be."""
    if form == picture.format:
        return picture
    kind = picture.kind
    if not holds(form, kind):
        raise UnsupportedImage(f"{form} does not hold {kind}; TIFF does")
    if (
        picture.format == "PPM"
        and pnm.maximum(picture.metadata.head, kind) != (1 << kind.depth) - 1
    ):
        raise UnsupportedImage("only PPM holds samples of such a maximum")
    with damage.in_metadata():
        metadata, palette = _neutral(picture)
        if form == "PNG":
            metadata = _png(metadata, palette)
        elif form == "TIFF":
            metadata = Metadata(tags=_tiff(metadata, palette, kind))
    if form == "PPM":
        metadata = Metadata()
    return replace(picture, format=form, metadata=metadata)


def holds(form: str, kind: Kind) -> bool:
    """Return whether files of a format hold samples of a kind."""
    if form == "PNG":
        return kind.layout != Layout.CMYK
    if form == "PPM":
        return kind.layout in (Layout.GREY, Layout.RGB) and kind.depth in (1, 8, 16)
    if form == "WEBP":
        return kind in (RGB, _RGBA)
    return form == "TIFF" or (form == "BMP" and kind == RGB)


def _neutral(picture: Picture) -> tuple[Metadata, Palette | None]:
    """Return colour profile, EXIF (from its header on), XMP, resolution, and the palette."""
    metadata = picture.metadata
    if picture.format == "PNG":
        return _of_png(metadata, picture.kind)
    if picture.format == "TIFF":
        return _of_tiff(metadata, picture.kind)
    if picture.format == "BMP":
        return _of_bmp(metadata), None
    exif = metadata.exif.removeprefix(b"Exif\0\0")
    return replace(metadata, exif=exif, head=b""), None


def _of_bmp(metadata: Metadata) -> Metadata:
    profile = bmp.profile(metadata.head)
    if profile is None:
        raise UnsupportedImage("only BMP holds colours that are told as it does")
    return Metadata(icc=profile, dpi=metadata.dpi or bmp.resolution(metadata.head))


def _of_png(metadata: Metadata, kind: Kind) -> tuple[Metadata, Palette | None]:
    chunks = dict(png.contents(metadata.chunks + metadata.last_chunks))
    if b"tRNS" in chunks:
        raise UnsupportedImage("only PNG holds a colour, or a palette, that is transparent")
    dpi = None
    if b"pHYs" in chunks:
        x, y, unit = struct.unpack(">IIB", chunks[b"pHYs"])
        dpi = (x * _INCH, y * _INCH) if unit == 1 else None
    _check_colours(chunks)
    found = Metadata(
        icc=zlib.decompress(chunks[b"iCCP"].split(b"\0", 1)[1][1:]) if b"iCCP" in chunks else b"",
        exif=chunks.get(b"eXIf", b""),
        xmp=_xmp(metadata),
        dpi=dpi,
    )
    if kind.layout != Layout.PALETTE:
        return found, None
    return found, np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)


def _check_colours(chunks: Mapping[bytes, bytes]) -> None:
    """Raise UnsupportedImage for chunks by which colours are others than those of sRGB.

    A profile comes before them, except for cICP (PNG, third edition, section 4.3).
    """
    if b"cICP" in chunks:
        raise UnsupportedImage("only PNG holds the chunk cICP, which tells what its colours are")
    if b"iCCP" in chunks or b"sRGB" in chunks:
        return
    for tag, usual, apart in ((b"gAMA", _SRGB_GAMMA, 2273), (b"cHRM", _SRGB_COLOURS, 500)):
        form = f">{len(usual)}I"
        told = struct.unpack(form, chunks[tag]) if tag in chunks else usual
        if any(abs(a - b) > apart for a, b in zip(told, usual, strict=True)):
            raise UnsupportedImage(f"only PNG holds the chunk {tag.decode()}, and not that of sRGB")


def _xmp(metadata: Metadata) -> bytes:
    """Return the XMP among a PNG's texts (XMP specification, part 3, section 1.1.5)."""
    for tag, data in png.contents(metadata.chunks + metadata.last_chunks):
        keyword, _, rest = data.partition(b"\0")
        if tag == b"iTXt" and keyword == _XMP_KEYWORD:
            text = rest[2:].split(b"\0", 2)[2]
            return zlib.decompress(text) if rest[0] else text
    return b""


def _of_tiff(metadata: Metadata, kind: Kind) -> tuple[Metadata, Palette | None]:
    tags = tiff.parse(metadata.tags) if metadata.tags else tiff.Tags("<", {})
    held = tags.directory
    if kind.layout in (Layout.GREY_ALPHA, Layout.RGBA) and tags.numbers(tiff.EXTRA) not in (
        (),
        (2,),
    ):
        raise UnsupportedImage("only TIFF holds alpha that colours were multiplied by, or its like")
    about = {tag: held[tag] for tag in _ABOUT if tag in held}
    dpi = None
    if tiff.XRES in held and tiff.YRES in held and tags.number(tiff.UNIT, 2) in (2, 3):
        factor = 2.54 if tags.number(tiff.UNIT, 2) == 3 else 1.0
        pairs = [struct.unpack(f"{tags.order}2I", held[t].data) for t in (tiff.XRES, tiff.YRES)]
        dpi = (factor * pairs[0][0] / pairs[0][1], factor * pairs[1][0] / pairs[1][1])
    found = Metadata(
        icc=held[tiff.ICC].data if tiff.ICC in held else b"",
        exif=tiff.of_tags(tags.order, about) if about else b"",
        xmp=held[tiff.XMP].data if tiff.XMP in held else b"",
        dpi=dpi,
    )
    if kind.layout != Layout.PALETTE:
        return found, None
    colours = np.array(tags.numbers(tiff.COLOURS), np.uint16).reshape(3, -1).T
    if (colours % 257).any() and (colours & 255).any():
        raise UnsupportedImage("only TIFF holds a palette of 16-bit colours")
    return found, (colours >> 8).astype(np.uint8)


def _png(metadata: Metadata, palette: Palette | None) -> Metadata:
    chunks = []
    if metadata.icc:
        chunks.append(png.chunk(b"iCCP", b"profile\0\0" + zlib.compress(metadata.icc, 9)))
    if palette is not None:
        chunks.append(png.chunk(b"PLTE", palette.tobytes()))
    if metadata.dpi:
        x, y = (round(value / _INCH) for value in metadata.dpi)
        chunks.append(png.chunk(b"pHYs", struct.pack(">IIB", x, y, 1)))
    if metadata.exif:
        chunks.append(png.chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append(png.chunk(b"iTXt", _XMP + metadata.xmp))
    return Metadata(chunks=b"".join(chunks))


def _tiff(metadata: Metadata, palette: Palette | None, kind: Kind) -> bytes:
    about = tiff.parse(metadata.exif) if metadata.exif else tiff.Tags("<", {})
    order = about.order
    directory = {tag: value for tag, value in about.directory.items() if tag in _ABOUT}
    directory |= tiff.needed(kind, order)
    if metadata.icc:
        directory[tiff.ICC] = tiff.Value(tiff.UNDEFINED, metadata.icc)
    if metadata.xmp:
        directory[tiff.XMP] = tiff.Value(tiff.BYTE, metadata.xmp)
    if metadata.dpi:
        directory[tiff.UNIT] = tiff.numbers(order, tiff.SHORT, 2)
        for tag, value in zip((tiff.XRES, tiff.YRES), metadata.dpi, strict=True):
            part = Fraction(value).limit_denominator(1 << 16)
            data = struct.pack(f"{order}2I", part.numerator, part.denominator)
            directory[tag] = tiff.Value(tiff.RATIONAL, data)
    if palette is not None:
        colours = np.zeros((3, 1 << kind.depth), np.int64)
        colours[:, : len(palette)] = palette.T.astype(np.int64) * 257
        directory[tiff.COLOURS] = tiff.numbers(order, tiff.SHORT, *colours.ravel().tolist())
    return tiff.of_tags(order, directory)
