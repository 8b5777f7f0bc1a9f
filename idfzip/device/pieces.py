"""The progressive order by fused kernels: a piece of each tile in a step (`fused.lattice`).

Tiles of any sizes go side by side: which piece is whose in a step follows from their sizes, so the
host writes it down before. As in `wavefront`, encoding and decoding differ in where a channel's
pixels come from only, and what a step does can be replayed as a graph.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.codecs.lattice import VALUES, Lattice
from idfzip.device import fused, layers, mixture
from idfzip.device.coder import Coder
from idfzip.device.follow import Follower
from idfzip.device.fused import lattice, lattice_head, learning
from idfzip.device.layers import Span, apart
from idfzip.device.machine import Machine
from idfzip.device.plan import FACTS, Plan
from idfzip.device.room import Rows, aligned
from idfzip.device.steps import Step, Steps
from idfzip.flows.lattice import PHASES
from idfzip.integer.learning import PERIOD
from idfzip.integer.network import ERROR_INPUTS

Source = Callable[["Pieces", int], None]
"""Gives the pixels of a channel in the present step, once its mixtures are known."""


class Pieces:
    """Codes the tiles of a batch.

    `first` int32 (tiles, C) are their first pixels. From those of a stream that lacks words nothing
    is learned, if `cut` tells of the streams.
    """

    def __init__(
        self,
        machine: Machine,
        model: Lattice,
        plan: Plan,
        first: npt.NDArray[np.int32],
        cut: Coder | None = None,
    ) -> None:
        self.model, self._plan, self._cut = model, plan, cut
        tiles, channels = first.shape
        groups, learns = tiles * len(PHASES), model.learning.rate > 0
        self._most = aligned(int(plan.table[..., -1].max()))
        self.capacity = self._most + (PERIOD if learns else 0)
        self.room = Rows(machine, model.networks[0], groups * self.capacity, ERROR_INPUTS, learns)
        self._closings = plan.closings() if learns else np.zeros((groups, plan.steps), bool)
        periods = int(self._closings.sum(1).max())
        self.follower = Follower(
            machine, self.room, model.networks, model.learning, groups, self.capacity, periods
        )
        self.count = machine.zeros(groups, dtype=torch.int64)
        self.span = Span(groups, self._most, self.capacity, self.pending, self.count)
        height, width = (aligned(max(sides)) for sides in zip(*plan.sizes, strict=True))
        self.planes, self._misses = (
            machine.empty(tiles, channels, height, width, dtype=torch.int32) for _ in range(2)
        )
        self._first = machine.tensor(first)
        self._sizes = machine.tensor(np.array(plan.sizes, np.int64))
        self._table, self._whose = machine.tensor(plan.table), machine.tensor(plan.whose)
        self._time = machine.zeros(1, dtype=torch.int64)
        self._spot = machine.zeros(tiles, FACTS, dtype=torch.int64)
        self.coded = machine.zeros(tiles, dtype=torch.int64)
        design, tables = model.design, model.design.tables
        self._neighbours, self._places = map(machine.tensor, (design.neighbours, design.places))
        self._log, self._gain = (machine.tensor(one, torch.int64) for one in tables)
        self.prior = mixture.tables(machine, model.prior)
        self.sigmoid = mixture.pairs(self.prior.sigmoid)
        self._steps = Steps(machine, self.follower)

    @property
    def pending(self) -> Tensor:
        """How many rows of each group wait to be learned from, int64 (groups,)."""
        return self.follower.pending

    @property
    def plane(self) -> int:
        """How far the next channel of a tile stands in the planes."""
        return self.planes.stride(1)

    def prepare(self, source: Source) -> None:
        """Try a step out, which moves everything; so begin anew."""
        self._begin()
        self._steps.prepare(self.step(source))
        self._begin()

    def _begin(self) -> None:
        self.planes[:, :, 0, 0] = self._first
        self._misses[:, :, 0, 0] = 0
        for one in (self._time, self.pending, self.coded):
            one.zero_()

    def run(self, source: Source) -> None:
        """Code the tiles, with the source that was prepared."""
        self._steps.run(self.step(source), self._closings)

    def launch(self, kernel: fused.Kernel, each: int, *args: Any, **fixed: Any) -> None:
        """Run a kernel on the step's rows, `each` a program."""
        grid = (len(self.count), -(-self._most // each))
        fused.launch(kernel, grid, self.pending, self.count, *args, **fixed)

    def step(self, source: Source) -> Step:
        """Return a step, with a source of pixels."""
        return Step(self._find, partial(self._code, source))

    def _code(self, source: Source) -> None:
        """Code the pieces of a step, and go on to the next."""
        self._look()
        layers.run_trunk(
            self.span, self.room.inputs, self.follower.weights, self.room.values, self.room.fan
        )
        for c in range(self.model.channels):
            self._run_head(c)
            source(self, c)
        self._leave()

    def _find(self) -> None:
        """Find the step's pieces."""
        fused.launch(
            lattice.find, (len(self._sizes),), self._table, self._whose, self._time, self._spot,
            self.count, self._plan.steps,
        )  # fmt: skip

    def _look(self) -> None:
        """Gather the networks' inputs."""
        r = self.room
        self.launch(
            lattice.gather, lattice.LANES, self._spot, self._sizes, self.planes, self._misses,
            self._neighbours, self._places, r.at, r.bases, r.scales, r.inputs, self._log,
            self._gain, self.capacity, r.rows, self.planes.stride(2), self.plane,
            r.inputs.shape[1], self._neighbours.shape[1], self._places.shape[1],
            channels=self.model.channels, lanes=lattice.LANES,
        )  # fmt: skip

    def _run_head(self, c: int) -> None:
        """Find the mixtures of channel `c`."""
        r, w, prior = self.room, self.follower.weights, self.prior
        begin = sum(part.shape[1] for part in r.hidden[:c])
        width = r.hidden[c].shape[1]
        bias, known, outs, out_bias = w.head_bias[c], w.seen[c], w.outs[c], w.out_bias[c]
        self.launch(
            lattice_head.head, lattice_head.ROWS, r.fan[:, begin:], bias, known, outs, out_bias,
            r.bases, r.scales, r.pixels, r.centres, r.seen, r.hidden[c], r.weights[c], r.means[c],
            r.inverses[c], r.lows, self._log, self._gain, prior.exp, prior.inverse, prior.span,
            self.capacity, r.rows, r.fan_width, width, apart(known, 2), apart(outs, 2),
            apart(bias, 1), apart(out_bias, 1), len(prior.exp), len(prior.inverse), VALUES,
            r.components, c=c, channels=self.model.channels, rows=lattice_head.ROWS,
            columns=fused.power(width, 16), slots=fused.power(r.components, 4),
        )  # fmt: skip

    def _leave(self) -> None:
        """Place the step's pixels, note what learning needs, go on."""
        r, learns = self.room, self.model.learning.rate > 0
        self.launch(
            lattice.settle, lattice.LANES, r.at, r.pixels, r.centres, self.planes, self._misses,
            self.capacity, r.rows, self.plane, channels=self.model.channels, lanes=lattice.LANES,
        )  # fmt: skip
        if learns:
            self.launch(
                learning.slopes, learning.ROWS, r.pixels, r.scales, r.weights, r.means,
                r.inverses, r.deltas, self.sigmoid, self.prior.span, self.capacity, r.rows,
                VALUES, r.components, channels=self.model.channels, rows=learning.ROWS,
                slots=fused.power(r.components),
            )  # fmt: skip
        ends, lanes = [self._time] * 3, 1
        if self._cut is not None:
            ends = [self._cut.place, self._cut.end, self._cut.state]
            lanes = self._cut.state.shape[1]
        fused.launch(
            lattice.advance, (len(self.count),), self._time, self.count, self.pending, self.coded,
            *ends, learns=learns, stops=self._cut is not None, lanes=lanes,
        )  # fmt: skip
