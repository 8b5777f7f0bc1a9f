"""One training from beginning to end: images, start, task, loop, and the model file."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idfzip.codecs import vqvae
from idfzip.codecs.bitswap import Bitswap
from idfzip.codecs.flagship import Flagship
from idfzip.codecs.idf import Idf
from idfzip.codecs.lattice import Lattice
from idfzip.codecs.painter import Vqvae
from idfzip.container import lossy, model_file, models
from idfzip.container.model_file import Model
from idfzip.errors import TrainingError
from idfzip.flows import autoregressive
from idfzip.flows.autoregressive import Planes
from idfzip.integer.twin import Twin, TwinNetwork
from idfzip.training import (
    folder,
    freeze,
    freeze_bitswap,
    freeze_idf,
    freeze_vqvae,
    loop,
    recipe_file,
)
from idfzip.training import recipe as recipes
from idfzip.training.adversary import ContestTwin
from idfzip.training.chains import Chains
from idfzip.training.crops import Flows
from idfzip.training.folder import Found, Options, Source
from idfzip.training.group import Group
from idfzip.training.journal import CHECKPOINT, Journal
from idfzip.training.lattice import Lattices, thaw_lattice
from idfzip.training.loop import Keeping, Limit, Report
from idfzip.training.paintings import Contests, Paintings
from idfzip.training.pixels import Pixels
from idfzip.training.recipe import (
    AnyRecipe,
    BitswapRecipe,
    FlagshipRecipe,
    IdfRecipe,
    LatticeRecipe,
    PainterRecipe,
    VqganRecipe,
)
from idfzip.training.samples import Paint
from idfzip.training.task import Task
from idfzip.training.vqvae import VqvaeTwin
from idfzip.training.widen import widen

SCRATCH = "scratch"

_QUALITIES = 15, 61
"""Pictures that are painted for training have these qualities, the last one excluded."""

_KINDS: dict[type, type] = {
    BitswapRecipe: Bitswap,
    FlagshipRecipe: Flagship,
    IdfRecipe: Idf,
    LatticeRecipe: Lattice,
    PainterRecipe: Vqvae,
}
_RECIPES: dict[type, str] = {
    Bitswap: "bitswap",
    Flagship: "default",
    Idf: "idf",
    Lattice: "progressive",
    Vqvae: "vqvae2",
}
"""The recipe by which a model of each codec goes on."""


@dataclass(frozen=True)
class Plan:
    """What to train on what.

    `recipe` is the name or file of one, `origin` a model or `scratch`; without either the released
    model for the images' channels goes on learning, with a recipe alone training begins anew.
    """

    folders: Sequence[Path]
    limit: Limit
    name: str
    validation: Path | None = None
    recipe: str | None = None
    origin: str | None = None
    seed: int = 0
    options: Options = Options()  # noqa: RUF009


@dataclass(frozen=True)
class Prepared:
    """All that is settled before the first step."""

    plan: Plan
    found: Found
    recipe: AnyRecipe
    start: Model | None
    training: Sequence[Source]
    held_out: Sequence[Source]

    @property
    def purpose(self) -> str:
        """A digest of all that decides the outcome but the limit."""
        digest = hashlib.sha256(repr((self.recipe, self.plan.seed, self.plan.name)).encode())
        digest.update((self.start.identity if self.start else SCRATCH).encode())
        painter = getattr(self.recipe, "painter", "")
        digest.update((models.by_name(painter).identity if painter else "").encode())
        for sources in (self.training, self.held_out):
            digest.update(b"%d " % len(sources))
            for source in sources:
                digest.update(source.digest)
        return digest.hexdigest()

    @property
    def card(self) -> str:
        """What the model file says of its making."""
        start = self.start
        origin = f"from {start.name} ({start.identity})" if start else "from scratch"
        size = self.found.pixels / 1e6
        return (
            f"Trained {origin} on {len(self.training)} images by `idfzip train`, "
            f"{len(self.held_out)} held out ({size:.1f} MP in all).\n{self.recipe}\n"
        )


def prepare(plan: Plan) -> Prepared:
    """Return the images, the recipe and the start of a training.

    Raises TrainingError or ModelNotFound where something is missing or does not fit.
    """
    found = folder.read(plan.folders, options=plan.options)
    channels = found.channels
    start = _start(plan, channels)
    recipe = recipe_file.read(plan.recipe or "default", channels)
    if start is not None:
        if plan.recipe is None:
            recipe = recipe_file.read(_RECIPES[type(start.codec)], channels)
        recipe = recipes.fine_tuning(recipe)
        _check_kind(start, recipe)
    if plan.validation:
        held_out = folder.read([plan.validation], channels, plan.options).sources
        return Prepared(plan, found, recipe, start, found.sources, held_out)
    return Prepared(plan, found, recipe, start, *folder.split(found))


def _start(plan: Plan, channels: int) -> Model | None:
    if plan.origin == SCRATCH or (plan.recipe and plan.origin is None):
        return None
    model = models.by_name(plan.origin) if plan.origin else models.usual(channels)
    if type(model.codec) not in _RECIPES:
        raise TrainingError(f"model {model.name} is of categories, which is not gone on from")
    if model.codec.channels != channels:
        raise TrainingError(
            f"model {model.name} codes {model.codec.channels} channels, the images have {channels}"
        )
    return model


def _check_kind(start: Model, recipe: AnyRecipe) -> None:
    if not any(isinstance(recipe, k) and isinstance(start.codec, c) for k, c in _KINDS.items()):
        raise TrainingError(f"model {start.name} is of another architecture than the recipe")


def make_task(prepared: Prepared, group: Group) -> Task[Any, Any]:
    """Return the task of a training: samples gathered, the network to begin with at hand."""
    recipe, codec = prepared.recipe, prepared.start.codec if prepared.start else None
    rest = (prepared.training, prepared.held_out, prepared.plan.seed, group.device)
    if isinstance(recipe, IdfRecipe):
        twin = freeze_idf.thaw_idf(codec) if isinstance(codec, Idf) else None
        return Flows(recipe, *rest, twin)
    if isinstance(recipe, BitswapRecipe):
        chain = freeze_bitswap.thaw_bitswap(codec) if isinstance(codec, Bitswap) else None
        if chain is not None:
            recipe = dataclasses.replace(recipe, **dataclasses.asdict(chain.shape))
        return Chains(recipe, *rest, chain)
    if isinstance(recipe, PainterRecipe):
        return _painter(recipe, prepared, group)
    if isinstance(recipe, LatticeRecipe):
        if not isinstance(codec, Lattice):
            return Lattices(recipe, recipe.design, *rest)
        if prepared.plan.recipe is not None:
            raise TrainingError("a progressive model goes on by its own recipe: leave out --recipe")
        return Lattices(recipe, codec.design, *rest, thaw_lattice(codec), codec.learning)
    paint = _paint(recipe)
    if not isinstance(codec, Flagship):
        return Pixels(recipe, recipe.design, *rest, paint=paint)
    narrow = freeze.thaw(codec.network)
    if prepared.plan.recipe is None:
        if codec.looks:
            raise TrainingError("a model that looks at a lossy picture goes on with its --recipe")
        return Pixels(recipe, codec.design, *rest, narrow, codec.learning)
    inputs = autoregressive.width(codec.design, codec.channels, paint is not None)
    sizes = (inputs, codec.channels, recipe.hidden, recipe.head, recipe.mixture)
    wide = widen(narrow, TwinNetwork(*sizes))
    return Pixels(recipe, codec.design, *rest, wide, paint=paint)


def _paint(recipe: FlagshipRecipe) -> Paint | None:
    """Return what paints pictures of random qualities, None where the network looks at none."""
    if not recipe.painter:
        return None
    painter = models.by_name(recipe.painter).codec
    if not isinstance(painter, Vqvae):
        raise TrainingError(f"painter {recipe.painter}: a lossy model expected")

    def paint(planes: Planes, rng: np.random.Generator) -> Planes:
        quality = int(rng.integers(*_QUALITIES))
        return vqvae.encode_stages(painter, planes, *lossy.plan(painter, quality))[1][: len(planes)]

    return paint


def _painter(recipe: PainterRecipe, prepared: Prepared, group: Group) -> Task[Any, Any]:
    codec = prepared.start.codec if prepared.start else None
    rest = (prepared.training, prepared.held_out, prepared.plan.seed, group.device)
    make = ContestTwin if isinstance(recipe, VqganRecipe) else VqvaeTwin
    twin = None
    if isinstance(codec, Vqvae):
        twin = freeze_vqvae.thaw_vqvae(codec, make, recipe.latents)
        sizes = dataclasses.asdict(twin.shape)
        del sizes["latents"]
        recipe = dataclasses.replace(recipe, **sizes)
    if isinstance(recipe, VqganRecipe):
        return Contests(recipe, *rest, twin)
    return Paintings(recipe, *rest, twin)


def to_file(prepared: Prepared, task: Task[Any, Any], network: Twin) -> bytes:
    """Return the model file of a trained network."""
    return model_file.dump(task.freeze(network), prepared.plan.name, prepared.card)


def run(
    prepared: Prepared,
    task: Task[Any, Any],
    group: Group,
    journal: Journal | None,
    resume: bool,
    report: Callable[[Report], object],
    stopped: Callable[[], bool],
) -> Twin:
    """Train, and keep the journal and checkpoints; return the averaged network."""

    def note(state: Report) -> None:
        if journal is not None and state.held_out is not None:
            journal.note(state)
        report(state)

    keeping = None
    if journal is not None:
        purpose = f"{prepared.purpose} {group.size}"
        keeping = Keeping(journal.folder / CHECKPOINT, purpose, resume)
    trained: Twin = loop.fit(
        task, prepared.plan.limit, group, note, keeping, stopped, seed=prepared.plan.seed
    )
    return trained
