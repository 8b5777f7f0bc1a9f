"""Training the three networks of the progressive codec: pixels of many images, as it sees them.

Samples come in threes, a pixel of each phase, so that every batch feeds all networks alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor, nn

from idfzip.codecs.flagship import Learning
from idfzip.codecs.lattice import VALUES, Lattice
from idfzip.flows import colour, context, lattice
from idfzip.flows.lattice import PHASES, Design, Group, Planes
from idfzip.images import picture
from idfzip.integer.network import ERROR_INPUTS
from idfzip.integer.twin import Twin, TwinNetwork
from idfzip.priors import mixture
from idfzip.training import batch, pixels, samples
from idfzip.training.batch import Batch, Store
from idfzip.training.folder import Source
from idfzip.training.freeze import freeze_network, thaw
from idfzip.training.recipe import LatticeRecipe
from idfzip.training.rounds import Rounds
from idfzip.training.samples import Samples

_THREADS = 2


class LatticeTwin(Twin):
    """A `TwinNetwork` for each phase; takes rows in threes, one of each phase."""

    def __init__(self, nets: Sequence[TwinNetwork]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, inputs: Tensor, extras: list[Tensor]) -> list[Tensor]:
        """Return each channel's sums, as `TwinNetwork.forward`."""
        step = len(PHASES)
        found = [
            net(inputs[p::step], [extra[p::step] for extra in extras])
            for p, net in enumerate(self.nets)
        ]
        return [torch.stack(sums, 1).flatten(0, 1) for sums in zip(*found, strict=True)]


class Lattices:
    """Batches of pixels, drawn at random; a `Task`, as `idfzip.training.pixels.Pixels`."""

    unit = "bits per subpixel"

    def __init__(
        self,
        recipe: LatticeRecipe,
        design: Design,
        training: Sequence[Source],
        held_out: Sequence[Source],
        seed: int,
        device: torch.device,
        start: LatticeTwin | None = None,
        learning: Learning | None = None,
    ) -> None:
        self._recipe, self.pixels = recipe, recipe.rows
        self._learning = recipe.learning if learning is None else learning
        self._design, self._seed, self._device, self._start = design, seed, device, start
        self._channels = held_out[0].shape[2]
        many = sum(s.shape[0] * s.shape[1] for s in held_out)
        share = min(1.0, pixels.CHECKED / many)
        self._checked = self._look([s.read for s in held_out], share, seed, False)
        self.rounds = Rounds(self._look, training, recipe.mirrored, seed)

    @property
    def recipe(self) -> LatticeRecipe:
        """How it is trained."""
        return self._recipe

    def network(self) -> LatticeTwin:
        """Return the network to begin with: the one to go on from, or a fresh one."""
        if self._start is not None:
            return self._start.to(self._device)
        recipe, design = self._recipe, self._design
        sizes = (design.neighbours.shape[1], design.places.shape[1], self._channels)
        shape = (self._channels, recipe.hidden, recipe.head, recipe.mixture, ERROR_INPUTS)
        nets = [TwinNetwork(lattice.width(*sizes), *shape) for _ in PHASES]
        return LatticeTwin(nets).to(self._device)

    def batch(self, step: int, part: int, parts: int) -> Batch:
        """Return part `part` of `parts` of the pixels of a step."""
        held = self.rounds.at(step)
        rng = np.random.default_rng((self._seed, step))
        count = self._recipe.rows // len(PHASES)
        threes = rng.integers(0, len(held.inputs) // len(PHASES), count * parts)
        mine = threes[part * count : (part + 1) * count]
        rows = (mine[:, None] * len(PHASES) + np.arange(len(PHASES))).ravel()
        return batch.take(held, torch.from_numpy(rows).to(self._device))

    def bits(self, network: LatticeTwin, batch_: Batch) -> Tensor:
        """Return the mean bits per subpixel of a batch."""
        return batch.bits(network, batch_).mean()

    def evaluate(self, network: LatticeTwin) -> float:
        """Return the mean bits per subpixel of the held-out pixels."""
        return pixels.evaluate(network, self._checked)

    def facts(self, network: LatticeTwin) -> dict[str, float]:
        """Return nothing: the bits are all there is to know."""
        return {}

    def freeze(self, network: LatticeTwin) -> Lattice:
        """Return the model of a network."""
        return freeze_lattice(self._design, network, self._learning)

    def _look(
        self,
        images: Sequence[Callable[[], picture.Pixels]],
        share: float,
        seed: int,
        mirrored: bool,
    ) -> Store:
        """Return samples of images, on the device."""
        return batch.store(gather(self._design, images, share, seed, mirrored), self._device)


def observe(design: Design, planes: Planes, share: float, rng: np.random.Generator) -> Samples:
    """Return a random share of the pixels of one image's planes, int32 (C, height, width)."""
    channels, height, width = planes.shape
    inputs = lattice.width(design.neighbours.shape[1], design.places.shape[1], channels)
    most = -(-height // 2) * -(-width // 2)
    group = Group(
        np.zeros((most, inputs), np.float32),
        *(np.zeros((most, channels), np.int32) for _ in range(3)),
    )
    level = lattice.start(channels)
    level.planes[:, 0, 0] = planes[:, 0, 0]
    parts = [[_kept(group, np.arange(0))] for _ in PHASES]
    for bits in reversed(range(lattice.levels(height, width))):
        level = lattice.finer(level, bits, height, width)
        for phase, place in enumerate(PHASES):
            count = lattice.watch(design, level, phase, *place, planes, group)
            parts[phase].append(_kept(group, np.flatnonzero(rng.random(count) < share)))
    return _threes([samples.join(part) for part in parts])


def _kept(group: Group, rows: np.ndarray) -> Samples:
    values = group.values[rows]
    low = -values[:, :1] * (np.arange(values.shape[1]) > 0)
    means = 64 * np.clip(group.bases[rows], low, low + VALUES - 1)
    return Samples(
        group.inputs[rows].astype(np.int16),
        group.scales[rows].astype(np.int8),
        means.astype(np.int32),
        np.zeros((len(rows), 0), np.int32),
        values.astype(np.int16),
    )


def _threes(parts: Sequence[Samples]) -> Samples:
    """Return as many samples of each phase, a row of each in turn."""
    count = min(len(part) for part in parts)

    def turned(name: str) -> np.ndarray:
        columns = [getattr(part, name)[:count] for part in parts]
        stacked = np.stack(columns, 1)
        return stacked.reshape(count * len(PHASES), *stacked.shape[2:])

    return Samples(*(turned(field.name) for field in fields(Samples)))


def gather(
    design: Design,
    images: Sequence[Callable[[], picture.Pixels]],
    share: float,
    seed: int,
    mirrored: bool = False,
) -> Samples:
    """Return the samples of many images, and of their mirror images, as `samples.gather`."""

    def one(job: int) -> Samples:
        found = images[job // (1 + mirrored)]()
        turned = found[:, ::-1] if mirrored and job % 2 else found
        planes = colour.forward(np.ascontiguousarray(turned))
        return observe(design, planes, share, np.random.default_rng((seed, job)))

    with ThreadPoolExecutor(_THREADS) as pool:
        return samples.join(list(pool.map(one, range(len(images) * (1 + mirrored)))))


def freeze_lattice(design: Design, twin: LatticeTwin, learning: Learning) -> Lattice:
    """Return the model of a design and a twin; raises ModelError where a bound does not hold."""
    nets = tuple(freeze_network(net) for net in twin.nets if isinstance(net, TwinNetwork))
    return Lattice(design, nets, mixture.tables(context.SCALES), learning)


def thaw_lattice(model: Lattice) -> LatticeTwin:
    """Return the twin of a model, on its grids."""
    return LatticeTwin([thaw(network) for network in model.networks])
