"""Which models fit which groups of planes, and what then codes them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from idfzip.codecs import vqvae
from idfzip.codecs.flagship import Flagship
from idfzip.codecs.indexed import Indexed, Palette
from idfzip.codecs.lossy_first import LossyFirst
from idfzip.codecs.painter import Vqvae
from idfzip.container import header
from idfzip.container.architecture import Codec
from idfzip.container.groups import Content, Group
from idfzip.container.header import Tile
from idfzip.container.model_file import Model
from idfzip.container.tensors import Tensors
from idfzip.errors import FormatError
from idfzip.flows.depth import Ladder


def codes(model: Model, group: Group, ladder: Ladder) -> bool:
    """Return whether a model codes such a group; one that no model codes has raw tiles."""
    architecture = model.architecture
    if (group.content == Content.INDEX) != architecture.categories:
        return False
    if isinstance(model.codec, Flagship) and model.codec.looks:
        return False
    fits = model.codec.channels == group.channels
    if architecture.lossy:  # a model of colour paints grey as colours that are grey
        fits = model.codec.channels >= group.channels
    return fits and len(ladder) <= architecture.alphabets[1]


def alphabet(model: Model, ladder: Ladder) -> int:
    """Return of how many values a model takes the numbers of a ladder to be."""
    return max(len(ladder), model.architecture.alphabets[0])


def primed(codec: Codec, palette: Palette | None, ladder: Ladder) -> Codec:
    """Return the codec of categories with the colours of a ladder's values, any other as it is."""
    if palette is None or not isinstance(codec, Indexed) or ladder.values[-1] >= len(palette):
        return codec
    return codec.with_palette(palette[ladder.values])


def check(rows: Sequence[Tile], models: Sequence[Model], group: Group, ladder: Ladder) -> None:
    """Raise FormatError unless each tile's model is of its codec and codes its group."""
    for row in {replace(row, length=0, crc=0) for row in rows if row.codec}:
        model = models[row.model]
        if row.codec == header.LOSSY_FIRST:
            if painted(models, row).codec.channels != group.channels or len(ladder) != vqvae.VALUES:
                raise FormatError(f"model {model.name} does not code {group.content.value}")
            continue
        if model.architecture.number != row.codec:
            raise FormatError(f"model {model.name} is not of the codec that its tiles name")
        if not codes(model, group, ladder):
            raise FormatError(
                f"model {model.name} codes {model.codec.channels} channels, and not "
                f"{group.content.value} of {len(ladder)} values"
            )


@dataclass(frozen=True)
class Pair:
    """The models of lossy-first tiles, and what they code with."""

    rest: Model
    painter: Model
    codec: LossyFirst

    @property
    def identity(self) -> str:
        """The hash of both identities."""
        return hashlib.sha256(f"{self.rest.identity} {self.painter.identity}".encode()).hexdigest()

    @property
    def tests(self) -> tuple[Tensors, ...]:
        """The self-tests of both."""
        return self.rest.test, self.painter.test


def painted(models: Sequence[Model], row: Tile) -> Pair:
    """Return what codes a lossy-first tile; raises FormatError where its models are others."""
    painter, rest = models[row.painter], models[row.model]
    if not isinstance(painter.codec, Vqvae) or not isinstance(rest.codec, Flagship):
        raise FormatError(
            f"models {painter.name} and {rest.name} are not of the codec that their tiles name"
        )
    return Pair(rest, painter, LossyFirst(painter.codec, rest.codec))
