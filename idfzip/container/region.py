"""A part of an image, and pictures cut to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from idfzip.errors import RegionError, UnsupportedImage
from idfzip.images import damage, heads, png, reader, tiff
from idfzip.images.picture import Metadata, Picture, Pixels

Box = tuple[int, int, int, int]
"""Top, left, height, width."""

_PLACED_CHUNKS = (b"oFFs", b"hIST")
"""Chunks that hold of the whole image only: where it lies on a page, how often colours occur."""

_PLACED_TAGS = (286, 287, 33922, 34264)
"""Tags likewise: place on a page (TIFF 6.0, section 8), on a map (GeoTIFF, section 2.6)."""


@dataclass(frozen=True)
class Region:
    """Columns from `left` on, rows from `top` on; `width` and `height` are at least 1."""

    left: int
    top: int
    width: int
    height: int

    def __str__(self) -> str:
        """Return it as users write it."""
        return f"{self.left},{self.top},{self.width},{self.height}"

    def check(self, height: int, width: int) -> None:
        """Raise RegionError unless the region lies inside an image of this size."""
        held = min(self.left, self.top) >= 0 and min(self.width, self.height) > 0
        if not held or self.left + self.width > width or self.top + self.height > height:
            raise RegionError(
                f"region {self} (X,Y,W,H) is not inside the image of {width}x{height}"
            )

    def meets(self, box: Box) -> bool:
        """Return whether some pixels of a box are in the region."""
        y, x, h, w = box
        across = x < self.left + self.width and self.left < x + w
        return across and y < self.top + self.height and self.top < y + h

    def common(self, box: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return rows and columns of what both have: as places in the region, and in the box."""
        y, x, h, w = box
        top, bottom = max(y, self.top), min(y + h, self.top + self.height)
        left, right = max(x, self.left), min(x + w, self.left + self.width)
        return (
            (slice(top - self.top, bottom - self.top), slice(left - self.left, right - self.left)),
            (slice(top - y, bottom - y), slice(left - x, right - x)),
        )

    def of(self, pixels: Pixels) -> Pixels:
        """Return the region of pixels (height, width, C), as an array of its own."""
        self.check(*pixels.shape[:2])
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width].copy()

    def metadata(self, metadata: Metadata) -> Metadata:
        """Return the metadata that hold of a region as well; palette and colour profile do.

        Raises UnsupportedImage where they are damaged.
        """
        with damage.in_metadata():
            tags = _tags(metadata.tags) if metadata.tags else b""
        chunks, last = (_chunks(part) for part in (metadata.chunks, metadata.last_chunks))
        head = heads.resized(metadata.head, self.height, self.width)
        return replace(metadata, chunks=chunks, last_chunks=last, tags=tags, head=head)


def whole(height: int, width: int) -> Region:
    """Return the region that is all of an image."""
    return Region(0, 0, width, height)


def cropped(picture: Picture, region: Region) -> Picture:
    """Return the region of a picture; raises RegionError where it lies outside."""
    metadata = region.metadata(picture.metadata)
    return replace(picture, pixels=region.of(picture.pixels), metadata=metadata)


def of_stored(data: bytes, form: str, region: Region, max_pixels: int) -> Picture:
    """Return the region of a stored file's picture, where it is one that can be read exactly.

    Raises RegionError and UnsupportedImage.
    """
    found = reader.read(data, "the stored file", max_pixels)
    if not isinstance(found, Picture):
        raise UnsupportedImage(
            f"a stored {form or 'file'} ({found.reason}): it comes back as a whole, no region of it"
        )
    return cropped(found, region)


def _chunks(chunks: bytes) -> bytes:
    kept = [png.chunk(t, data) for t, data in png.contents(chunks) if t not in _PLACED_CHUNKS]
    return b"".join(kept)


def _tags(tags: bytes) -> bytes:
    found = tiff.parse(tags)
    left = {tag: value for tag, value in found.directory.items() if tag not in _PLACED_TAGS}
    return tiff.of_tags(found.order, left)
