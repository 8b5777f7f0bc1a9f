"""Reading image files without losing anything unseen.

Pillow turns some kinds of files silently into others (16-bit RGB into 8-bit, small ranges of PPM
into full ones), so the file's own header decides whether its pixels can be carried. What cannot be
is reported as a reason, and the container keeps the file's own bytes instead.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from idfzip.errors import UnsupportedImage
from idfzip.images import png
from idfzip.images.picture import Metadata, Picture

MAX_PIXELS = 500_000_000
"""More are not decoded. Pillow refuses twice its own `MAX_IMAGE_PIXELS`; the command line makes the
two agree."""

_HARMLESS = {
    "PNG": set(),
    "TIFF": {"compression", "resolution"},
    "BMP": {"compression"},
    "WEBP": {"loop", "background", "timestamp", "duration"},
    "PPM": set(),
}
_KEPT = {"icc_profile", "exif", "xmp", "dpi"}


@dataclass(frozen=True)
class Unread:
    """A file whose own bytes must be kept, its format, and the reason."""

    format: str
    reason: str


def read(data: bytes, name: str) -> Picture | Unread:
    """Return the picture in a file's bytes, or why the bytes must be kept.

    `name` is for messages. Raises UnsupportedImage where the bytes are no image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise UnsupportedImage(f"{name}: not an image that Pillow knows") from None
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise UnsupportedImage(f"{name}: damaged image ({_line(error)})") from None
    kind = image.format or "unknown"
    if image.width * image.height > MAX_PIXELS:
        return Unread(kind, f"{image.width}x{image.height} is over {MAX_PIXELS} pixels")
    reason = _obstacle(image, data)
    if reason:
        return Unread(kind, reason)
    try:
        image.load()
    except (OSError, ValueError, SyntaxError, struct.error, zlib.error) as error:
        return Unread(kind, f"its pixels cannot be read ({_line(error)})")
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return Picture(np.ascontiguousarray(pixels), kind, _metadata(image, data))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _metadata(image: Image.Image, data: bytes) -> Metadata:
    if image.format == "PNG":
        return png.other_chunks(data)
    info = image.info
    dpi = info.get("dpi")
    return Metadata(
        icc=info.get("icc_profile") or b"",
        exif=info.get("exif") or b"",
        xmp=info.get("xmp") or b"",
        dpi=(float(dpi[0]), float(dpi[1])) if dpi else None,
    )


def _obstacle(image: Image.Image, data: bytes) -> str:
    """Return why the pixels cannot be carried, or an empty string."""
    kind = image.format or "unknown"
    if kind not in _HARMLESS:
        return f"{kind} files are kept as they are"
    if getattr(image, "n_frames", 1) != 1:
        return "it has several frames"
    checks = {"PNG": _png, "PPM": _ppm, "TIFF": _tiff, "WEBP": _webp, "BMP": _bmp}
    reason = checks[kind](image, data)
    if reason:
        return reason
    if image.mode not in ("L", "RGB"):
        return f"images of mode {image.mode} have no model yet"
    if kind == "PNG":
        return ""
    unknown = set(image.info) - _KEPT - _HARMLESS[kind]
    if unknown:
        return f"it carries {', '.join(sorted(map(str, unknown)))}"
    return ""


def _png(image: Image.Image, data: bytes) -> str:
    damage = png.damage(data)
    if damage:
        return damage
    depth, colour = png.depth_and_colour(data)
    if depth != 8:
        return f"PNG of {depth} bits a sample has no model yet"
    return "" if colour in (0, 2) else f"images of mode {image.mode} have no model yet"


def _ppm(image: Image.Image, data: bytes) -> str:
    fields: list[bytes] = []
    at = 0
    while len(fields) < 4 and at < len(data):
        if data[at : at + 1] == b"#":
            return "it carries comments"
        if data[at : at + 1].isspace():
            at += 1
            continue
        end = at
        while end < len(data) and not data[end : end + 1].isspace():
            end += 1
        fields.append(data[at:end])
        at = end
    if fields[0] not in (b"P5", b"P6") or fields[3:] != [b"255"]:
        return "only P5 and P6 with a maximum of 255 have a model"
    expected = at + 1 + image.width * image.height * len(image.getbands())
    return "" if len(data) == expected else "bytes follow its end"


def _tiff(image: Image.Image, data: bytes) -> str:
    tags = getattr(image, "tag_v2", {})
    depth = set(tags.get(258, (1,)))
    if depth != {8}:
        return f"TIFF of {'/'.join(map(str, sorted(depth)))} bits a sample has no model yet"
    plain = {254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 296, 317}
    unknown = set(tags) - plain
    if unknown or tags.get(274, 1) != 1 or tags.get(262) not in (1, 2):
        return f"it carries TIFF tags {sorted(unknown) or [262, 274]}"
    return ""


def _webp(image: Image.Image, data: bytes) -> str:
    return "" if is_lossless_webp(data) else "lossy WebP is kept as it is"


def is_lossless_webp(data: bytes) -> bool:
    """Return whether the pixels of a WebP file were coded without loss."""
    at = 12
    while at + 8 <= len(data):
        tag, length = struct.unpack_from("<4sI", data, at)
        if tag == b"VP8L":
            return True
        at += 8 + length + (length & 1)
    return False


def _bmp(image: Image.Image, data: bytes) -> str:
    depth = struct.unpack_from("<H", data, 28)[0] if len(data) > 30 else 0
    return "" if depth == 24 else f"BMP of {depth} bits a pixel has no model yet"
