"""The Python API: `idfzip.compress` and `idfzip.decompress`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from idfzip.container import choice, idfz, models
from idfzip.container.model_file import Model
from idfzip.container.tiling import Effort, all_cores
from idfzip.errors import UnsupportedImage
from idfzip.images import reader, writer
from idfzip.images.picture import Picture, from_array

_KEPT = ("icc_profile", "exif", "dpi", "transparency")
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def _model(name: str | Path | None) -> Model | None:
    return None if name is None else models.by_name(str(name))


def _effort(threads: int | None) -> Effort:
    return Effort(threads or all_cores())


def compress(
    image: Image.Image | npt.NDArray[Any],
    *,
    model: str | Path | None = None,
    threads: int | None = None,
    level: int = models.DEFAULT_LEVEL,
) -> bytes:
    """Return an `.idfz` file of a Pillow image, or of an array (H, W) or (H, W, 1 to 4).

    Arrays are uint8 or uint16: grey, grey with alpha, RGB, RGBA. `model` is a name, a hash or a
    path; without it released ones are taken, and other codecs where they are smaller. `level`, 1
    to 9, says how much is tried. An image of a kind that is not coded is kept as a TIFF. Raises
    UnsupportedImage for other arrays, and for images that no file holds as they are.
    """
    picture = from_array(image) if isinstance(image, np.ndarray) else _picture(image)
    if isinstance(picture, bytes):
        return idfz.store(picture, "TIFF")
    return choice.smallest(picture, None, _model(model), _effort(threads), level).data


def _picture(image: Image.Image) -> Picture | bytes:
    """Return the picture of a Pillow image, or, of a kind that is not coded, a TIFF of it."""
    kept = {key: image.info[key] for key in _KEPT if key in image.info}
    form = "PNG" if image.mode in _PNG_MODES else "TIFF"
    options: dict[str, Any] = {"compress_level": 1} if form == "PNG" else {}
    out = io.BytesIO()
    try:
        image.save(out, form, **options, **kept)
        same = Image.open(io.BytesIO(out.getvalue()))
        if same.mode != image.mode or same.tobytes() != image.tobytes():
            raise OSError
    except (OSError, ValueError, KeyError):
        raise UnsupportedImage(
            f"image of mode {image.mode}: no file holds it as it is; convert it first"
        ) from None
    found = reader.read(out.getvalue(), "image", image.width * image.height)
    return found if isinstance(found, Picture) else out.getvalue()


@overload
def decompress(
    data: bytes,
    *,
    model: str | Path | None = ...,
    threads: int | None = ...,
    as_array: Literal[False] = ...,
) -> Image.Image: ...


@overload
def decompress(
    data: bytes,
    *,
    model: str | Path | None = ...,
    threads: int | None = ...,
    as_array: Literal[True],
) -> npt.NDArray[np.unsignedinteger[Any]]: ...


def decompress(
    data: bytes,
    *,
    model: str | Path | None = None,
    threads: int | None = None,
    as_array: bool = False,
) -> Image.Image | npt.NDArray[np.unsignedinteger[Any]]:
    """Return the image in an `.idfz` file, as Pillow's or as an array (H, W) or (H, W, C).

    Arrays hold the samples as they are, uint8 or uint16: of a palette the indices, of few bits
    whole numbers from 0. Raises FormatError where the file is damaged, ModelNotFound where its
    model is missing, and UnsupportedImage where Pillow, or an array, does not hold such an image.
    """
    found, _ = idfz.decompress(idfz.parse(data), _model(model), _effort(threads))
    if isinstance(found, Picture):
        if not as_array:
            return writer.to_image(found)
        return found.pixels[:, :, 0] if found.pixels.shape[2] == 1 else found.pixels
    if as_array:
        raise UnsupportedImage(f"a stored {found.format or 'file'}: its samples are not known here")
    image = Image.open(io.BytesIO(found.data))
    image.load()
    return image
