"""Lossy codecs of a comparison, each with a ladder of qualities and settings that are printed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from idfzip.bench.codecs import GET, OURS, How, Missing, effort
from idfzip.container import idfz, lossy, models
from idfzip.container.model_file import Model
from idfzip.errors import BenchError, ModelError
from idfzip.images.picture import Picture

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Painter:
    """A lossy codec: its name, its settings in words, its qualities from small files to large ones.

    `encode` takes pixels, uint8 (height, width, 1 or 3), and one of the qualities.
    """

    name: str
    settings: str
    qualities: tuple[float, ...]
    encode: Callable[[Pixels, float], bytes]
    decode: Callable[[bytes], Pixels]
    models: tuple[Model, ...] = ()


_PERCENT = (1, 5, 10, 15, 20, 30, 40, 50, 70, 90)
_BITS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0)
_DISTANCES = (25, 20, 15, 10, 7, 5, 4, 3, 2, 1.5, 1)
_OWN = (20, 40, 60, 80, 100)


def listed(names: Sequence[str], how: How) -> list[Painter | Missing]:
    """Return idfzip with the released lossy model, or those of `names`, then the classical ones.

    Raises ModelError for a model that is not lossy, ModelNotFound.
    """
    found: list[Painter | Missing] = []
    for model in {m.identity: m for m in map(models.by_name, names or [models.LOSSY])}.values():
        if not model.architecture.lossy:
            raise ModelError(f"model {model.name} is not lossy: leave out --lossy, or name another")
        found.append(_idfzip(model, how))
    return [*found, *_of_pillow(), *_of_imagecodecs()]


def choose(
    found: Sequence[Painter | Missing], names: Sequence[str], models: Sequence[str] = ()
) -> list[Painter | Missing]:
    """Return those of these names, all if there is no name; raises BenchError for an unknown.

    `models`, which were asked for by name, are among them, as in the comparison without loss.
    """
    known = [painter.name for painter in found]
    for name in names:
        if name not in known:
            raise BenchError(f"codec {name} is not known: choose from {', '.join(known)}")
    asked = [p for p in found if isinstance(p, Painter) and p.models and models]
    return [p for p in found if not names or p.name in names or p in asked]


def _idfzip(model: Model, how: How) -> Painter:
    def encode(pixels: Pixels, quality: float) -> bytes:
        return lossy.compress(Picture(pixels), model, int(quality), effort(how)).data

    def decode(data: bytes) -> Pixels:
        found, _ = idfz.decompress(idfz.parse(data), model, effort(how))
        if not isinstance(found, Picture):
            raise BenchError("the file holds no pixels")
        return found.pixels.astype(np.uint8, copy=False)

    settings = f"model {model.short.hex()}, --quality, {how}"
    return Painter(f"{OURS}:{model.name}", settings, _OWN, encode, decode, (model,))


def _of_pillow() -> list[Painter | Missing]:
    rows: tuple[tuple[str, str, str, tuple[float, ...], Callable[[float], dict[str, Any]]], ...] = (
        ("jpeg", "jpg", "quality, 4:2:0, progressive, optimised", _PERCENT, _jpeg),
        ("webp", "webp", "quality, method 6", _PERCENT, lambda q: {"quality": q, "method": 6}),
        ("jpeg2000", "jpg_2000", "9/7, rate in bits a pixel, raw codestream", _BITS, _jpeg2000),
        ("avif", "avif", "quality, 4:2:0, speed 6", _PERCENT, lambda q: {"quality": q, "speed": 6}),
    )
    found: list[Painter | Missing] = []
    for name, feature, words, qualities, options in rows:
        if not features.check(feature):
            found.append(Missing(name, f"a Pillow with {name}"))
            continue
        encode = functools.partial(_save, name.upper(), options)
        library = f"{features.version(feature)}, " if features.version(feature) else ""
        found.append(Painter(name, f"{library}{words}", qualities, encode, _open))
    return found


def _jpeg(quality: float) -> dict[str, Any]:
    return {"quality": quality, "optimize": True, "progressive": True}


def _jpeg2000(bits: float) -> dict[str, Any]:
    rate = {"quality_mode": "rates", "quality_layers": [24 / bits]}
    return {"irreversible": True, "mct": 1, "no_jp2": True, **rate}


def _save(
    form: str, options: Callable[[float], Mapping[str, Any]], pixels: Pixels, quality: float
) -> bytes:
    whole = int(quality) if float(quality).is_integer() else quality
    given = dict(options(whole))
    if pixels.shape[2] == 1 and form == "JPEG2000":
        given["quality_layers"] = [rate / 3 for rate in given["quality_layers"]]
        given["mct"] = 0
    out = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(out, form, **given)
    return out.getvalue()


def _open(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        array = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    return array if array.ndim == 3 else array[:, :, None]


def _of_imagecodecs() -> list[Painter | Missing]:
    if importlib.util.find_spec("imagecodecs") is None:
        return [Missing("jpegxl", GET)]
    imagecodecs = importlib.import_module("imagecodecs")
    if not imagecodecs.JPEGXL.available:
        return [Missing("jpegxl", GET)]

    def encode(pixels: Pixels, distance: float) -> bytes:
        plain = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
        return bytes(imagecodecs.jpegxl_encode(plain, distance=distance, effort=7, numthreads=1))

    def decode(data: bytes) -> Pixels:
        array = imagecodecs.jpegxl_decode(data, numthreads=1)
        pixels: Pixels = array if array.ndim == 3 else array[:, :, None]
        return pixels

    settings = f"{imagecodecs.jpegxl_version()}, distance, effort 7, 1 thread"
    return [Painter("jpegxl", settings, _DISTANCES, encode, decode)]
