"""The Python API: `idfzip.compress` and `idfzip.decompress`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from idfzip.container import idfz, models
from idfzip.container.model_file import Model
from idfzip.container.tiling import Effort, all_cores
from idfzip.errors import ModelError
from idfzip.images import png, writer
from idfzip.images.picture import Picture, from_array


def _model(name: str | Path | None) -> Model | None:
    return None if name is None else models.by_name(str(name))


def _effort(threads: int | None) -> Effort:
    return Effort(threads or all_cores())


def compress(
    image: Image.Image | npt.NDArray[Any],
    *,
    model: str | Path | None = None,
    threads: int | None = None,
    progressive: bool = False,
) -> bytes:
    """Return an `.idfz` file of a Pillow image or of a uint8 array, (H, W) or (H, W, 1 or 3).

    `model` is a name, a hash or a path; without it the released one is taken. A `progressive` file
    goes from coarse to fine, so that its beginning shows the whole image. An image of a kind
    that no model codes is kept as a PNG. Raises UnsupportedImage for other arrays.
    """
    if isinstance(image, np.ndarray):
        picture = from_array(image)
    else:
        read = _picture(image)
        if isinstance(read, bytes):
            return idfz.store(read, "PNG")
        picture = read
    channels = picture.pixels.shape[2]
    chosen = _model(model) or models.released(channels, progressive)
    if chosen.codec.channels != channels:
        raise ModelError(
            f"model {chosen.name} codes {chosen.codec.channels} channels, the image has {channels}"
        )
    return idfz.compress(picture, chosen, _effort(threads), levels=progressive)


def _picture(image: Image.Image) -> Picture | bytes:
    """Return the picture of a Pillow image, or, of another kind, a PNG of it."""
    kept = {key: image.info[key] for key in ("icc_profile", "exif", "dpi") if key in image.info}
    if image.mode not in ("L", "RGB") or "transparency" in image.info:
        out = io.BytesIO()
        image.save(out, "PNG", **kept)
        return out.getvalue()
    dot = io.BytesIO()
    Image.new(image.mode, (1, 1)).save(dot, "PNG", **kept)
    pixels = from_array(np.asarray(image)).pixels
    return Picture(pixels, "PNG", png.other_chunks(dot.getvalue()))


def decompress(
    data: bytes, *, model: str | Path | None = None, threads: int | None = None
) -> Image.Image:
    """Return the image in an `.idfz` file.

    Raises FormatError where the file is damaged and ModelNotFound where its model is missing.
    """
    found, _ = idfz.decompress(idfz.parse(data), _model(model), _effort(threads))
    if isinstance(found, Picture):
        return writer.to_image(found)
    image = Image.open(io.BytesIO(found.data))
    image.load()
    return image
