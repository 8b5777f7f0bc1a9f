"""A flagship's numbers on a device, for an alphabet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from idfzip.codecs import flagship as flagship_kernels
from idfzip.codecs.flagship import Flagship
from idfzip.device import context, expert, mixture
from idfzip.device.context import Tables
from idfzip.device.expert import Solution
from idfzip.device.field import Field, Positions
from idfzip.device.machine import Machine
from idfzip.device.painted import Pictures
from idfzip.device.window import Products
from idfzip.flows import context as contexts
from idfzip.flows.alphabet import Alphabet
from idfzip.flows.autoregressive import Planes
from idfzip.flows.recursion import ONE
from idfzip.priors import mixture as mixtures


@dataclass(frozen=True)
class Model:
    """The model, its tables on a device, and the terms of its expert's sums."""

    machine: Machine
    flagship: Flagship
    alphabet: Alphabet
    tables: Tables
    prior: mixture.Tables
    products: Products
    whole: torch.dtype
    """Of planes and sums: int32, or int64 for more than 256 values."""
    pictures: Pictures | None
    """What the model looks at, of each tile of a batch."""


def model(
    machine: Machine, flagship: Flagship, alphabet: Alphabet, pictures: Sequence[Planes] = ()
) -> Model:
    """Return a model ready for use on a device.

    `pictures` are what one that looks at them sees of each tile, others do not; raises ModelError
    where it lacks them.
    """
    shown = [flagship_kernels.shown(flagship, one) for one in pictures or (None,)]
    seen = [one for one in shown if one is not None]

    def one(array: object) -> Tensor:
        return machine.tensor(array, torch.int64)  # type: ignore[arg-type]

    tables = contexts.deepened(flagship.design.tables, alphabet.deep)
    prior = mixtures.deepened(flagship.prior, alphabet.deep)
    n = len(flagship.design.regressors) + flagship.channels
    return Model(
        machine,
        flagship,
        alphabet,
        Tables(one(tables.log), one(tables.gain)),
        mixture.tables(machine, prior),
        Products(machine, n, flagship.channels, alphabet.limit),
        torch.int64 if alphabet.deep else torch.int32,
        Pictures(machine, seen, flagship.design.neighbours) if seen else None,
    )


class Views:
    """The planes and the errors of a batch of tiles, and where the model looks in them."""

    def __init__(self, model: Model, tiles: int, rows: int, columns: int) -> None:
        self.model = model
        machine, design = model.machine, model.flagship.design
        shape = (tiles, model.flagship.channels, rows, columns)
        self.planes, self.errors = (Field(machine, *shape, dtype=model.whole) for _ in range(2))
        field = self.planes
        channels = machine.range(model.flagship.channels)[:, None] * field.plane
        found = field.offsets(design.regressors[:, 1:]) + design.regressors[:, 0] * field.plane
        self.regressors = machine.tensor(found)
        self.whose = machine.tensor(design.regressors[:, 0])
        self.neighbour_offsets = channels + machine.tensor(field.offsets(design.neighbours))
        self.place_offsets = channels + machine.tensor(field.offsets(design.places))

    def clear(self) -> None:
        """Begin anew."""
        self.planes.fill(self.model.alphabet.values >> 1)
        self.errors.fill(0)

    def neighbours(self, at: Tensor, bases: Tensor) -> Tensor:
        """Return the neighbours' part of samples, int64 (N, m)."""
        limit = self.model.alphabet.limit
        values = self.planes.look(at, self.regressors)
        return (values - bases[:, self.whose]).clamp(-limit, limit)

    def samples(self, at: Tensor, bases: Tensor) -> Tensor:
        """Return the samples of pixels that are placed, (N, m + C)."""
        limit = self.model.alphabet.limit
        own = (self.planes.values(at) - bases).clamp(-limit, limit)
        return torch.cat([self.neighbours(at, bases), own], 1).to(self.model.whole)

    def products(self, p: Positions, at: Tensor, bases: Tensor) -> Tensor:
        """Return what pixels that are placed add to the window, (N, terms)."""
        pairs = self.model.products.pairs(self.samples(at, bases), p.inside)
        sizes = self.model.products.sizes(self.errors.values(at), p.inside)
        return torch.cat([pairs, sizes.to(pairs.dtype)], 1)

    def solve(self, total: Tensor, at: Tensor, bases: Tensor) -> Solution:
        """Return the expert's solutions of pixels with these windows, (N, count + 1)."""
        model = self.model
        ridge = int(model.flagship.design.ridge[0]) * ONE
        known = self.neighbours(at, bases)
        return expert.solve(total, model.products, known, ridge, model.tables.log)

    def inputs(
        self, p: Positions, at: Tensor, bases: Tensor, wide: Tensor, found: Solution
    ) -> tuple[Tensor, Tensor]:
        """Return the network's inputs and the indices of the pixels' scales."""
        values = self.planes.look(at, self.neighbour_offsets)
        errors = self.errors.look(at, self.place_offsets)
        model = self.model
        seen, scales = context.inputs(
            values, errors, bases, wide, found, model.tables, model.alphabet
        )
        if model.pictures is not None:
            more = model.pictures.inputs(p, values, bases, scales, model.tables)
            seen = torch.cat([seen, more], 1)
        return seen, scales
