"""The smallest of all representations of a picture: by models, packed by others, as it was.

What is tried depends on the level of effort, 1 to 9, and on the pixels, never on time, so that the
same command gives the same bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from idfzip.container import idfz, models, tiling
from idfzip.container.effort import Effort, Progress
from idfzip.container.groups import Content
from idfzip.container.model_file import Model
from idfzip.container.plan import Part, plan
from idfzip.container.representations import Sizes
from idfzip.images import packing
from idfzip.images.picture import Picture, Pixels


@dataclass(frozen=True)
class Level:
    """What is tried beside models: other codecs, where so large a share of the image is flat.

    `webp` and `png` are their settings. Small images, and those without a model, are tried at
    once, others by PNG only where WebP cannot hold them, or `all_png` is set. For categories, whose
    model is nearly always smaller, WebP is thorough only where everything is tried.
    """

    share: float
    webp: Mapping[str, int]
    png: int
    all_png: bool = False


_FAST = {"method": 4, "quality": 75}
_NEVER, _USUAL, _OFTEN, _ALWAYS = 2.0, 0.6, 0.3, 0.0
"""Shares of pixels that equal those to their left. Seven screenshots (gb82) have 0.88 and more, of
96 photographs and micrographs all but two less than 0.6. WebP at its most thorough takes longer
than a model, above all on photographs."""

LEVELS = {
    1: Level(_NEVER, _FAST, 6),
    2: Level(_USUAL, _FAST, 6),
    3: Level(_USUAL, _FAST, 6),
    4: Level(_USUAL, _FAST, 6),
    5: Level(_USUAL, packing.THOROUGH, 9),
    6: Level(_OFTEN, packing.THOROUGH, 9),
    7: Level(_ALWAYS, packing.THOROUGH, 9),
    8: Level(_ALWAYS, packing.THOROUGH, 9, True),
    9: Level(_ALWAYS, packing.THOROUGH, 9, True),
}

_SMALL = 1 << 10
"""Pixels of small images."""


_BLOCK = 1 << 20
"""Pixels that are looked at at once."""


@dataclass(frozen=True)
class Choice:
    """The smallest `.idfz` file, its representation, and the sizes of all that were tried."""

    data: bytes
    winner: str
    sizes: Sizes


def smallest(
    picture: Picture,
    source: bytes | None,
    model: Model | None,
    effort: Effort,
    level: int = models.DEFAULT_LEVEL,
    progress: Progress | None = None,
    embed: bool = False,
    progressive: bool = False,
) -> Choice:
    """Return the smallest file that holds a picture; `source` is the file it was read from.

    `model`, `embed` and `progressive` are as in `idfz.compress`; a model that is given, or a
    progressive one, is taken unless the source is smaller. Raises errors as that does.
    """
    parts = plan(picture, model, level, progressive)
    coded = tiling.encode(picture.pixels, parts, effort, progress, progressive)
    makers: dict[str, Callable[[Sizes | None], bytes]] = {
        "models": lambda sizes: idfz.assemble(picture, coded, parts, embed, sizes)
    }
    if source is not None:
        makers["source"] = lambda sizes: idfz.store(source, picture.format, sizes)
    if model is None and not progressive:
        for name, data in _packed(picture, parts, LEVELS[level]).items():
            makers[name] = functools.partial(idfz.pack, picture, name, data)
    sizes = {name: len(make(None)) for name, make in makers.items()}
    winner = min(sizes, key=lambda name: sizes[name])
    telling = winner != "models" or len(coded.tiles) > 1  # one tile has the least around it
    data = makers[winner](sizes if telling else None)
    if any(len(data) > size for name, size in sizes.items() if name != winner):
        data = makers[winner](None)  # what is told would take more than was won
    return Choice(data, winner, sizes)


def _packed(picture: Picture, parts: Sequence[Part], level: Level) -> dict[str, bytes]:
    """Return the files of other codecs that hold the samples, as far as they are worth trying."""
    pixels, kind = picture.pixels, picture.kind
    small = pixels.shape[0] * pixels.shape[1] <= _SMALL
    no_model = not any(part.models for part in parts)
    flat = flat_share(pixels) >= level.share
    if not (flat or small or no_model):
        return {}
    categories = any(part.group.content == Content.INDEX for part in parts)
    thorough = flat and (not categories or level.share == _ALWAYS)
    webp = packing.webp(pixels, kind, level.webp if thorough else _FAST)
    found = {"webp": webp}
    if webp is None or small or level.all_png:
        found["png"] = packing.as_png(pixels, kind, level.png)
    return {name: data for name, data in found.items() if data is not None}


def flat_share(pixels: Pixels) -> float:
    """Return the share of pixels that equal those to their left."""
    if pixels.shape[1] == 1:
        pixels = pixels.swapaxes(0, 1)
    rows = max(1, _BLOCK // pixels.shape[1])
    blocks = [pixels[i : i + rows] for i in range(0, len(pixels), rows)]
    same: int = sum(int((b[:, 1:] == b[:, :-1]).all(axis=2).sum()) for b in blocks)
    return float(same / max(1, pixels.shape[0] * (pixels.shape[1] - 1)))
