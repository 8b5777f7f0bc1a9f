"""Networks of groups that follow what was coded, by fused kernels (see `integer.learning`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.codecs.flagship import Learning
from idfzip.device import fused, layers
from idfzip.device.fused import dense, learning, rows
from idfzip.device.graph import Replayed
from idfzip.device.layers import Span
from idfzip.device.learner import Learner, Moving
from idfzip.device.machine import Machine
from idfzip.device.network import Weights
from idfzip.device.room import Rows
from idfzip.integer.learning import PERIOD
from idfzip.integer.network import Network


class Follower:
    """The weights of groups, and their steps at the ends of periods.

    `pending` int64 (groups,): how many rows, of the `capacity` of each group, wait to be learned
    from.
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
        self.pending, none = (machine.zeros(groups, dtype=torch.int64) for _ in range(2))
        self._period = Span(groups, capacity, capacity, none, self.pending)
        self._turns = np.zeros(groups, np.int64)
        self._learn, self._close = (Replayed(machine.device) for _ in range(2))

    @property
    def weights(self) -> Weights:
        """The weights, of which those that learn move."""
        return self._learner.weights

    def prepare(self) -> None:
        """Capture the steps, which moves everything; so begin anew."""
        if self._how.rate:
            self._learn.prepare(self.learn)
            self._close.prepare(self.end)
        self._learner.clear()
        self._turns[:] = 0

    def close(self, over: npt.NDArray[np.bool_]) -> None:
        """End the periods of the groups where one is `over`; where one is due, learn."""
        if not over.any():
            return
        every = self._how.every
        if (over & (self._turns % every == every - 1)).any():
            self._learn(self.learn)
        self._close(self.end)
        self._turns += over

    def learn(self) -> None:
        """Let the networks learn whose periods are over and to be learned from."""
        r, learner = self._room, self._learner
        w, channels, frozen = learner.weights, len(r.hidden), learner.frozen
        begin = 0
        parts = []
        for c in range(channels):
            part = r.fan_deltas[:, begin:]
            layers.backwards(self._period, r.deltas[c], w.outs[c], r.hidden[c], part)
            parts.append(part)
            begin += r.hidden[c].shape[1]
        deltas, back = r.fan_deltas, w.fan
        for i in range(len(r.values) - 1, frozen - 1, -1):
            layers.backwards(self._period, deltas, back, r.values[i], r.trunk_deltas[i])
            deltas, back = r.trunk_deltas[i], w.trunk[i]
        before = [r.inputs, *r.values]
        trunk = [(before[i], r.trunk_deltas[i]) for i in range(frozen, len(r.values))]
        pairs = [(r.values[-1], r.fan_deltas), *((r.seen, part) for part in parts)]
        pairs += [*zip(r.hidden, r.deltas, strict=True), *trunk]
        for (x, errors), moving in zip(pairs, learner.moving_weights(), strict=True):
            self._move(x, errors, moving)
        errors_of_biases = [*parts, *r.deltas, *(errors for _, errors in trunk)]
        for errors, moving in zip(errors_of_biases, learner.moving_biases(), strict=True):
            self._move_bias(errors, moving)

    def _move(self, x: Tensor, deltas: Tensor, moving: Moving) -> None:
        inputs, outputs = moving.shape
        if inputs == 0:
            return
        side = learning.SIDE
        fused.launch(
            learning.move, (self._groups, -(-inputs // side), -(-outputs // side)), self.pending,
            self._learner.turn, self._learner.corrections, x, deltas, moving.first, moving.exact,
            moving.squares, moving.values, self._capacity, x.stride(0), deltas.stride(0), inputs,
            outputs, moving.apart, moving.rate, float(moving.reach), float(moving.limit),
            models=moving.models, every=self._how.every, side=side, depth=learning.DEPTH,
            precision=dense.PRECISION,
        )  # fmt: skip

    def _move_bias(self, deltas: Tensor, moving: Moving) -> None:
        (outputs,) = moving.shape
        side = learning.SIDE
        fused.launch(
            learning.move_bias, (self._groups, -(-outputs // side)), self.pending,
            self._learner.turn, self._learner.corrections, deltas, moving.first, moving.exact,
            moving.squares, moving.values, self._capacity, deltas.stride(0), outputs, moving.apart,
            moving.rate, float(moving.reach), float(moving.limit), models=moving.models,
            every=self._how.every, side=side, depth=learning.DEPTH,
        )  # fmt: skip

    @property
    def _groups(self) -> int:
        return len(self.pending)

    def end(self) -> None:
        """End the periods that are over."""
        fused.launch(rows.close, (self._groups,), self.pending, self._learner.turn, period=PERIOD)
