"""A network that learns while coding: its moving weights, gradients and working memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.errors import ModelError
from idfzip.integer import grid
from idfzip.integer.jit import kernel
from idfzip.integer.network import INPUT_LIMIT, Network, Weights
from idfzip.integer.panel import COLUMNS, Floats, room

Vector = npt.NDArray[np.float32]

DELTA_LIMIT = 127
"""Errors that go backwards: whole numbers up to this, in 2**-6."""

REACH = 64
BIAS_REACH = 1 << 14
"""How far a weight or a bias may move from the model's, in units of its grid."""

RATE_BITS = 20
"""A rate is a whole number of 2**-20."""


class Parameters(NamedTuple):
    """All weights, or all biases, that learn, one after the other; float32 (count,).

    `values` are the whole numbers that the network uses, `exact` what they are rounded from,
    `first` the model's, `squares` the mean squared gradients, `gradient` the present one.
    """

    values: Vector
    exact: Vector
    first: Vector
    squares: Vector
    gradient: Vector


class Learner(NamedTuple):
    """A network that learns, and its working memory.

    `network` views the values, `slopes` the gradients; what does not learn is the model's or empty.
    `turned_*` are transposed weights, in panels; `*_deltas` float32 (rows, ..) the errors of a
    group at each layer's sums, of which the prior writes those of the `outs`; `product` and
    `scratch` are room for products. `power` float64 (1,): MEMORY to the number of steps; `rate` in
    units of the weights' grid; `frozen`: trunk layers that stay; `every`: periods to a step, `turn`
    int64 (1,) the number of those that are over.
    """

    weights: Parameters
    biases: Parameters
    network: Weights
    slopes: Weights
    turned_outs: tuple[Floats, ...]
    turned_fan: Floats
    turned_trunk: tuple[Floats, ...]
    outs_deltas: tuple[Floats, ...]
    fan_deltas: Floats
    trunk_deltas: tuple[Floats, ...]
    product: Floats
    scratch: Floats
    power: npt.NDArray[np.float64]
    rate: float
    frozen: int
    every: int
    turn: npt.NDArray[np.int64]


def check(network: Network, frozen: int) -> None:
    """Raise ModelError unless all sums stay exact wherever learning may lead."""
    groups = {"trunk": network.trunk[frozen:], "heads": network.heads, "outs": network.outs}
    for name, layers in groups.items():
        for i, layer in enumerate(layers):
            size = np.abs(layer.weight.astype(np.int64)) + REACH
            bias = int(np.abs(layer.bias.astype(np.int64)).max()) + BIAS_REACH
            forward = int(size.sum(0).max()) * INPUT_LIMIT + bias + grid.HALF
            backward = int(size.sum(1).max()) * DELTA_LIMIT + grid.HALF
            reached = max(forward, backward)
            if reached >= grid.EXACT:
                raise ModelError(
                    f"layer {name} {i}: sums may reach {reached} by learning, the limit is "
                    f"{grid.EXACT}"
                )
    depth = len(network.trunk[-1].bias)
    fan = np.concatenate([head.weight[:depth].astype(np.int64) for head in network.heads], 1)
    reached = int((np.abs(fan) + REACH).sum(1).max()) * DELTA_LIMIT + grid.HALF
    if reached >= grid.EXACT:
        raise ModelError(f"heads: errors may reach {reached} by learning, limit {grid.EXACT}")


def _parameters(parts: list[Floats]) -> Parameters:
    first = np.concatenate([part.ravel() for part in parts])
    return Parameters(first.copy(), first.copy(), first, np.zeros_like(first), np.zeros_like(first))


def _views(flat: Vector, parts: list[Floats]) -> list[Floats]:
    ends = np.cumsum([part.size for part in parts])
    return [
        flat[end - part.size : end].reshape(part.shape)
        for end, part in zip(ends, parts, strict=True)
    ]


def learner(network: Network, rate: int, frozen: int, every: int, rows: int) -> Learner:
    """Return a learner that stands at the model's weights, with room for so many rows.

    `rate` in 2**-20; with 0 nothing is copied and nothing learns. One of `every` periods is learned
    from.
    """
    base = network.weights
    channels, head = network.channels, len(network.heads[0].bias)
    moving = len(base.trunk) - frozen if rate else 0
    kept = base.trunk[: len(base.trunk) - moving]
    weights = [base.fan, *base.seen, *base.outs, *base.trunk[len(kept) :]] if rate else []
    biases = [*base.head_bias, *base.out_bias, *base.trunk_bias[len(kept) :]] if rate else []
    nothing = np.zeros((0, COLUMNS), np.float32)
    all_weights = _parameters(weights or [nothing])
    all_biases = _parameters(biases or [nothing])

    def assembled(flat_weights: Vector, flat_biases: Vector) -> Weights:
        w, b = _views(flat_weights, weights), _views(flat_biases, biases)
        return Weights(
            (*kept, *w[1 + 2 * channels :]),
            (*base.trunk_bias[: len(kept)], *b[2 * channels :]),
            w[0],
            tuple(w[1 : 1 + channels]),
            tuple(b[:channels]),
            tuple(w[1 + channels : 1 + 2 * channels]),
            tuple(b[channels : 2 * channels]),
        )

    used = rows if rate else 0
    widths = [weight.shape[1] for weight in base.trunk]
    deepest = max(len(part) for part in [base.fan, *base.outs, *base.trunk])
    widest = max(part.shape[1] for part in [base.fan, *base.outs, *base.trunk])
    made = Learner(
        all_weights,
        all_biases,
        assembled(all_weights.values, all_biases.values) if rate else base,
        assembled(all_weights.gradient, all_biases.gradient) if rate else base,
        tuple(room(out.shape[1], head) for out in base.outs),
        room(base.fan.shape[1], len(base.fan)),
        tuple(room(weight.shape[1], len(weight)) for weight in base.trunk),
        tuple(room(used, out.shape[1]) for out in base.outs),
        room(used, base.fan.shape[1]),
        tuple(room(used, width) for width in widths),
        room(deepest, widest),
        room(used, max(widest, deepest)),
        np.ones(1),
        rate / (1 << (RATE_BITS - grid.WEIGHT_BITS)),
        frozen,
        every,
        np.zeros(1, np.int64),
    )
    if rate:
        turn(made)
    return made


@kernel
def _turn(weight: Floats, out: Floats) -> None:
    """Write the transpose, in blocks that stay in the first cache."""
    for i in range(0, len(weight), 16):
        for j in range(0, weight.shape[1], 16):
            for q in range(j, min(j + 16, weight.shape[1])):
                for p in range(i, min(i + 16, len(weight))):
                    out[q, p] = weight[p, q]


@kernel
def turn(learner: Learner) -> None:
    """Bring the transposed weights up to date."""
    for c in range(len(learner.network.outs)):
        _turn(learner.network.outs[c], learner.turned_outs[c])
    if learner.frozen < len(learner.network.trunk):
        _turn(learner.network.fan, learner.turned_fan)
        for i in range(learner.frozen + 1, len(learner.network.trunk)):
            _turn(learner.network.trunk[i], learner.turned_trunk[i])
