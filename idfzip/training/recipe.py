"""Recipes: what a model looks at, how large it is, how it is trained.

A recipe is `FlagshipRecipe`, `IdfRecipe`, `IndexedRecipe`, `LatticeRecipe`, `BitswapRecipe` or one
of the painters' below, whose fields are the keys of a file (`idfzip.training.recipe_file`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from idfzip.codecs.flagship import Learning
from idfzip.container.bitswap_file import MAX_LEVELS
from idfzip.container.flagship_file import MAX_EVERY, MAX_RATE
from idfzip.flows import context, lattice
from idfzip.flows.autoregressive import Design
from idfzip.flows.lattice import CORNERS, REACH
from idfzip.integer.log2 import log2_table
from idfzip.priors.codes import MOST
from idfzip.training.adversary import HINGE, LOSSES
from idfzip.training.bitswap import BitswapShape
from idfzip.training.idf import PERMUTATIONS, IdfShape
from idfzip.training.keys import key, list_of, number, offset, one_of, text, whole, yes_or_no
from idfzip.training.latents import BINARY, GUMBEL, NEAREST
from idfzip.training.vqvae import VqvaeShape

_PLACES = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
"""Where the network sees the expert's errors: W, N, NW, NE, WW, NN."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all recipes say of training.

    `rate` the highest rate of AdamW, `decay` its weight decay, `average` how slowly the averaged
    weights follow, `float_share` the part of the training before the grids are switched on,
    `mirrored` whether mirror images are used as well.
    """

    rate: float = key(number(1e-6, 1), default=2e-3)
    decay: float = key(number(0, 1), default=0.02)
    average: float = key(number(0, 0.999999), default=0.9995)
    float_share: float = key(number(0, 1), default=0.25)
    mirrored: bool = key(yes_or_no, default=True)


@dataclass(frozen=True, kw_only=True)
class FlagshipRecipe(Recipe):
    """A model of the autoregressive codec.

    `regressors` (channel, dy, dx) are the expert's neighbours, `neighbours` (dy, dx) those whose
    differences the network sees, `ridge` the expert's; `hidden` the trunk's widths, `head` that of
    each channel's head, `mixture` the number of logistics; `rows` the pixels of a training step.
    While coding, the network learns with `learning_rate` in 2**-20 (0: not at all), except for
    its first `learning_frozen` layers, from one of `learning_every` periods. With a `painter`, a
    lossy model, it looks at what that paints: for `compress --lossy-first`.
    """

    regressors: tuple[tuple[int, ...], ...] = key(list_of(offset(3), 1, 48))
    neighbours: tuple[tuple[int, ...], ...] = key(list_of(offset(2), 1, 40))
    hidden: tuple[int, ...] = key(list_of(whole(1, 1024), 1, 8))
    head: int = key(whole(1, 256), default=32)
    mixture: int = key(whole(1, 16), default=4)
    ridge: int = key(whole(1, 4096), default=16)
    rows: int = key(whole(16, 1 << 20), default=6144)
    learning_rate: int = key(whole(0, MAX_RATE), default=0)
    learning_frozen: int = key(whole(0, 8), default=0)
    learning_every: int = key(whole(1, MAX_EVERY), default=1)
    painter: str = key(text, default="")

    @property
    def design(self) -> Design:
        """What the flow looks at."""
        return Design(
            np.array(self.regressors, np.int64),
            np.array(self.neighbours, np.int64),
            np.array(_PLACES, np.int64),
            np.array([self.ridge], np.int64),
            context.Tables(log2_table(), context.gain_table()),
        )

    @property
    def learning(self) -> Learning:
        """How the network follows an image."""
        frozen = min(self.learning_frozen, len(self.hidden))
        return Learning(self.learning_rate, frozen, self.learning_every)


@dataclass(frozen=True, kw_only=True)
class IdfRecipe(Recipe):
    """A model of the bipartite codec; the first keys are those of `IdfShape`.

    A training step sees `images` crops of `crop` x `crop` pixels.
    """

    levels: int = key(whole(1, 6))
    couplings: int = key(whole(0, 64))
    depth: int = key(whole(1, 64))
    growth: int = key(whole(1, 512))
    mixture: int = key(whole(1, 16), default=5)
    permutation: str = key(one_of(PERMUTATIONS), default="random")
    rezero: bool = key(yes_or_no, default=False)
    split: float = key(number(0.1, 0.9), default=0.75)
    crop: int = key(whole(4, 1024), default=32)
    images: int = key(whole(1, 4096), default=64)

    @property
    def shape(self) -> IdfShape:
        """The sizes of the network."""
        return IdfShape(**{f.name: getattr(self, f.name) for f in fields(IdfShape)})


@dataclass(frozen=True, kw_only=True)
class IndexedRecipe:
    """A model of categories, which learns by coding.

    `passes` over all images, of which parts of `crop` x `crop` pixels are seen (16 times as many
    of bilevel ones); `trust` bounds how slowly the model's counters move in an image at first.
    """

    passes: int = key(whole(1, 1000), default=2)
    crop: int = key(whole(16, 4096), default=160)
    trust: int = key(whole(1, 255), default=30)


@dataclass(frozen=True, kw_only=True)
class LatticeRecipe(Recipe):
    """A model of the progressive codec; keys as of `FlagshipRecipe`.

    `neighbours` and `places`, of errors, are lists for each of the three phases, of one length.
    """

    neighbours: tuple[tuple[tuple[int, ...], ...], ...] = key(
        list_of(list_of(list_of(whole(-REACH, REACH), 2, 2), CORNERS, 40), 3, 3)
    )
    places: tuple[tuple[tuple[int, ...], ...], ...] = key(
        list_of(list_of(list_of(whole(-REACH, REACH), 2, 2), 1, 40), 3, 3)
    )
    hidden: tuple[int, ...] = key(list_of(whole(1, 1024), 1, 8))
    head: int = key(whole(1, 256), default=32)
    mixture: int = key(whole(1, 16), default=4)
    rows: int = key(whole(16, 1 << 20), default=6144)
    learning_rate: int = key(whole(0, MAX_RATE), default=0)
    learning_frozen: int = key(whole(0, 8), default=0)
    learning_every: int = key(whole(1, MAX_EVERY), default=1)

    @property
    def design(self) -> lattice.Design:
        """What the networks look at."""
        tables = context.Tables(log2_table(), context.gain_table())
        return lattice.Design(
            np.array(self.neighbours, np.int64), np.array(self.places, np.int64), tables
        )

    @property
    def learning(self) -> Learning:
        """How the networks follow an image."""
        frozen = min(self.learning_frozen, len(self.hidden))
        return Learning(self.learning_rate, frozen, self.learning_every)


@dataclass(frozen=True, kw_only=True)
class PainterRecipe(Recipe, ABC):
    """A model of the lossy codec; the first keys are those of `VqvaeShape`.

    The loss is `fidelity` times the squared error of pictures in [0, 1], `similarity` times their
    structural dissimilarity (`idfzip.training.similarity`), `likelihood` times the codes' bits a
    pixel, and what the kind of codes adds. A training step sees `images` crops of `crop` x `crop`
    pixels.
    """

    latents: ClassVar[str]

    stages: tuple[int, ...] = key(list_of(whole(1, 16), 1, 4))
    entries: int = key(whole(2, MOST), default=256)
    size: int = key(whole(1, 256), default=16)
    width: int = key(whole(8, 512), default=96)
    depth: int = key(whole(1, 16), default=2)
    context: int = key(whole(1, 256), default=32)
    hidden: int = key(whole(1, 512), default=64)
    fidelity: float = key(number(0, 1000), default=20.0)
    similarity: float = key(number(0, 1000), default=1.0)
    likelihood: float = key(number(0, 100), default=1.0)
    crop: int = key(whole(16, 1024), default=128)
    images: int = key(whole(1, 4096), default=4)

    @property
    def shape(self) -> VqvaeShape:
        """The sizes of the networks."""
        return VqvaeShape(**{f.name: getattr(self, f.name) for f in fields(VqvaeShape)})

    @property
    def stride(self) -> int:
        """The side of the squares that a code of the coarsest level stands for."""
        return 8 << (len(self.stages) - 1)

    @property
    @abstractmethod
    def weight(self) -> float:
        """The weight of what keeps the encoder near its codes."""


@dataclass(frozen=True, kw_only=True)
class VqvaeRecipe(PainterRecipe):
    """Vector quantisation; `commitment` weighs what codes leave."""

    latents = NEAREST
    commitment: float = key(number(0, 100), default=0.05)

    @property
    def weight(self) -> float:
        """As of `PainterRecipe`."""
        return self.commitment


@dataclass(frozen=True, kw_only=True)
class VqganRecipe(VqvaeRecipe):
    """Vector quantisation against an adversary (`idfzip.training.adversary`).

    `loss` is the contest's, `adversary` its weight where both losses have equal slopes, `matching`
    that of features. The painter hears of the adversary after the first `silent` steps.
    """

    loss: str = key(one_of(LOSSES), default=HINGE)
    adversary: float = key(number(0, 10), default=0.8)
    matching: float = key(number(0, 100), default=1.0)
    silent: int = key(whole(0, 1 << 20), default=200)


@dataclass(frozen=True, kw_only=True)
class DvaeRecipe(PainterRecipe):
    """Codes drawn by Gumbel-softmax; `divergence` weighs theirs from uniform ones, in nats."""

    latents = GUMBEL
    divergence: float = key(number(0, 100), default=0.01)

    @property
    def weight(self) -> float:
        """As of `PainterRecipe`."""
        return self.divergence


@dataclass(frozen=True, kw_only=True)
class NvilRecipe(PainterRecipe):
    """Codes of `size` drawn bits that learn by NVIL; `divergence` as of `DvaeRecipe`."""

    latents = BINARY
    divergence: float = key(number(0, 100), default=0.01)

    @property
    def weight(self) -> float:
        """As of `PainterRecipe`."""
        return self.divergence


@dataclass(frozen=True, kw_only=True)
class BitswapRecipe(Recipe):
    """A model of the bits-back codec; the first keys are those of `BitswapShape`.

    A training step sees `images` crops of `crop` x `crop` pixels.
    """

    latents: tuple[int, ...] = key(list_of(whole(1, 64), 1, MAX_LEVELS))
    width: int = key(whole(8, 512), default=64)
    depth: int = key(whole(0, 16), default=2)
    mixture: int = key(whole(1, 16), default=2)
    crop: int = key(whole(2, 1024), default=32)
    images: int = key(whole(1, 4096), default=16)

    @property
    def shape(self) -> BitswapShape:
        """The sizes of the networks."""
        return BitswapShape(**{f.name: getattr(self, f.name) for f in fields(BitswapShape)})

    @property
    def stride(self) -> int:
        """The side of the squares that a coarsest latent stands for."""
        return 1 << len(self.latents)


AnyRecipe = FlagshipRecipe | IdfRecipe | LatticeRecipe | PainterRecipe | BitswapRecipe
"""A recipe of networks."""


def fine_tuning(recipe: AnyRecipe) -> AnyRecipe:
    """Return a recipe for going on from a trained model: slower, and on the grids throughout."""
    return replace(recipe, rate=recipe.rate / 4, float_share=0.0, average=0.998)
