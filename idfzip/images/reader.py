"""Reading image files without losing anything unseen.

Pillow turns some kinds of files silently into others (16-bit colour into 8-bit, associated alpha
into plain) and forgives some damage, so the file's own header decides who reads its pixels, and
whether they can be carried. What cannot be is reported as a reason, and the container keeps the
file's own bytes instead.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from idfzip.errors import UnsupportedImage
from idfzip.images import bmp, png, pnm, tiff, webp
from idfzip.images.damage import READING, line
from idfzip.images.picture import MAX_METADATA, Kind, Layout, Metadata, Picture, Pixels

MAX_PIXELS = 500_000_000
"""More are not decoded, unless one asks for it."""

GET = "16-bit colour is read by imagecodecs: pip install 'idfzip[deep]'"

_HARMLESS = {
    "WEBP": {"loop", "background", "timestamp", "duration"},
}
_KEPT = {"icc_profile", "exif", "xmp", "dpi"}

_UNTURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What undoes the turning by an orientation, which Pillow applies to TIFF."""


@dataclass(frozen=True)
class Unread:
    """A file whose own bytes must be kept, its format, and the reason."""

    format: str
    reason: str


def limit(pixels: int) -> None:
    """Let Pillow open images of so many pixels, and refuse larger ones, in this process."""
    Image.MAX_IMAGE_PIXELS = -(-pixels // 2)  # it refuses twice as many


def read(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Picture | Unread:
    """Return the picture in a file's bytes, or why the bytes must be kept.

    `name` is for messages. Raises UnsupportedImage where the bytes are no image.
    """
    try:
        return opened(open_image(data), data, max_pixels)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return Unread("", f"it is over {max_pixels} pixels")
    except UnidentifiedImageError:
        if data[:4] in tiff.MAGICS:
            return Unread("TIFF", "Pillow does not know such samples")
        raise UnsupportedImage(f"{name}: not an image that Pillow knows") from None
    except READING as error:
        raise UnsupportedImage(f"{name}: damaged image ({line(error)})") from None


def open_image(data: bytes) -> Image.Image:
    """Return Pillow's image of a file; raises `READING` and what else Pillow does."""
    try:
        return Image.open(io.BytesIO(data))
    except ValueError:  # of a PNG with a text or profile larger than Pillow inflates
        if not data.startswith(png.MAGIC):
            raise
        return _plain_png(data)


def _plain_png(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png.plain(data, b"PLTE", b"tRNS")))


def opened(image: Image.Image, data: bytes, max_pixels: int = MAX_PIXELS) -> Picture | Unread:
    """Return the picture in the bytes of a file that Pillow has opened, or why they must be kept.

    Raises one of `READING` where the file is damaged.
    """
    kind = image.format or ""
    if image.width * image.height > max_pixels:
        return Unread(kind, f"{image.width}x{image.height} is over {max_pixels} pixels")
    read_kind = _READERS.get(kind)
    if read_kind is None:
        return Unread(kind, f"{kind} files are kept as they are")
    if getattr(image, "n_frames", 1) != 1:
        return Unread(kind, "it has several frames")
    found = read_kind(image, data)
    if isinstance(found, str):
        return Unread(kind, found)
    if found.metadata.longest > MAX_METADATA:
        return Unread(kind, f"its metadata are over {MAX_METADATA} bytes")
    return found


def _loaded(image: Image.Image) -> npt.NDArray[np.generic] | str:
    """Return the samples as Pillow has them, or how reading failed."""
    try:
        image.load()
    except READING as error:
        return f"its pixels cannot be read ({line(error)})"
    return np.asarray(image)


def _deep(decode: Callable[[], npt.NDArray[np.generic]]) -> npt.NDArray[np.generic] | str:
    """Return the samples as imagecodecs has them, or how reading failed."""
    try:
        return np.asarray(decode())
    except READING as error:
        return f"its pixels cannot be read ({line(error)})"


def _here() -> bool:
    return importlib.util.find_spec("imagecodecs") is not None


def _picture(
    found: npt.NDArray[np.generic] | str,
    kind: Kind,
    form: str,
    metadata: Metadata,
    size: tuple[int, int],
) -> Picture | str:
    """Return the picture of samples of a kind and of that height and width."""
    if isinstance(found, str):
        return found
    dtype = np.uint16 if kind.depth == 16 else np.uint8
    shape = (*size, kind.layout.channels)
    if found.shape != shape and (*found.shape, 1) != shape:
        return f"its pixels are read as {found.shape}"
    if 8 * found.dtype.itemsize > kind.depth and not 0 <= int(found.max()) < 1 << kind.depth:
        return f"its samples are more than {kind.depth} bits"
    pixels: Pixels = np.ascontiguousarray(found.astype(dtype, copy=False)).reshape(shape)
    return Picture(pixels, form, metadata, kind.layout, kind.depth)


def png_pixels(image: Image.Image, data: bytes) -> npt.NDArray[np.generic] | str:
    """Return the samples of a sound PNG that Pillow has opened, at the file's depth."""
    kind = png.kind(data)
    if kind is None:
        return "its kind of pixels is not one of PNG"
    if kind.depth == 16 and kind.layout != Layout.GREY:
        if data[28]:
            return "interlaced 16-bit colour is kept as it is"
        if not _here():
            return GET
        import imagecodecs

        return _deep(lambda: imagecodecs.png_decode(png.plain(data)))
    found = _loaded(image)
    if isinstance(found, str):  # perhaps for what follows the pixels
        found = _loaded(_plain_png(data))
    if isinstance(found, str) or kind.layout != Layout.GREY or kind.depth not in (2, 4):
        return found
    return np.asarray(found, np.uint8) // (255 // ((1 << kind.depth) - 1))  # Pillow spreads them


def _png(image: Image.Image, data: bytes) -> Picture | str:
    reason = png.damage(data)
    kind = png.kind(data)
    if reason or kind is None:
        return reason or "its kind of pixels is not one of PNG"
    metadata = png.other_chunks(data)
    if b"acTL" in {tag for tag, _ in png.contents(metadata.chunks)}:
        return "it has several frames"
    reason = png.damaged_rows(data)
    if reason:
        return reason
    return _picture(png_pixels(image, data), kind, "PNG", metadata, (image.height, image.width))


def _ppm(image: Image.Image, data: bytes) -> Picture | str:
    return pnm.read(data)


_LOSSLESS = (1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000)
"""Compressions of TIFF that keep all values."""


def _tiff(image: Image.Image, data: bytes) -> Picture | str:
    try:
        return _tagged(image, data, tiff.parse(data))
    except tiff.Unfit as error:
        return str(error)


def _tagged(image: Image.Image, data: bytes, tags: tiff.Tags) -> Picture | str:
    """Return the picture of a TIFF; raises `tiff.Unfit`."""
    bits, samples = set(tags.numbers(tiff.BITS) or (1,)), tags.number(tiff.SAMPLES, 1)
    photometric = tags.number(tiff.PHOTOMETRIC, -1)
    extra = tags.numbers(tiff.EXTRA)
    if tags.number(tiff.COMPRESSION, 1) not in _LOSSLESS:
        return "its pixels are compressed with loss, or in a way of their own"
    if tags.is_more(data):
        return "it has bytes to which no tag points"
    layout = _LAYOUTS.get((photometric, samples, len(extra)))
    formats = set(tags.numbers(tiff.FORMAT) or (1,))
    if layout is None or len(bits) != 1 or formats != {1}:
        return f"TIFF of {samples} samples of {'/'.join(map(str, sorted(bits)))} bits, kind " + (
            f"{photometric}, sample format {'/'.join(map(str, sorted(formats)))}, has no model"
        )
    kind = Kind(layout, bits.pop())
    if (
        kind.depth not in (1, 8, 16)
        or not kind.known
        or (layout == Layout.PALETTE and kind.depth == 1)
    ):
        return f"TIFF of {kind} has no model"
    size = tags.number(tiff.HEIGHT, 0), tags.number(tiff.WIDTH, 0)
    found = _tiff_pixels(image, data, kind, tags)
    return _picture(found, kind, "TIFF", Metadata(tags=tiff.kept(tags)), size)


_LAYOUTS = {
    (0, 1, 0): Layout.GREY,
    (1, 1, 0): Layout.GREY,
    (1, 2, 1): Layout.GREY_ALPHA,
    (2, 3, 0): Layout.RGB,
    (2, 4, 1): Layout.RGBA,
    (3, 1, 0): Layout.PALETTE,
    (5, 4, 0): Layout.CMYK,
}
"""Layouts by TIFF's kind of samples, their number, and how many of them are extra."""


def _tiff_pixels(
    image: Image.Image, data: bytes, kind: Kind, tags: tiff.Tags
) -> npt.NDArray[np.generic] | str:
    """Return the samples of a TIFF, not turned, black as zero."""
    plain = tags.numbers(tiff.EXTRA) in ((), (2,)) and kind.layout != Layout.GREY_ALPHA
    white_is_zero = tags.number(tiff.PHOTOMETRIC, 1) == 0
    if plain and (kind.depth < 16 or (kind.layout == Layout.GREY and not white_is_zero)):
        found = _loaded(image)
        turn = _UNTURNED.get(tags.number(tiff.ORIENTATION, 1))
        if not isinstance(found, str) and turn is not None:
            return np.asarray(image.transpose(turn))
        return found
    if not _here():
        return GET
    import imagecodecs

    found = _deep(lambda: imagecodecs.tiff_decode(data))
    if isinstance(found, str):
        return found
    if found.ndim == 3 and tags.number(tiff.PLANAR, 1) == 2:  # (C, height, width)
        found = np.moveaxis(found, 0, 2)
    return (1 << kind.depth) - 1 - found if white_is_zero else found


def _webp(image: Image.Image, data: bytes) -> Picture | str:
    return webp.reason(data) or _by_pillow(image)


def _bmp(image: Image.Image, data: bytes) -> Picture | str:
    return bmp.read(data)


def _by_pillow(image: Image.Image) -> Picture | str:
    """Return the picture of a file whose pixels Pillow has as they are, 8 bits a sample."""
    form = image.format or ""
    unknown = set(image.info) - _KEPT - _HARMLESS[form]
    if unknown:
        return f"it carries {', '.join(sorted(map(str, unknown)))}"
    if image.mode not in ("RGB", "RGBA"):
        return f"images of mode {image.mode} have no model"
    dpi = image.info.get("dpi")
    metadata = Metadata(
        icc=image.info.get("icc_profile") or b"",
        exif=image.info.get("exif") or b"",
        xmp=image.info.get("xmp") or b"",
        dpi=(float(dpi[0]), float(dpi[1])) if dpi else None,
    )
    return _picture(_loaded(image), Kind(Layout[image.mode], 8), form, metadata, image.size[::-1])


_READERS: dict[str, Callable[[Image.Image, bytes], Picture | str]] = {
    "PNG": _png,
    "PPM": _ppm,
    "TIFF": _tiff,
    "WEBP": _webp,
    "BMP": _bmp,
}
