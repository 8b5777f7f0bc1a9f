"""The integer network and its learning (see `integer.network`, `integer.learning`).

float32 that carries whole numbers: every partial sum is below 2**24, so that no order of adding,
nor a TF32 product, changes a bit. Groups, each with weights of its own where it learns, are the
first axis: products are batched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.codecs.flagship import Learning
from idfzip.device.machine import Machine
from idfzip.integer import grid
from idfzip.integer.learner import BIAS_REACH, DELTA_LIMIT, RATE_BITS, REACH
from idfzip.integer.learning import BLOCK, MEMORY
from idfzip.integer.network import SEEN_INPUTS, Network

Singles = torch.float32
_SHARE = float(np.float32(1 - MEMORY))
_BIAS_LIMIT = 1 << 22


class Weights(NamedTuple):
    """Layers as (inputs, outputs), or (groups, inputs, outputs); biases (outputs), or (g, 1, o)."""

    trunk: list[Tensor]
    trunk_bias: list[Tensor]
    fan: Tensor
    seen: list[Tensor]
    head_bias: list[Tensor]
    outs: list[Tensor]
    out_bias: list[Tensor]


def weights(network: Network, machine: Machine) -> Weights:
    """Return a network's weights on a device."""

    def one(array: npt.NDArray[Any]) -> Tensor:
        return machine.tensor(array.astype(np.float32))

    depth = len(network.trunk[-1].bias)
    return Weights(
        [one(layer.weight) for layer in network.trunk],
        [one(layer.bias) for layer in network.trunk],
        one(np.concatenate([head.weight[:depth] for head in network.heads], 1)),
        [one(head.weight[depth:]) for head in network.heads],
        [one(head.bias) for head in network.heads],
        [one(out.weight) for out in network.outs],
        [one(out.bias) for out in network.outs],
    )


class Trunk(NamedTuple):
    """What the trunk gives of inputs (G, P, I): its layers' values, its part of the heads' sums."""

    values: list[Tensor]
    fan: Tensor


class Head(NamedTuple):
    """What a channel's head gives: its values (G, P, head) and its sums (G, P, 3 K)."""

    hidden: Tensor
    sums: Tensor


class Seen(NamedTuple):
    """What the network did at pixels, for learning, all (G, P, ..).

    Inputs, what heads saw, the trunk's values, the heads', and the prior's errors at their sums.
    """

    inputs: Tensor
    seen: Tensor
    values: list[Tensor]
    hidden: list[Tensor]
    deltas: list[Tensor]


def activate(sums: Tensor) -> Tensor:
    """Return the activations of sums: shifted down with rounding, leaked, clamped."""
    whole = torch.floor((sums + float(grid.HALF)) * (1.0 / (1 << grid.WEIGHT_BITS)))
    leaked = torch.floor(whole * (1.0 / (1 << grid.LEAK_SHIFT)))
    limit = float(grid.ACTIVATION_LIMIT)
    return torch.maximum(whole, leaked).clamp(-limit, limit)


def run_trunk(inputs: Tensor, w: Weights) -> Trunk:
    """Compute the trunk, and its part of the heads."""
    values = []
    for weight, bias in zip(w.trunk, w.trunk_bias, strict=True):
        inputs = activate(inputs @ weight + bias)
        values.append(inputs)
    return Trunk(values, inputs @ w.fan)


def fan_sums(
    machine: Machine, network: Network, inputs: npt.NDArray[np.int16]
) -> npt.NDArray[np.int32]:
    """Return the trunk's part of the heads' sums, as `integer.network.fan_sums`."""
    with torch.inference_mode():
        values = machine.tensor(inputs.astype(np.float32))
        fan = run_trunk(values, weights(network, machine)).fan
        return fan.to(torch.int32).cpu().numpy()


def run_head(c: int, fan: Tensor, seen: Tensor, w: Weights) -> Head:
    """Compute channel `c`'s head; `seen` (G, P, 4 C): what the channels before show."""
    width = w.head_bias[c].shape[-1]
    known = w.seen[c]
    sums = fan[..., c * width : (c + 1) * width] + w.head_bias[c]
    if c:
        sums = sums + seen[..., : known.shape[-2]] @ known
    hidden = activate(sums)
    return Head(hidden, hidden @ w.outs[c] + w.out_bias[c])


class _Parameters:
    """All weights, or biases, that learn, of all groups: (G, count), in singles.

    `parts` are those of one network or of several, which groups have in turn.
    """

    def __init__(self, machine: Machine, groups: int, parts: Sequence[list[Tensor]]) -> None:
        self._shapes = [part.shape for part in parts[0]]
        self.first = torch.stack([torch.cat([one.reshape(-1) for one in mine]) for mine in parts])
        self.values, self.exact, self.squares = (
            machine.empty(groups, self.first.shape[1], dtype=Singles) for _ in range(3)
        )
        self.clear()

    def clear(self) -> None:
        """Begin at the models'."""
        turns = self.values.view(-1, *self.first.shape)
        turns.copy_(self.first.expand_as(turns))
        self.exact.copy_(self.values)
        self.squares.zero_()

    def views(self) -> list[Tensor]:
        """Return each part's values, (G, inputs, outputs) or (G, 1, outputs)."""
        sizes = [shape.numel() for shape in self._shapes]
        flat = torch.split(self.values, sizes, 1)
        return [
            part.view(len(part), *(shape if len(shape) > 1 else (1, *shape)))
            for part, shape in zip(flat, self._shapes, strict=True)
        ]

    def moving(self, rate: float, reach: int, limit: int) -> list[Moving]:
        """Return each part as kernels need it."""
        found, begin = [], 0
        flat = [one.view(-1) for one in (self.first, self.exact, self.squares, self.values)]
        for shape in self._shapes:
            first, exact, squares, values = (one[begin:] for one in flat)
            places = (first, exact, squares, values, self.first.shape[1], len(self.first))
            found.append(Moving(tuple(shape), *places, rate, reach, limit))
            begin += shape.numel()
        return found

    def step(
        self, slope: Tensor, rate: float, correction: Tensor, reach: int, limit: int, due: Tensor
    ) -> None:
        """Move the groups that are `due`, bool (G, 1), against their slopes: `learning._step`."""
        square = self.squares + (slope * slope - self.squares) * _SHARE
        root = torch.sqrt(square.to(torch.float64)).to(Singles)  # torch's of singles may be off
        quotient = rate * slope / (root * correction + 1.0)
        low, high = (self.first - reach).clamp(min=-limit), (self.first + reach).clamp(max=limit)
        moved = torch.minimum(torch.maximum(self.exact - quotient, low), high)
        self.squares.copy_(torch.where(due, square, self.squares))
        self.exact.copy_(torch.where(due, moved, self.exact))
        self.values.copy_(torch.floor(self.exact + 0.5))


class Moving(NamedTuple):
    """Weights or biases of a layer that learns: where those of the first group stand, flat.

    `first` are those of so many `models`, which groups have in turn; those of the next group, and
    of the next model, stand `apart` further.
    """

    shape: tuple[int, ...]
    first: Tensor
    exact: Tensor
    squares: Tensor
    values: Tensor
    apart: int
    models: int
    rate: float
    reach: int
    limit: int


class Learner:
    """The networks of groups, which move while coding if the model learns (`integer.learner`)."""

    def __init__(
        self,
        machine: Machine,
        networks: Sequence[Network],
        how: Learning,
        groups: int,
        periods: int,
    ) -> None:
        """Begin at the weights of the networks, which groups have in turn.

        No group has more than so many periods.
        """
        bases = [weights(network, machine) for network in networks]
        base = bases[0]
        self._layers, self._channels = len(base.trunk), len(base.outs)
        self.how, self.frozen = how, how.frozen if how.rate else self._layers
        self.turn = machine.zeros(groups, dtype=torch.int64)

        def kept(parts: Sequence[list[Tensor]]) -> list[Tensor]:
            return [_in_turn(each, groups) for each in zip(*parts, strict=True)]

        if not how.rate:
            fan = _in_turn([b.fan for b in bases], groups)
            trunk, trunk_bias, _, *others = zip(*bases, strict=True)
            self.weights = Weights(kept(trunk), kept(trunk_bias), fan, *map(kept, others))
            return
        channels, f = self._channels, self.frozen
        moving = [[b.fan, *b.seen, *b.outs, *b.trunk[f:]] for b in bases]
        moving_bias = [[*b.head_bias, *b.out_bias, *b.trunk_bias[f:]] for b in bases]
        self._weights = _Parameters(machine, groups, moving)
        self._biases = _Parameters(machine, groups, moving_bias)
        w, b = self._weights.views(), self._biases.views()
        self.weights = Weights(
            kept([b.trunk[:f] for b in bases]) + w[1 + 2 * channels :],
            kept([b.trunk_bias[:f] for b in bases]) + b[2 * channels :],
            w[0],
            w[1 : 1 + channels],
            b[:channels],
            w[1 + channels : 1 + 2 * channels],
            b[channels : 2 * channels],
        )
        self.corrections = machine.tensor(_corrections(periods // how.every + 1))
        rate = how.rate / (1 << (RATE_BITS - grid.WEIGHT_BITS))
        self._rates = [float(np.float32(r)) for r in (rate, rate * (1 << grid.ACTIVATION_BITS))]

    def clear(self) -> None:
        """Begin anew at the model's weights."""
        self.turn.zero_()
        if self.how.rate:
            self._weights.clear()
            self._biases.clear()

    def moving_weights(self) -> list[Moving]:
        """Return the weights that learn: the fan's, those of what is seen, outs', the trunk's."""
        return self._weights.moving(self._rates[0], REACH, grid.WEIGHT_LIMIT)

    def moving_biases(self) -> list[Moving]:
        """Return the biases that learn: the heads', outs', the trunk's."""
        return self._biases.moving(self._rates[1], BIAS_REACH, _BIAS_LIMIT)

    def close(self, period: Seen, over: Tensor) -> None:
        """End the periods of the groups where one is `over`, bool (G,): `learning.close`.

        Rows of a period that are none have errors of 0 and other values of any finite size.
        """
        due = over & (self.turn % self.how.every == self.how.every - 1)
        slopes = self._slopes(period)
        correction = self.corrections[self.turn // self.how.every][:, None]
        due = due[:, None]
        weight, bias = self._rates
        self._weights.step(slopes[0], weight, correction, REACH, grid.WEIGHT_LIMIT, due)
        self._biases.step(slopes[1], bias, correction, BIAS_REACH, _BIAS_LIMIT, due)
        self.turn.add_(over)

    def _slopes(self, period: Seen) -> tuple[Tensor, Tensor]:
        """Return the gradients of all weights and of all biases, (G, count)."""
        parts = []
        for start in range(0, period.inputs.shape[1], BLOCK):
            rows = slice(start, start + BLOCK)
            part = Seen(
                period.inputs[:, rows],
                period.seen[:, rows],
                [v[:, rows] for v in period.values],
                [v[:, rows] for v in period.hidden],
                [v[:, rows] for v in period.deltas],
            )
            parts.append(self._slopes_of(part))
        weights, biases = parts[0]
        for more, more_biases in parts[1:]:  # in this order, which rounding depends on
            weights, biases = weights + more, biases + more_biases
        return weights, biases

    def _slopes_of(self, part: Seen) -> tuple[Tensor, Tensor]:
        """Return the gradients of at most `BLOCK` pixels: `learning._add_gradient`."""
        w = self.weights
        heads = []
        seen, outs, head_bias, out_bias = [], [], [], []
        for c in range(self._channels):
            deltas = part.deltas[c]
            outs.append(_gradient(part.hidden[c], deltas))
            out_bias.append(_bias_gradient(deltas))
            heads.append(_backwards(deltas @ w.outs[c].mT, part.hidden[c]))
            seen.append(_gradient(part.seen[..., : SEEN_INPUTS * c], heads[c]))
            head_bias.append(_bias_gradient(heads[c]))
        fan = torch.cat(heads, 2)
        trunk: list[Tensor] = []
        trunk_bias: list[Tensor] = []
        deltas, back = fan, w.fan
        for i in range(self._layers - 1, self.frozen - 1, -1):
            deltas = _backwards(deltas @ back.mT, part.values[i])
            before = part.values[i - 1] if i else part.inputs
            trunk.insert(0, _gradient(before, deltas))
            trunk_bias.insert(0, _bias_gradient(deltas))
            back = w.trunk[i]
        weights = [_gradient(part.values[-1], fan), *seen, *outs, *trunk]
        biases = [*head_bias, *out_bias, *trunk_bias]
        return torch.cat([one.flatten(1) for one in weights], 1), torch.cat(biases, 1)


def _in_turn(parts: Sequence[Tensor], groups: int) -> Tensor:
    """Return what groups have that take turns, (groups, ..), or the one that all of them share."""
    if len(parts) == 1:
        return parts[0]
    shape = parts[0].shape if parts[0].dim() > 1 else (1, *parts[0].shape)
    return torch.stack(list(parts)).view(len(parts), *shape).repeat(groups // len(parts), 1, 1)


def _gradient(values: Tensor, deltas: Tensor) -> Tensor:
    return values.mT @ deltas


def _bias_gradient(deltas: Tensor) -> Tensor:
    return deltas.sum(1) * float(1 << grid.ACTIVATION_BITS)


def _backwards(sums: Tensor, values: Tensor) -> Tensor:
    """Turn sums of errors into those before the activation, whose results are `values`."""
    limit = float(grid.ACTIVATION_LIMIT)
    total = torch.where(values >= 0, sums, sums * (1.0 / (1 << grid.LEAK_SHIFT)))
    whole = torch.floor(total * (1.0 / (1 << grid.WEIGHT_BITS)) + 0.5)
    whole = whole.clamp(-DELTA_LIMIT, DELTA_LIMIT)
    return torch.where((values < limit) & (values > -limit), whole, torch.zeros_like(whole))


def _corrections(moves: int) -> npt.NDArray[np.float32]:
    """Return what roots of squares are multiplied by at each move, float32 (moves,)."""
    found = np.empty(moves, np.float32)
    power = 1.0
    for i in range(moves):
        power *= MEMORY
        found[i] = np.float32(1.0 / np.sqrt(1.0 - power))
    return found
