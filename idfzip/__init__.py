"""Lossless image compression with integer discrete flows.

>>> import numpy as np, idfzip
>>> ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
>>> data = idfzip.compress(ramp)
>>> bool((np.asarray(idfzip.decompress(data)) == ramp).all())
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idfzip.errors import IdfzipError

if TYPE_CHECKING:
    from idfzip.api import compress, decompress, pack, unpack

__version__ = "0.1.0.dev0"
__all__ = ["IdfzipError", "__version__", "compress", "decompress", "pack", "unpack"]


def __getattr__(name: str) -> Any:
    """Import the functions on first use, so that the command line starts at once."""
    if name in ("compress", "decompress", "pack", "unpack"):
        from idfzip import api

        return getattr(api, name)
    raise AttributeError(f"module 'idfzip' has no attribute {name!r}")
