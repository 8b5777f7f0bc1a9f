"""What is coded of a picture, and by which models: a part for each group of planes."""

from __future__ import annotations

from dataclasses import dataclass

from idfzip.codecs.flagship import Flagship
from idfzip.codecs.indexed import Palette
from idfzip.container import fit, groups, models, palette
from idfzip.container.groups import Group
from idfzip.container.model_file import Model
from idfzip.errors import ModelError, UnsupportedImage
from idfzip.flows.depth import Ladder
from idfzip.images.picture import Layout, Picture


@dataclass(frozen=True)
class Part:
    """One group of planes to be coded: what it is, its values, the models to try, the palette."""

    group: Group
    ladder: Ladder
    models: tuple[Model, ...] = ()
    palette: Palette | None = None


def plan(
    picture: Picture, model: Model | None, level: int, progressive: bool = False
) -> list[Part]:
    """Return the groups of planes of a picture, their values, and the models to code them.

    `model`, `level` and `progressive` are as in `idfz.compress`; raises errors as that does.
    """
    if model and model.architecture.lossy:
        raise ModelError(f"model {model.name} is lossy: it codes with --lossy only")
    if model and isinstance(model.codec, Flagship) and model.codec.looks:
        raise ModelError(f"model {model.name} codes with --lossy-first only")
    if model and progressive and model.architecture.encode_levels is None:
        raise ModelError(f"model {model.name} has no levels: it cannot code progressively")
    parts = []
    taken, _ = palette.take(picture.metadata)
    colours = taken.palette if taken and picture.kind.layout == Layout.PALETTE else None
    for group in groups.of(picture.kind):
        samples, depth = picture.pixels[:, :, group.place], picture.kind.depth
        found = groups.ladder(group, samples, depth)
        known = [model] if model and fit.codes(model, group, found) else []
        if not known and progressive:
            known = models.progressive(group.content)
        elif not known:
            known = models.released(group.content, level)
        usable = tuple(m for m in known if fit.codes(m, group, found))
        if progressive and not usable:
            raise UnsupportedImage(
                f"{picture.kind}: only grey and colour, with or without alpha, of at most 256 "
                "values a channel can be progressive"
            )
        parts.append(Part(group, found, usable, colours))
    if model and not any(m is model for part in parts for m in part.models):
        raise ModelError(f"model {model.name} codes {_said(model)}, the image is {picture.kind}")
    return parts


def _said(model: Model) -> str:
    """Return what a model codes, in words."""
    if model.architecture.categories:
        return "palettes and bilevel images"
    return "grey" if model.codec.channels == 1 else "colour"
