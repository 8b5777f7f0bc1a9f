"""Decoding a batch of groups: the wavefront, step by step, all groups at once.

A step is one function of tensors that stay where they are, without a word to the host, so that it
can be replayed as a graph (`graph`). Rows of a step are groups by tiles by slots, where slots are
the pixels that a tile may have in a step, from the top; those that are not there are computed as
well and dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.profiler import record_function as stage

from idfzip.codecs.flagship import Learning
from idfzip.coding.turns import Turns
from idfzip.device import coder, context, expert, mixture, network
from idfzip.device.expert import Solution
from idfzip.device.field import Positions
from idfzip.device.graph import Replayed
from idfzip.device.learner import Learner
from idfzip.device.model import Model, Views
from idfzip.device.network import Head, Seen, Trunk
from idfzip.device.schedule import Run, slots
from idfzip.device.window import Ring
from idfzip.flows.expert import UNIT
from idfzip.integer.learning import PERIOD
from idfzip.integer.network import SEEN_INPUTS


class _Period:
    """What the network did at the pixels of the present period of each group, (G, rows, ..).

    One row more is for what is dropped.
    """

    def __init__(self, model: Model, groups: int, rows: int) -> None:
        self._rows, machine, one = rows, model.machine, model.flagship.network
        self.groups = groups

        def room(width: int) -> Tensor:
            return machine.empty(groups * rows + 1, width, dtype=torch.float32)

        channels = one.channels
        self.inputs, self.seen = room(one.inputs), room(SEEN_INPUTS * channels)
        self.values = [room(len(layer.bias)) for layer in one.trunk]
        self.hidden = [room(len(head.bias)) for head in one.heads]
        self.deltas = [room(len(out.bias)) for out in one.outs]
        self.pending = machine.empty(groups, dtype=torch.int64)

    @property
    def _all(self) -> list[Tensor]:
        return [self.inputs, self.seen, *self.values, *self.hidden, *self.deltas]

    def clear(self) -> None:
        for one in (*self._all, self.pending):
            one.zero_()

    def add(self, group: Tensor, order: Tensor, inside: Tensor, done: Seen, count: Tensor) -> None:
        """Append a step's pixels, (N,): their groups, their places in them, whether they are."""
        drop = self.groups * self._rows
        row = torch.where(inside, group * self._rows + self.pending[group] + order, drop)
        given = [done.inputs, done.seen, *done.values, *done.hidden, *done.deltas]
        for into, one in zip(self._all, given, strict=True):
            into[row] = one
        self.pending.add_(count)

    def close(self, learner: Learner) -> None:
        """Let the network learn from the periods that are over."""

        def rows(one: Tensor) -> Tensor:
            return one[:-1].view(self.groups, self._rows, -1)

        number = torch.arange(self._rows, device=self.pending.device)
        there = (number < self.pending[:, None])[..., None]
        over = self.pending >= PERIOD
        done = Seen(
            rows(self.inputs),
            rows(self.seen),
            [rows(one) for one in self.values],
            [rows(one) for one in self.hidden],
            [torch.where(there, rows(one), 0) for one in self.deltas],
        )
        learner.close(done, over)
        self.pending.copy_(torch.where(over, 0, self.pending))


class Decoder:
    """Decodes groups, run after run; made for the runs of one batch."""

    def __init__(
        self,
        model: Model,
        how: Learning,
        runs: Sequence[Run],
        host: Turns,
        cut: bool = False,
        captured: bool = True,
    ) -> None:
        """Begin where the decoders of the host stand, which stay there.

        If streams are `cut`, it is counted how far they go (`shown`). Steps that are not `captured`
        show their stages, by name, to torch's profiler.
        """
        self._captured, self._cut = captured, cut
        self.model, self._runs = model, runs
        machine, flagship = model.machine, model.flagship
        self._groups, self._tiles = len(host.place), max(run.tiles for run in runs)
        self._slots = slots(runs)
        self._rows = max(int(run.sizes[:, 0].max()) for run in runs)
        self._columns = max(int(run.sizes[:, 1].max()) for run in runs)
        tiles = self._groups * self._tiles
        self._views = Views(model, tiles, self._rows, self._columns)
        self._ring = Ring(machine, tiles, self._rows, model.products.terms, model.whole)
        periods = sum(int(run.closings.sum(1).max()) for run in runs) if how.rate else 0
        self._learner = Learner(machine, [flagship.network], how, self._groups, periods)
        most = max(int(run.counts.max()) for run in runs)
        self._period = _Period(model, self._groups, PERIOD - 1 + most) if how.rate else None
        self._sizes = machine.empty(tiles, 2, dtype=torch.int64)
        self._t = machine.empty(1, dtype=torch.int64)
        self._shown = machine.empty(self._groups, dtype=torch.int64)
        number = machine.range(tiles * self._slots)
        self._slot, self._tile = number % self._slots, number // self._slots
        self._group = self._tile // self._tiles
        self._coder = coder.there(machine, host)
        self._start = [one.clone() for one in coder.moving(self._coder)]
        self._step = Replayed(machine.device)
        self._close = Replayed(machine.device)

    def _begin(self) -> None:
        """Begin a run."""
        self._views.clear()
        self._ring.clear()
        self._t.zero_()
        if self._period is not None:
            self._period.clear()

    def _prepare(self) -> None:
        """Try a step out, which moves everything; so begin anew."""
        self._sizes.fill_(1)
        self._begin()
        if self._captured:
            self._step.try_out(self._advance)
        if self._captured and self._period is not None:
            self._close.try_out(self._learn)
        self._learner.clear()
        for mine, start in zip(coder.moving(self._coder), self._start, strict=True):
            mine.copy_(start)
        self._shown.zero_()

    def run(self) -> list[Tensor]:
        """Return for each run the planes, (groups * tiles, C, rows, columns), and nothing else.

        Values beyond a tile's sides mean nothing.
        """
        self._prepare()
        return [self._decoded(run) for run in self._runs]

    def finished(self) -> list[bool]:
        """Return whether each stream ended just where its symbols did."""
        return coder.finished(self._coder)

    def shown(self) -> list[int]:
        """Return how many steps the streams held all words of; many where they are not `cut`."""
        if not self._cut:
            return [sum(run.steps for run in self._runs)] * self._groups
        return [int(count) for count in self._shown.cpu().numpy()]

    def _decoded(self, run: Run) -> Tensor:
        self._begin()
        sizes = self.model.machine.tensor(run.sizes).view(self._groups, run.tiles, 2)
        self._sizes.zero_()
        self._sizes.view(self._groups, self._tiles, 2)[:, : run.tiles] = sizes
        closing = set(np.flatnonzero(run.closings.any(0))) if self._period is not None else set()
        for t in range(run.steps):
            self._step(self._advance)
            if t in closing:
                self._close(self._learn)
        field = self._views.planes
        inner = field.images(field.flat, self._rows, self._columns)
        return inner.to(torch.int32, copy=True)  # the next run overwrites them

    def _positions(self) -> tuple[Positions, Tensor, Tensor]:
        """Return the pixels of a step, how many each tile has, and their places in their group."""
        sizes = self._sizes
        height, width = sizes[:, 0], sizes[:, 1]
        first = ((self._t - width + 2) >> 1).clamp(min=0)
        counts = (torch.minimum(height - 1, self._t >> 1) + 1 - first).clamp(min=0)
        by_group = counts.view(self._groups, self._tiles)
        before = (by_group.cumsum(1) - by_group).view(-1)
        tile = self._tile
        inside = self._slot < counts[tile]
        y = torch.where(inside, first[tile] + self._slot, 0)
        x = torch.where(inside, self._t - 2 * y, 0)
        p = Positions(tile, y, x, height[tile], width[tile], inside)
        return p, by_group, before[tile] + self._slot

    def _grouped(self, one: Tensor) -> Tensor:
        return one.view(self._groups, -1, *one.shape[1:])

    def _advance(self) -> None:
        """Decode the pixels of a step, and go on to the next."""
        views, count = self._views, self.model.products.count + 1
        with stage("window"):
            p, counts, order = self._positions()
            at = views.planes.at(p)
            bases = views.planes.bases(at)
            sums = self._ring.sums(p)
        with stage("solve"):
            found = views.solve(sums[:, :count], at, bases)
        with stage("gather"):
            wide = expert.wide(sums[:, count:], found.weight)
            inputs, scales = views.inputs(p, at, bases, wide, found)
        with stage("trunk"):
            trunk = network.run_trunk(self._grouped(inputs), self._learner.weights)
        seen, heads, deltas = self._channels(p, at, bases, found, scales, trunk, counts)
        with stage("window"):
            self._ring.learn(p, views.products(p, at, bases))
        if self._period is not None:
            values = [one.flatten(0, 1) for one in trunk.values]
            hidden = [one.hidden.flatten(0, 1) for one in heads]
            done = Seen(inputs, seen, values, hidden, deltas)
            with stage("learn"):
                self._period.add(self._group, order, p.inside, done, counts.sum(1))
        if self._cut:
            self._shown.add_(~coder.starved(self._coder))
        self._t.add_(1)

    def _channels(
        self,
        p: Positions,
        at: Tensor,
        bases: Tensor,
        found: Solution,
        scales: Tensor,
        trunk: Trunk,
        counts: Tensor,
    ) -> tuple[Tensor, list[Head], list[Tensor]]:
        """Decode a step's pixels channel by channel, and place them.

        Returns what the heads saw, (N, 4 C), the heads, and the slopes of the bits.
        """
        model, views = self.model, self._views
        limit, values, deep = model.alphabet.limit, model.alphabet.values, model.alphabet.deep
        targets = views.planes.targets(p)
        channels = model.flagship.channels
        seen: list[Tensor] = []
        heads: list[Head] = []
        deltas: list[Tensor] = []
        errors: list[Tensor] = []
        nothing = torch.zeros_like(bases[:, :1])
        lows = nothing[:, 0]
        for c in range(channels):
            gain = model.tables.gain[scales[:, c]]
            prediction = expert.predict(found, c, errors, limit)
            centre = expert.to_mean(prediction, bases[:, c], lows, values)
            if c:
                lead = context.over(centre - bases[:, c] * UNIT, gain, deep)
                seen[-1] = torch.cat([seen[-1], lead[:, None]], 1)
            known = torch.cat(seen, 1).to(torch.float32) if c else nothing.to(torch.float32)
            with stage("heads"):
                head = network.run_head(c, trunk.fan, self._grouped(known), self._learner.weights)
            with stage("mixtures"):
                mixed = mixture.mix(
                    head.sums.flatten(0, 1), scales[:, c], centre, lows, model.prior
                )
            with stage("search, coder"):
                pixel = coder.take(
                    self._coder, mixed, counts, self._slots, values, model.prior.sigmoid
                )
            error = pixel * UNIT - centre
            difference = (pixel - bases[:, c]).clamp(-limit, limit)
            errors.append(difference.to(torch.float64) - prediction)
            seen.append(context.see_error(error, gain, deep, model.tables.log))
            views.planes.place(targets, c, pixel)
            views.errors.place(targets, c, error)
            if self._period is not None:
                sigmoid = model.prior.sigmoid
                ends = [mixture.edges(pixel + up, values, mixed, sigmoid) for up in range(2)]
                deltas.append(mixture.slopes(ends[0], ends[1], mixed))
            if c == 0:
                lows = -pixel
            heads.append(head)
        last = torch.cat([seen[-1], nothing], 1)
        return torch.cat([*seen[:-1], last], 1).to(torch.float32), heads, deltas

    def _learn(self) -> None:
        """Let the networks learn from the periods that are over."""
        if self._period is not None:
            with stage("learn"):
                self._period.close(self._learner)
