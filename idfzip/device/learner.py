"""Networks that learn while coding (see `integer.learner`, `integer.learning`).

Slopes by torch's operators; fused kernels find them on their own (`follow`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.codecs.flagship import Learning
from idfzip.device.machine import Machine
from idfzip.device.network import Seen, Weights, weights
from idfzip.integer import grid
from idfzip.integer.learner import BIAS_REACH, DELTA_LIMIT, RATE_BITS, REACH
from idfzip.integer.learning import BLOCK, MEMORY
from idfzip.integer.network import SEEN_INPUTS, Network

Singles = torch.float32
_SHARE = float(np.float32(1 - MEMORY))
_BIAS_LIMIT = 1 << 22


class _Parameters:
    """All weights, or biases, that learn, of all groups: (G, count).

    `parts` are those of one network or of several, which groups have in turn. `values` and those of
    the models are of their type, what moves them singles.
    """

    def __init__(self, machine: Machine, groups: int, parts: Sequence[list[Tensor]]) -> None:
        self._shapes = [part.shape for part in parts[0]]
        self.first = torch.stack([torch.cat([one.reshape(-1) for one in mine]) for mine in parts])
        self.values, self.exact, self.squares = (
            machine.empty(groups, self.first.shape[1], dtype=dtype)
            for dtype in (self.first.dtype, Singles, Singles)
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
