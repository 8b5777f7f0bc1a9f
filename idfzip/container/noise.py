"""Random words: what a decoder turns into samples of its model.

A stream of fair random bits decodes into values with the probabilities of the model, so that
decoding noise is sampling (and where a stream breaks off, noise draws what might have followed).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from idfzip.codecs.seen import Seen
from idfzip.container.devices import Device
from idfzip.container.effort import Effort
from idfzip.container.fit import Pair
from idfzip.container.model_file import Model
from idfzip.container.threads import in_order
from idfzip.errors import ModelError
from idfzip.flows import colour
from idfzip.images.picture import Pixels

PADDING = 63
"""Rows and columns that a codec may add to a tile: the bipartite one codes multiples of 64."""


def stream(size: tuple[int, int], channels: int, seed: tuple[int, ...]) -> bytes:
    """Return random words, enough for a tile of that size (height, width).

    They are the raw output of NumPy's PCG64, which never changes: one seed, one stream everywhere.
    """
    values = (size[0] + PADDING) * (size[1] + PADDING) * channels
    count = values + 2  # a value takes at most 24 bits, a word gives 32
    raw = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(-(-count // 2))
    return np.asarray(raw).astype("<u8").tobytes()


def viewer(model: Model, device: Device | None) -> Callable[..., Seen]:
    """Return what gives what a stream of a size shows, `cut` or not, of an alphabet.

    Raises ModelError where the model's codec shows nothing of a part of a stream.
    """
    see = model.architecture.preview
    if see is None:
        raise ModelError(f"model {model.name}: its architecture has no preview")
    return on_device(model, see, device)


def on_device(
    known: Model | Pair, see: Callable[..., Seen], device: Device | None
) -> Callable[..., Seen]:
    """Return what previews streams of a model, or two: the processor's `see`, or a device."""
    codec = known.codec
    if device is None or not device.codes(codec):
        return partial(see, codec)

    def there(words: bytes, size: tuple[int, int], cut: bool, alphabet: int) -> Seen:
        (coming,) = device.preview(known, codec, [words], [size], cut, alphabet)
        return coming.result()

    return there


def images(
    model: Model,
    count: int,
    seed: int,
    size: tuple[int, int],
    effort: Effort = Effort(),  # noqa: B008
) -> list[Pixels]:
    """Return images drawn from a model, uint8 (height, width, C).

    The same on every machine; raises ModelError where the model's codec cannot draw.
    """
    draw = viewer(model, effort.device)

    def one(i: int) -> Pixels:
        words = stream(size, model.codec.channels, (seed, i))
        return colour.inverse(draw(words, size, False, 256).planes).astype(np.uint8)

    return list(in_order((partial(one, i) for i in range(count)), effort.jobs))


def grid(pictures: list[Pixels], gap: int = 2) -> Pixels:
    """Return pictures of one size in a square grid with white lines between them."""
    columns = int(np.ceil(np.sqrt(len(pictures))))
    rows = -(-len(pictures) // columns)
    height, width, channels = pictures[0].shape
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, channels)
    out = np.full(shape, 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * (height + gap), i % columns * (width + gap)
        out[y : y + height, x : x + width] = picture
    return out
