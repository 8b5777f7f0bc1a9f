"""The codecs of a comparison, each with settings that are explicit, printed and lossless."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, features

from idfzip.bench.sample import LAYOUTS, PALETTE, Array, Sample, of_chunks
from idfzip.container import choice, devices, idfz, models
from idfzip.container.effort import Effort
from idfzip.container.model_file import Model
from idfzip.errors import BenchError
from idfzip.images import png
from idfzip.images.picture import Layout, Metadata, Picture

GET = "pip install 'idfzip[bench]'"
OURS = "idfzip"

_PLAIN = frozenset(LAYOUTS.values())
_DEEP = frozenset(f"{layout} 16-bit" for layout in LAYOUTS.values())
_MODES = {"grey": "L", "grey+alpha": "LA", "RGB": "RGB", "RGBA": "RGBA", "grey 16-bit": "I;16"}
"""Pillow's modes of the layouts that it holds without loss."""

Encode = Callable[[Sample], bytes]
Decode = Callable[[bytes, str], Array]
"""From a file's bytes and the layout that is asked for, which some formats do not record."""


@dataclass(frozen=True)
class Codec:
    """A codec: its name, its settings in words, the kinds of images it holds, how it codes.

    `kinds` are those of `Sample.kind`; an image with a palette goes as its colours where the codec
    has no palettes. `decode` gives pixels of shape (height, width, C).
    """

    name: str
    settings: str
    kinds: frozenset[str]
    encode: Encode
    decode: Decode
    models: tuple[Model, ...] = ()

    @property
    def classical(self) -> bool:
        """Whether it does without a model of ours."""
        return not self.models


@dataclass(frozen=True)
class Missing:
    """A codec that is not installed, and how to get it."""

    name: str
    how: str


class How(NamedTuple):
    """Threads, the name of a device and its `max_batch`: what `--memory`'s processes are told."""

    threads: int
    device: str = devices.CPU
    max_batch: int | None = None

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return threads if self.device == devices.CPU else f"{threads}, device {self.device}"


def listed(how: How) -> list[Codec | Missing]:
    """Return idfzip with the released models and all classical codecs, in the order of tables."""
    known = {model.identity: model for c in models.RELEASED for model in models.released(c)}
    names = " and ".join(f"{m.name} ({m.short.hex()})" for m in known.values())
    ours = Codec(
        OURS,
        f"released models {names}, other codecs as at --effort {models.DEFAULT_LEVEL}, " + str(how),
        _PLAIN | _DEEP | {PALETTE},
        functools.partial(_smallest, how),
        functools.partial(_decompress, None, how),
        tuple(known.values()),
    )
    return [ours, *_of_imagecodecs(how.threads), *_of_pillow()]


def with_models(names: Sequence[str], how: How) -> list[Codec]:
    """Return idfzip with each model, by its name, hash or path; raises ModelError.

    Models of one name are told apart by their hashes; the same model twice is taken once.
    """
    found = list({model.identity: model for model in map(models.by_name, names)}.values())
    titles = [model.name for model in found]
    codecs = []
    for model in found:
        short = model.short.hex()
        title = model.name if titles.count(model.name) == 1 else f"{model.name}-{short[:8]}"
        codecs.append(_idfzip(f"{OURS}:{title}", f"model {short}", model, how))
    return codecs


def choose(found: Sequence[Codec | Missing], names: Sequence[str]) -> list[Codec | Missing]:
    """Return those of these names, all if there is no name; raises BenchError for an unknown."""
    known = [codec.name for codec in found]
    for name in names:
        if name not in known:
            raise BenchError(f"codec {name} is not known: choose from {', '.join(known)}")
    return [codec for codec in found if not names or codec.name in names]


def _idfzip(name: str, which: str, model: Model, how: How) -> Codec:
    return Codec(
        name,
        f"{which}, {how}",
        frozenset([LAYOUTS[model.codec.channels]]),
        functools.partial(_compress, model, how),
        functools.partial(_decompress, model, how),
        (model,),
    )


@functools.lru_cache(maxsize=4)
def effort(how: How) -> Effort:
    """Return how work is spread; the device stays ready for the next call."""
    found = devices.find(how.device, how.threads, how.max_batch, _warn)
    return Effort(how.threads, device=found)


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)


def _smallest(how: How, sample: Sample) -> bytes:
    return choice.smallest(_picture(sample), None, None, effort(how)).data


def _picture(sample: Sample) -> Picture:
    """Return the picture of an image; one with a palette as of a PNG."""
    if sample.indexed is None:
        return Picture(sample.pixels)
    colours = sample.indexed.colours
    chunks = png.chunk(b"PLTE", colours[:, :3].tobytes())
    if colours.shape[1] == 4:
        chunks += png.chunk(b"tRNS", colours[:, 3].tobytes())
    pixels = sample.indexed.indices[:, :, None]
    return Picture(pixels, "PNG", Metadata(chunks=chunks), Layout.PALETTE, 8)


def _compress(model: Model, how: How, sample: Sample) -> bytes:
    return idfz.compress(Picture(sample.pixels), model, effort(how))


def _decompress(model: Model | None, how: How, data: bytes, layout: str) -> Array:
    found, _ = idfz.decompress(idfz.parse(data), model, effort(how))
    if not isinstance(found, Picture):
        raise BenchError("the file holds no pixels")
    if found.kind.layout == Layout.PALETTE:
        return of_chunks("", found).pixels
    return found.pixels


def _of_pillow() -> list[Codec | Missing]:
    held = frozenset(_MODES) | {PALETTE}
    webp = {"lossless": True, "quality": 100, "method": 6, "exact": True}
    jpeg2000 = {"irreversible": False, "mct": 1, "no_jp2": True}
    codecs = (
        ("webp", "libwebp", "webp", "WEBP", webp, _PLAIN | {PALETTE}),
        ("jpeg2000", "OpenJPEG", "jpg_2000", "JPEG2000", jpeg2000, held),
        ("png", "zlib", "zlib", "PNG", {"optimize": True}, held),
    )
    words = {
        "webp": "lossless, quality 100, method 6, exact; grey as RGB",
        "jpeg2000": "reversible 5/3 and colour transform, at most 6 resolutions, raw codestream",
        "png": "Pillow optimize (deflate 9), palettes kept",
    }
    found: list[Codec | Missing] = []
    for name, library, feature, form, options, kinds in codecs:
        if not features.check(feature):
            found.append(Missing(name, f"a Pillow with {library}"))
            continue
        settings = f"{library} {features.version(feature)}, {words[name]}, 1 thread"
        encode = functools.partial(_save, form, options)
        found.append(Codec(name, settings, kinds, encode, _open))
    return found


def _save(form: str, options: Mapping[str, Any], sample: Sample) -> bytes:
    out = io.BytesIO()
    if sample.indexed and form == "PNG":
        used = int(sample.indexed.indices.max()) + 1  # few colours take few bits
        colours = sample.indexed.colours[:used]
        image = Image.fromarray(sample.indexed.indices)
        image.putpalette(colours[:, :3].tobytes())
        if colours.shape[1] == 4:
            options = {**options, "transparency": colours[:, 3].tobytes()}
        image.save(out, form, **options)
    else:
        grey = sample.pixels.shape[2] == 1
        image = Image.fromarray(sample.pixels[:, :, 0] if grey else sample.pixels)
        if form == "JPEG2000":
            options = {**options, "num_resolutions": _resolutions(min(image.size))}
        image.save(out, form, **options)
    return out.getvalue()


def _resolutions(side: int) -> int:
    """Return JPEG 2000's number of resolutions: the usual 6, fewer for small images.

    Each costs a packet's header: of 32 x 32 images 6 make files larger by 6% than 3.
    """
    return max(1, min(6, side.bit_length() - 3))


def _open(data: bytes, layout: str) -> Array:
    with Image.open(io.BytesIO(data)) as image:
        mode = _MODES[layout]
        array = np.asarray(image if image.mode == mode else image.convert(mode))
    pixels: Array = array.astype(np.uint16 if mode == "I;16" else np.uint8, copy=False)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _of_imagecodecs(threads: int) -> list[Codec | Missing]:
    many = str(How(threads))
    spread = {"numthreads": threads}
    jxl = {"lossless": True, **spread}
    avif = {"level": 100, "speed": 6, **spread}
    colour = frozenset({"RGB", "RGBA", "RGB 16-bit", "RGBA 16-bit", "grey", "grey 16-bit"})
    codecs: tuple[tuple[str, str, dict[str, Any], dict[str, Any], frozenset[str]], ...] = (
        ("jpegxl-9", f"lossless, effort 9, {many}", {"effort": 9, **jxl}, spread, _PLAIN | _DEEP),
        ("jpegxl-7", f"lossless, effort 7, {many}", {"effort": 7, **jxl}, spread, _PLAIN | _DEEP),
        ("jpegls", "lossless, no colour transform, 1 thread", {}, {}, colour),
        ("avif", f"lossless (RGB as it is), speed 6, {many}", avif, spread, _PLAIN),
        ("qoi", "1 thread; grey as RGB", {}, {}, _PLAIN),
    )
    found: list[Codec | Missing] = []
    for name, words, options, decoding, kinds in codecs:
        format_name = name.split("-")[0]
        version = _version(format_name)
        if version is None:
            found.append(Missing(name, GET))
            continue
        encode = functools.partial(_encode, format_name, options)
        decode = functools.partial(_decode, format_name, decoding)
        found.append(Codec(name, f"{version}, {words}", kinds | {PALETTE}, encode, decode))
    return found


def _version(name: str) -> str | None:
    """Return the library and version behind a codec of imagecodecs, None where it is missing."""
    if importlib.util.find_spec("imagecodecs") is None:
        return None
    imagecodecs = importlib.import_module("imagecodecs")
    if not getattr(imagecodecs, name.upper()).available:
        return None
    return str(getattr(imagecodecs, f"{name}_version")())


def _encode(name: str, options: Mapping[str, Any], sample: Sample) -> bytes:
    encode = getattr(importlib.import_module("imagecodecs"), f"{name}_encode")
    pixels = sample.pixels
    if name == "qoi" and pixels.shape[2] < 3:  # the format has colour only
        grey = pixels[:, :, :1]
        pixels = np.concatenate([grey, grey, grey, pixels[:, :, 1:]], axis=2)
    return bytes(encode(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels, **options))


def _decode(name: str, options: Mapping[str, Any], data: bytes, layout: str) -> Array:
    decode = getattr(importlib.import_module("imagecodecs"), f"{name}_decode")
    array = decode(data, **options)
    pixels: Array = array if array.ndim == 3 else array[:, :, None]
    if name == "qoi" and layout.startswith("grey"):
        return pixels[:, :, [0, 3] if layout == "grey+alpha" else [0]]
    if name == "avif" and layout.endswith(("+alpha", "RGBA")) and pixels.shape[2] % 2:
        opaque = np.full_like(pixels[:, :, :1], 255)  # which the format leaves out
        return np.concatenate([pixels, opaque], axis=2)
    return pixels
