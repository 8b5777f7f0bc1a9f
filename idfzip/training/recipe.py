"""Recipes: what a model looks at, how large it is, how it is trained. Strict TOML.

A recipe is a file with the keys of `FlagshipRecipe`, `IdfRecipe`, `IndexedRecipe`,
`LatticeRecipe`, `BitswapRecipe` or one of the painters' below, `architecture` first, and a table
`[grey]` of those that differ for grey images. A key that is not known, or a value that cannot be,
is an error that names it. The package ships those in `idfzip/training/recipes`.
"""

from __future__ import annotations

import tomllib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from idfzip.codecs.flagship import Learning
from idfzip.container.bitswap_file import MAX_LEVELS
from idfzip.container.flagship_file import MAX_EVERY, MAX_RATE
from idfzip.errors import TrainingError
from idfzip.flows import context, lattice
from idfzip.flows.autoregressive import Design
from idfzip.flows.lattice import CORNERS, REACH
from idfzip.flows.wavefront import is_causal
from idfzip.integer.log2 import log2_table
from idfzip.priors.codes import MOST
from idfzip.training.adversary import HINGE, LOSSES
from idfzip.training.bitswap import BitswapShape
from idfzip.training.idf import PERMUTATIONS, IdfShape
from idfzip.training.latents import BINARY, GUMBEL, NEAREST
from idfzip.training.vqvae import VqvaeShape

FOLDER = Path(__file__).parent / "recipes"

Check = Callable[[Any], Any]
_PLACES = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
"""Where the network sees the expert's errors: W, N, NW, NE, WW, NN."""


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("a number expected")
        if not low <= value <= high:
            raise ValueError(f"between {low:g} and {high:g} expected")
        return float(value)

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"a whole number between {low} and {high} expected")
        return value

    return check


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false expected")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text expected")
    return value


def _one_of(names: tuple[str, ...]) -> Check:
    def check(value: Any) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)} expected")
        return str(value)

    return check


def _list(each: Check, low: int, high: int) -> Check:
    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not low <= len(value) <= high:
            raise ValueError(f"a list of {low} to {high} entries expected")
        return tuple(each(entry) for entry in value)

    return check


def _offset(length: int) -> Check:
    def check(value: Any) -> tuple[int, ...]:
        found: tuple[int, ...] = _list(_whole(-4, 4), length, length)(value)
        if not is_causal(*found[-2:]):
            raise ValueError(f"{list(found)}: a pixel that is coded earlier expected")
        return found

    return check


def _key(check: Check, **options: Any) -> Any:
    return field(metadata={"check": check}, **options)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all recipes say of training.

    `rate` the highest rate of AdamW, `decay` its weight decay, `average` how slowly the averaged
    weights follow, `float_share` the part of the training before the grids are switched on,
    `mirrored` whether mirror images are used as well.
    """

    rate: float = _key(_number(1e-6, 1), default=2e-3)
    decay: float = _key(_number(0, 1), default=0.02)
    average: float = _key(_number(0, 0.999999), default=0.9995)
    float_share: float = _key(_number(0, 1), default=0.25)
    mirrored: bool = _key(_yes_or_no, default=True)


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

    regressors: tuple[tuple[int, ...], ...] = _key(_list(_offset(3), 1, 48))
    neighbours: tuple[tuple[int, ...], ...] = _key(_list(_offset(2), 1, 40))
    hidden: tuple[int, ...] = _key(_list(_whole(1, 1024), 1, 8))
    head: int = _key(_whole(1, 256), default=32)
    mixture: int = _key(_whole(1, 16), default=4)
    ridge: int = _key(_whole(1, 4096), default=16)
    rows: int = _key(_whole(16, 1 << 20), default=6144)
    learning_rate: int = _key(_whole(0, MAX_RATE), default=0)
    learning_frozen: int = _key(_whole(0, 8), default=0)
    learning_every: int = _key(_whole(1, MAX_EVERY), default=1)
    painter: str = _key(_text, default="")

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

    levels: int = _key(_whole(1, 6))
    couplings: int = _key(_whole(0, 64))
    depth: int = _key(_whole(1, 64))
    growth: int = _key(_whole(1, 512))
    mixture: int = _key(_whole(1, 16), default=5)
    permutation: str = _key(_one_of(PERMUTATIONS), default="random")
    rezero: bool = _key(_yes_or_no, default=False)
    split: float = _key(_number(0.1, 0.9), default=0.75)
    crop: int = _key(_whole(4, 1024), default=32)
    images: int = _key(_whole(1, 4096), default=64)

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

    passes: int = _key(_whole(1, 1000), default=2)
    crop: int = _key(_whole(16, 4096), default=160)
    trust: int = _key(_whole(1, 255), default=30)


@dataclass(frozen=True, kw_only=True)
class LatticeRecipe(Recipe):
    """A model of the progressive codec; keys as of `FlagshipRecipe`.

    `neighbours` and `places`, of errors, are lists for each of the three phases, of one length.
    """

    neighbours: tuple[tuple[tuple[int, ...], ...], ...] = _key(
        _list(_list(_list(_whole(-REACH, REACH), 2, 2), CORNERS, 40), 3, 3)
    )
    places: tuple[tuple[tuple[int, ...], ...], ...] = _key(
        _list(_list(_list(_whole(-REACH, REACH), 2, 2), 1, 40), 3, 3)
    )
    hidden: tuple[int, ...] = _key(_list(_whole(1, 1024), 1, 8))
    head: int = _key(_whole(1, 256), default=32)
    mixture: int = _key(_whole(1, 16), default=4)
    rows: int = _key(_whole(16, 1 << 20), default=6144)
    learning_rate: int = _key(_whole(0, MAX_RATE), default=0)
    learning_frozen: int = _key(_whole(0, 8), default=0)
    learning_every: int = _key(_whole(1, MAX_EVERY), default=1)

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

    stages: tuple[int, ...] = _key(_list(_whole(1, 16), 1, 4))
    entries: int = _key(_whole(2, MOST), default=256)
    size: int = _key(_whole(1, 256), default=16)
    width: int = _key(_whole(8, 512), default=96)
    depth: int = _key(_whole(1, 16), default=2)
    context: int = _key(_whole(1, 256), default=32)
    hidden: int = _key(_whole(1, 512), default=64)
    fidelity: float = _key(_number(0, 1000), default=20.0)
    similarity: float = _key(_number(0, 1000), default=1.0)
    likelihood: float = _key(_number(0, 100), default=1.0)
    crop: int = _key(_whole(16, 1024), default=128)
    images: int = _key(_whole(1, 4096), default=4)

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
    commitment: float = _key(_number(0, 100), default=0.05)

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

    loss: str = _key(_one_of(LOSSES), default=HINGE)
    adversary: float = _key(_number(0, 10), default=0.8)
    matching: float = _key(_number(0, 100), default=1.0)
    silent: int = _key(_whole(0, 1 << 20), default=200)


@dataclass(frozen=True, kw_only=True)
class DvaeRecipe(PainterRecipe):
    """Codes drawn by Gumbel-softmax; `divergence` weighs theirs from uniform ones, in nats."""

    latents = GUMBEL
    divergence: float = _key(_number(0, 100), default=0.01)

    @property
    def weight(self) -> float:
        """As of `PainterRecipe`."""
        return self.divergence


@dataclass(frozen=True, kw_only=True)
class NvilRecipe(PainterRecipe):
    """Codes of `size` drawn bits that learn by NVIL; `divergence` as of `DvaeRecipe`."""

    latents = BINARY
    divergence: float = _key(_number(0, 100), default=0.01)

    @property
    def weight(self) -> float:
        """As of `PainterRecipe`."""
        return self.divergence


@dataclass(frozen=True, kw_only=True)
class BitswapRecipe(Recipe):
    """A model of the bits-back codec; the first keys are those of `BitswapShape`.

    A training step sees `images` crops of `crop` x `crop` pixels.
    """

    latents: tuple[int, ...] = _key(_list(_whole(1, 64), 1, MAX_LEVELS))
    width: int = _key(_whole(8, 512), default=64)
    depth: int = _key(_whole(0, 16), default=2)
    mixture: int = _key(_whole(1, 16), default=2)
    crop: int = _key(_whole(2, 1024), default=32)
    images: int = _key(_whole(1, 4096), default=16)

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

_ARCHITECTURES: dict[str, type[AnyRecipe | IndexedRecipe]] = {
    "bitswap": BitswapRecipe,
    "flagship": FlagshipRecipe,
    "idf": IdfRecipe,
    "indexed": IndexedRecipe,
    "lattice": LatticeRecipe,
    "vqvae": VqvaeRecipe,
    "vqgan": VqganRecipe,
    "dvae": DvaeRecipe,
    "nvil": NvilRecipe,
}


def shipped() -> list[str]:
    """Return the names of the recipes in the package."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def read(name: str, channels: int) -> AnyRecipe:
    """Return the recipe of a name or a file, for images of 1 or 3 channels.

    Raises TrainingError that names the key where something is wrong.
    """
    recipe = _read(name, channels)
    if isinstance(recipe, IndexedRecipe):
        raise TrainingError(f"recipe {name}: images of palettes or of one bit a pixel expected")
    return recipe


def read_indexed(name: str) -> IndexedRecipe | None:
    """Return the recipe of a name or a file, None where it is for values that are no categories."""
    recipe = _read(name, 3)
    return recipe if isinstance(recipe, IndexedRecipe) else None


def _read(name: str, channels: int) -> AnyRecipe | IndexedRecipe:
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(shipped())
        raise TrainingError(f"recipe {name}: no such file or name (shipped: {known})") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrainingError(f"recipe {name}: {error}") from None
    kind = _ARCHITECTURES.get(str(table.pop("architecture", "")))
    if kind is None:
        known = ", ".join(_ARCHITECTURES)
        raise TrainingError(f"recipe {name}: architecture: one of {known} expected")
    grey = table.pop("grey", {})
    if not isinstance(grey, dict):
        raise TrainingError(f"recipe {name}: grey: a table expected")
    values = _checked(kind, table, f"recipe {name}")
    if channels == 1:
        values |= _checked(kind, grey, f"recipe {name}: grey")
    missing = [f.name for f in fields(kind) if f.name not in values and _is_needed(f)]
    if missing:
        raise TrainingError(f"recipe {name}: {missing[0]} is missing")
    recipe = kind(**values)
    if isinstance(recipe, NvilRecipe) and (
        len(recipe.stages) > 1 or recipe.entries != 1 << recipe.size
    ):
        raise TrainingError(f"recipe {name}: one level of codes of 2**size entries expected")
    if isinstance(recipe, FlagshipRecipe) and any(r[0] >= channels for r in recipe.regressors):
        raise TrainingError(
            f"recipe {name}: regressors: images of {channels} channels have no such"
        )
    return recipe


def _is_needed(entry: Any) -> bool:
    return entry.default is entry.default_factory  # both are MISSING


def _checked(kind: type[Any], table: dict[str, Any], source: str) -> dict[str, Any]:
    checks = {f.name: f.metadata["check"] for f in fields(kind)}
    found = {}
    for key, value in table.items():
        if key not in checks:
            known = ", ".join(sorted(checks))
            raise TrainingError(f"{source}: {key} is not a key of recipes (known: {known})")
        try:
            found[key] = checks[key](value)
        except ValueError as error:
            raise TrainingError(f"{source}: {key} = {value!r:.40}: {error}") from None
    return found


def fine_tuning(recipe: AnyRecipe) -> AnyRecipe:
    """Return a recipe for going on from a trained model: slower, and on the grids throughout."""
    return replace(recipe, rate=recipe.rate / 4, float_share=0.0, average=0.998)
