"""What damaged files make readers and writers raise, and what is made of it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from idfzip.errors import UnsupportedImage

DAMAGE = (
    *(OSError, ValueError, SyntaxError, struct.error, zlib.error, EOFError),
    *(ArithmeticError, LookupError),
)
"""What damaged bytes make raise."""

READING = (
    *(*DAMAGE, TypeError, AttributeError, RuntimeError, AssertionError, Warning),
    Image.DecompressionBombError,
)
"""What Pillow and imagecodecs raise for damaged files, in which all kinds of things are missing.

Also what it says of files that are too large, and warnings, where a program has them raised.
"""


def line(error: Exception) -> str:
    """Return an error's text as a short line."""
    return " ".join(str(error).split())[:120] or type(error).__name__


@contextmanager
def in_metadata() -> Iterator[None]:
    """Raise UnsupportedImage where work fails because the metadata are not what they should be."""
    try:
        yield
    except DAMAGE as error:
        raise UnsupportedImage(f"its metadata are damaged ({line(error)})") from None
