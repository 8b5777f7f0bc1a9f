"""Networks of groups that follow what was coded, by fused kernels (see `integer.learning`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.codecs.flagship import Learning
from idfzip.device import fused
from idfzip.device.fused import chain, learning, rows
from idfzip.device.layers import apart
from idfzip.device.learner import Learner, Moving
from idfzip.device.machine import Machine
from idfzip.device.network import Weights, operands
from idfzip.device.room import Rows
from idfzip.integer import grid
from idfzip.integer.learning import PERIOD
from idfzip.integer.network import Network


class Follower:
    """The weights of groups, and their steps at the ends of periods.

    `pending` int64 (groups,): how many rows, of the `capacity` of each group, wait to be learned
    from. Those of a period that is `over` are learned from before others take their places.
    """

    def __init__(
        self,
        machine: Machine,
        room: Rows,
        networks: Sequence[Network],
        how: Learning,
        groups: int,
        capacity: int,
        periods: int,
    ) -> None:
        """Begin at the weights of the networks, which groups have in turn.

        No group has more than so many periods.
        """
        self._room, self._how, self._capacity = room, how, capacity
        self._learner = Learner(machine, networks, how, groups, periods)
        self.pending, self.over, self._none = (
            machine.zeros(groups, dtype=torch.int64) for _ in range(3)
        )
        if how.rate:
            self._write_down(machine)
        self._turns = np.zeros(groups, np.int64)

    @property
    def weights(self) -> Weights:
        """The weights, of which those that learn move."""
        return self._learner.weights

    @property
    def learns(self) -> bool:
        """Whether networks learn."""
        return self._how.rate > 0

    def clear(self) -> None:
        """Begin anew at the weights of the networks."""
        self._learner.clear()
        self._turns[:] = 0

    def due(self, closings: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return at which of the next steps a network learns, bool (steps,).

        `closings` bool (groups, steps) tells where groups' periods end.
        """
        every = self._how.every
        turns = self._turns[:, None] + np.cumsum(closings, 1) - closings
        self._turns += closings.sum(1)
        found: npt.NDArray[np.bool_] = (closings & (turns % every == every - 1)).any(0)
        return found

    def learn(self) -> None:
        """Let the networks learn whose periods ended just now and are to be learned from, if any.

        It reads what the step's rows were multiplied of, and the errors there, and moves weights.
        """
        fused.launch(
            chain.back, (self._groups, -(-self._capacity // chain.ROWS)), self._none, self.over,
            self._learner.turn, self._layers.rows, len(self._layers.rows), self._capacity,
            every=self._how.every, by=self._layers.by, rows=chain.ROWS, columns=chain.COLUMNS,
            depth=chain.DEPTH, warps=chain.WARPS,
        )  # fmt: skip
        down, across = learning.DOWN, learning.ACROSS
        tiles = sum(-(-i // down) * -(-o // across) for i, o in self._shapes)
        fused.launch(
            learning.move, (self._groups, tiles), self.over, self._learner.turn,
            self._learner.corrections, self._parts.rows, self._limits, len(self._shapes),
            self._capacity, models=self._models, every=self._how.every, by=self._parts.by,
            slots=fused.power(len(self._shapes)), down=down, across=across, depth=learning.DEPTH,
            warps=learning.WARPS,
        )  # fmt: skip

    def _write_down(self, machine: Machine) -> None:
        """Write for kernels where layers and what moves of them stand."""
        r, learner, w = self._room, self._learner, self.weights
        ends = np.cumsum([one.shape[1] for one in r.hidden])
        parts = [
            r.fan_deltas[:, end - one.shape[1] :] for end, one in zip(ends, r.hidden, strict=True)
        ]
        layers = list(zip(r.deltas, w.outs, r.hidden, parts, strict=True))
        deltas, back = r.fan_deltas, w.fan
        moving = range(learner.frozen, len(r.values))
        for i in reversed(moving):
            layers.append((deltas, back, r.values[i], r.trunk_deltas[i]))
            deltas, back = r.trunk_deltas[i], w.trunk[i]
        self._layers = _table(machine, [_layer(*one) for one in layers])
        before = [r.inputs, *r.values]
        xs = [r.values[-1], *(r.seen for _ in parts), *r.hidden, *(before[i] for i in moving)]
        rest = [*r.deltas, *(r.trunk_deltas[i] for i in moving)]
        one = np.array([[1 << grid.ACTIVATION_BITS]], np.float32)
        self._one = machine.tensor(one, operands(machine))
        found = list(zip(xs, [r.fan_deltas, *parts, *rest], learner.moving_weights(), strict=True))
        for errors, bias in zip([*parts, *rest], learner.moving_biases(), strict=True):
            found.append((self._one.expand(2, 1), errors, bias))
        found = [one for one in found if one[2].shape[0] > 0]
        self._models = found[0][2].models
        self._shapes = [_shape(one) for _, _, one in found]
        self._parts = _table(machine, [_part(*one) for one in found])
        limits = [(one.rate, one.reach, one.limit) for _, _, one in found]
        self._limits = machine.tensor(np.array(limits, np.float32))

    @property
    def _groups(self) -> int:
        return len(self.pending)

    def end(self) -> None:
        """End the periods that are over."""
        fused.launch(
            rows.close, (self._groups,), self.pending, self.over, self._learner.turn, period=PERIOD
        )


class Table(NamedTuple):
    """What a kernel reads, int64 (count, fields), multiples of `by` (`fused.table`)."""

    rows: Tensor
    by: int


class _Row(NamedTuple):
    """A row of a table, and the numbers in it that are told to be multiples of something.

    Of an address that is how many numbers of its type lie before it.
    """

    fields: tuple[int, ...]
    multiples: list[int]


def _table(machine: Machine, rows: Sequence[_Row]) -> Table:
    """Return a table, and what is common to its numbers, up to eight halves."""
    by = math.gcd(8, *(number for row in rows for number in row.multiples))
    return Table(machine.tensor(np.array([row.fields for row in rows], np.int64)), by)


def _before(places: Sequence[Tensor]) -> list[int]:
    return [one.data_ptr() // one.element_size() for one in places]


def _layer(deltas: Tensor, weight: Tensor, values: Tensor, out: Tensor) -> _Row:
    """Return a layer as `chain.back` reads it."""
    places = (deltas, weight, values, out)
    sizes = (*weight.shape[-2:], apart(weight, 2), out.stride(0))
    return _Row((*(one.data_ptr() for one in places), *sizes), [*_before(places), *sizes])


def _part(x: Tensor, deltas: Tensor, moving: Moving) -> _Row:
    """Return a part of what moves as `learning.move` reads it."""
    places = (deltas, moving.first, moving.exact, moving.squares, moving.values)
    inputs, outputs = _shape(moving)
    between = deltas.stride(0)
    addresses = (x.data_ptr(), *(one.data_ptr() for one in places))
    narrow = inputs if moving.values.element_size() == 2 else 0
    fields = (inputs, outputs, moving.apart, x.stride(0), between, *addresses, narrow)
    return _Row(fields, [*_before(places), outputs, moving.apart, between])


def _shape(moving: Moving) -> tuple[int, int]:
    """Return the inputs and outputs of what moves; a bias has an input that is always one."""
    inputs, outputs = moving.shape if len(moving.shape) > 1 else (1, *moving.shape)
    return inputs, outputs
