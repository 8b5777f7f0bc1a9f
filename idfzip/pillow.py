"""A Pillow plugin: after `import idfzip.pillow`, Pillow opens and saves `.idfz` files of one image.

>>> import io, idfzip.pillow
>>> from PIL import Image
>>> file = io.BytesIO()
>>> Image.linear_gradient("L").save(file, "IDFZ")
>>> Image.open(file).getpixel((0, 7))
7

Opening reads the header only; pixels are decoded when they are asked for. `save` takes `model` (a
name, a hash or a path), `threads` and `progressive`, and `icc_profile`, `exif` and `dpi` in place
of the image's.
"""

from __future__ import annotations

import io
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile

from idfzip import api
from idfzip.container import header, sections
from idfzip.container.metadata import unpack_metadata
from idfzip.errors import FormatError, IdfzipError, UnsupportedImage
from idfzip.images import writer
from idfzip.images.picture import Picture

FORMAT = "IDFZ"


class IdfzImageFile(ImageFile.ImageFile):
    """An image in an `.idfz` file; in an archive there are many, which `idfzip.unpack` returns."""

    format = FORMAT
    format_description = "idfzip lossless image"

    def _open(self) -> None:
        """Read the header; raises SyntaxError where this is no `.idfz` file of one image."""
        file: Any = self.fp
        try:
            parts = sections.read_head(file)
            start = file.tell()
            end = file.seek(0, io.SEEK_END)
            if parts[-1].tag != sections.LAST:
                raise FormatError("an archive of many images")
            head = header.unpack(parts[-1].data, end - start)
            if isinstance(head, header.StoredHeader):
                file.seek(start)
                seen: Image.Image = Image.open(io.BytesIO(file.read(head.length)))
                size = seen.size
            else:
                dot = np.zeros(
                    (1, 1, head.kind.layout.channels),
                    np.uint16 if head.kind.depth > 8 else np.uint8,
                )
                metadata = unpack_metadata(parts[:-1])
                kind = head.kind
                seen = writer.to_image(Picture(dot, head.format, metadata, kind.layout, kind.depth))
                size = (head.width, head.height)
        except (FormatError, UnsupportedImage, OSError) as error:
            raise SyntaxError(f"not an .idfz file of an image: {error}") from error
        self._size = size
        self._mode = seen.mode
        self.info.update(seen.info)
        self.tile = [ImageFile._Tile(FORMAT, (0, 0, *size), 0, seen.mode)]

    def load(self) -> Any:
        """Decode the pixels on first use; raises OSError where they are damaged."""
        if self.tile:
            file: Any = self.fp
            if file is None:
                raise ValueError("Operation on closed image")
            file.seek(0)
            try:
                found = api.decompress(file.read())
            except IdfzipError as error:
                raise OSError(str(error)) from error
            found.load()
            self.im, self.palette, self._mode = found.im, found.palette, found.mode
            self.info.update(found.info)
            self.tile = []
            if getattr(self, "_exclusive_fp", False):
                file.close()
            self.fp = None
        return super().load()


def _accept(prefix: bytes) -> bool:
    return sections.is_idfz(prefix)


def _save(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
    options = getattr(image, "encoderinfo", {})
    given = {key: options[key] for key in ("icc_profile", "exif", "dpi") if options.get(key)}
    if given:
        image = image.copy()
        if isinstance(given.get("exif"), Image.Exif):
            given["exif"] = given["exif"].tobytes()
        image.info.update(given)
    data = api.compress(
        image,
        model=options.get("model"),
        threads=options.get("threads"),
        progressive=bool(options.get("progressive")),
    )
    file.write(data)


Image.register_open(FORMAT, IdfzImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, ".idfz")
Image.register_mime(FORMAT, "image/x-idfz")
