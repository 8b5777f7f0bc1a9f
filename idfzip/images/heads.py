"""Headers of files that are kept as they are, of those formats that have little else."""

from __future__ import annotations

from idfzip.images import bmp, pnm


def resized(head: bytes, height: int, width: int) -> bytes:
    """Return a header for pixels of another size; an empty one stays so."""
    if head.startswith(bmp.MAGIC):
        return bmp.resized(head, height, width)
    return pnm.resized(head, height, width)
