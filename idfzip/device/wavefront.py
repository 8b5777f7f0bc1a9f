"""The wavefront by fused kernels: a step of all groups in 18 launches or fewer (`fused`).

The same for encoding and decoding, which differ only in where a channel's pixels come from. All
room is taken once; a step and the end of a period are functions of tensors that stay where they
are, so that they can be replayed as graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from idfzip.codecs.flagship import Learning
from idfzip.device import fused, layers, mixture
from idfzip.device.follow import Follower
from idfzip.device.fused import (
    context,
    expert,
    finish,
    head,
    learning,
    painted,
    rows,
    window,
)
from idfzip.device.layers import Span, apart
from idfzip.device.model import Model, Views
from idfzip.device.painted import Pictures
from idfzip.device.room import Room, aligned
from idfzip.device.schedule import Run, slots
from idfzip.device.steps import Step, Steps
from idfzip.flows.painted import INPUTS
from idfzip.flows.recursion import ONE
from idfzip.flows.wavefront import MARGIN
from idfzip.integer.learning import PERIOD

Source = Callable[["Wavefront", int], None]
"""Gives the pixels of a channel in the present step, once its mixtures are known."""


class Wavefront:
    """Codes groups, run after run; made for the runs of one batch."""

    def __init__(self, model: Model, how: Learning, runs: Sequence[Run], groups: int) -> None:
        self.model, self._how = model, how
        machine, flagship = model.machine, model.flagship
        self.groups, self.tiles = groups, max(run.tiles for run in runs)
        height, width = (max(int(run.sizes[:, i].max()) for run in runs) for i in (0, 1))
        self.height = aligned(height)
        self.columns = aligned(width + 2 * MARGIN) - 2 * MARGIN
        self._lanes = fused.power(min(256, slots(runs)))
        self._most = max(int(run.counts.max()) for run in runs)
        self.capacity = aligned(self._most + (PERIOD - 1 if how.rate else 0))
        tiles = groups * self.tiles
        self.room = Room(model, groups * self.capacity, tiles * self.height, how.rate > 0)
        self.views = Views(model, tiles, self.height, self.columns)
        periods = sum(int(run.closings.sum(1).max()) for run in runs) if how.rate else 0
        self.follower = Follower(
            machine, self.room, [flagship.network], how, groups, self.capacity, periods
        )
        self._sizes = machine.zeros(tiles, 2, dtype=torch.int64)
        self._time = machine.zeros(1, dtype=torch.int64)
        self.count, self.coded = (machine.zeros(groups, dtype=torch.int64) for _ in range(2))
        self.span = Span(groups, self._most, self.capacity, self.pending, self.count)
        products = model.products
        rest = machine.range(products.terms - products.count) + products.n
        self._firsts = torch.cat([products.rows, rest])
        self._seconds = torch.cat([products.columns, rest])
        self.sigmoid = mixture.pairs(model.prior.sigmoid)
        self._steps = Steps(machine, self.follower)

    @property
    def pending(self) -> Tensor:
        """How many rows of each group wait to be learned from, int64 (groups,)."""
        return self.follower.pending

    def prepare(self, source: Source) -> None:
        """Try a step out, which moves everything; so begin anew."""
        self._sizes.fill_(1)
        self._begin()
        self._steps.prepare(self.step(source))
        self.coded.zero_()

    def _begin(self) -> None:
        """Begin a run; pixels `coded` are those of all runs."""
        self.views.clear()
        for one in (self._time, self.pending):
            one.zero_()

    def run(self, run: Run, source: Source) -> None:
        """Code a run of every group, with the source that was prepared."""
        self._begin()
        sizes = self.model.machine.tensor(run.sizes).view(self.groups, run.tiles, 2)
        self._sizes.zero_()
        self._sizes.view(self.groups, self.tiles, 2)[:, : run.tiles] = sizes
        closings = run.closings if self._how.rate else np.zeros((self.groups, run.steps), bool)
        self._steps.run(self.step(source), closings)

    def launch(self, kernel: fused.Kernel, each: int, *args: Any, **fixed: Any) -> None:
        """Run a kernel on the step's rows, `each` a program."""
        grid = (self.groups, -(-self._most // each))
        fused.launch(kernel, grid, self.pending, self.count, *args, **fixed)

    def step(self, source: Source) -> Step:
        """Return a step, with a source of pixels."""
        return Step(self._find, partial(self._code, source))

    def _code(self, source: Source) -> None:
        """Code the pixels of a step, and go on to the next."""
        self._look()
        self._run_trunk()
        for c in range(self.model.flagship.channels):
            self._run_head(c)
            source(self, c)
        self._leave()

    def _find(self) -> None:
        """Find the step's pixels and their windows, and solve the experts' systems."""
        r, field = self.room, self.views.planes
        fused.launch(
            rows.place, (self.groups, self.tiles), self._sizes, self._time, self.pending,
            self.count, r.tile, r.y, r.x, r.at, r.spot, r.bases, field.flat, self.tiles,
            self.height, self.capacity, r.rows, field.down, field.across, field.plane,
            channels=field.channels, all_tiles=fused.power(self.tiles), width=self._lanes,
        )  # fmt: skip
        products = self.model.products
        rows_of_all = -(-self._most // window.ROWS)
        fused.launch(
            window.sums, (self.groups, rows_of_all, -(-products.terms // window.TERMS)),
            self.pending, self.count, self._time, r.tile, r.y, r.x, r.spot, self._sizes, r.row,
            r.above, r.samples, r.total, self._firsts, self._seconds, self.capacity, r.rows,
            r.everywhere, products.terms, products.count, r.samples.shape[1], lanes=window.ROWS,
            width=window.TERMS, warps=window.WARPS,
        )  # fmt: skip
        self._solve()

    def _solve(self) -> None:
        """Solve the experts' systems."""
        r, model, views = self.room, self.model, self.views
        field, alphabet, tables = views.planes, model.alphabet, model.tables
        channels, products = field.channels, model.products
        self.launch(
            expert.solve, expert.LANES, self._time, r.at, r.spot, r.bases, field.flat,
            views.regressors, views.whose, r.total, r.samples, r.partial, r.link, r.energy,
            tables.log, self.capacity, r.rows, r.everywhere, alphabet.limit,
            float(int(model.flagship.design.ridge[0]) * ONE), n=products.n, channels=channels,
            levels=max(1, (products.n - channels - 1).bit_length()), lanes=expert.LANES,
            warps=expert.WARPS,
        )  # fmt: skip

    def _look(self) -> None:
        """Gather the network's inputs."""
        r, model, views = self.room, self.model, self.views
        field, alphabet, tables = views.planes, model.alphabet, model.tables
        channels, products, design = field.channels, model.products, model.flagship.design
        neighbours, places = len(design.neighbours), len(design.places)
        self.launch(
            context.gather, context.LANES, r.at, r.bases, field.flat, views.errors.flat,
            views.neighbour_offsets, views.place_offsets, r.total, r.partial, r.energy, r.inputs,
            r.scales, tables.log, tables.gain, self.capacity, r.rows, field.plane, products.terms,
            r.inputs.shape[1], len(tables.gain), alphabet.limit, alphabet.loudest,
            neighbours, places, min(places, 2), channels=channels, deep=alphabet.deep,
            lanes=context.LANES, warps=context.WARPS, most_differences=fused.power(neighbours),
            most_errors=fused.power(places),
        )  # fmt: skip
        if model.pictures is not None:
            self._look_at(model.pictures)

    def _look_at(self, pictures: Pictures) -> None:
        """Gather what the network sees of pictures, the last of its inputs."""
        r, model, field = self.room, self.model, self.views.planes
        width = r.inputs.shape[1]
        pixels_at, tables = self.views.neighbour_offsets[0], model.tables
        self.launch(
            painted.look, painted.LANES, r.tile, r.y, r.x, r.at, r.bases, r.scales, field.flat,
            pictures.flat, pixels_at, pictures.neighbours, pictures.near, pictures.places,
            r.inputs, tables.log, tables.gain, self.capacity, r.rows, field.plane, pictures.plane,
            pictures.stride, width, width - field.channels * INPUTS, len(pixels_at),
            len(pictures.places), channels=field.channels, lanes=painted.LANES,
        )  # fmt: skip

    def _run_trunk(self) -> None:
        r = self.room
        layers.run_trunk(self.span, r.inputs, self.follower.weights, r.values, r.fan)

    def _run_head(self, c: int) -> None:
        """Find the mixtures of channel `c`."""
        r, w, model = self.room, self.follower.weights, self.model
        prior, alphabet = model.prior, model.alphabet
        begin = sum(part.shape[1] for part in r.hidden[:c])
        width = r.hidden[c].shape[1]
        known, outs = w.seen[c], w.outs[c]
        self.launch(
            head.head, head.ROWS, r.fan[:, begin:], w.head_bias[c], known, outs, w.out_bias[c],
            r.partial, r.link, r.bases, r.scales, r.pixels, r.centres, r.predictions, r.errors,
            r.seen, r.hidden[c], r.weights[c], r.means[c], r.inverses[c], r.lows,
            model.tables.log, model.tables.gain, prior.exp, prior.inverse, prior.span,
            self.capacity, r.rows, r.fan_width, width, apart(outs, 2), apart(w.out_bias[c], 1),
            len(prior.exp), len(prior.inverse), alphabet.limit, alphabet.values, r.components,
            c=c, channels=model.flagship.channels, deep=alphabet.deep, rows=head.ROWS,
            columns=fused.power(width, 16), slots=fused.power(r.components, 4), warps=head.WARPS,
        )  # fmt: skip

    def _leave(self) -> None:
        """Place the step's pixels, note what learning needs, go on."""
        r, model, field = self.room, self.model, self.views.planes
        tables, alphabet, products = model.tables, model.alphabet, model.products
        self.launch(
            finish.finish, finish.ROWS, self._time, r.tile, r.y, r.x, r.at, r.spot, self._sizes,
            r.bases, r.scales, r.pixels, r.centres, r.predictions, r.errors, r.seen, field.flat,
            self.views.errors.flat, r.samples, tables.log, tables.gain, self.capacity, r.rows,
            r.everywhere, field.down, field.across, field.plane, alphabet.limit, products.n,
            channels=field.channels, deep=alphabet.deep, rows=finish.ROWS,
        )  # fmt: skip
        if self._how.rate:
            self.launch(
                learning.slopes, learning.ROWS, r.pixels, r.scales, r.weights, r.means,
                r.inverses, r.deltas, self.sigmoid, model.prior.span, self.capacity,
                r.rows, alphabet.values, r.components, channels=field.channels,
                rows=learning.ROWS, slots=fused.power(r.components),
            )  # fmt: skip
        fused.launch(
            rows.advance, (self.groups,), self._time, self.count, self.pending, self.coded,
            learns=self._how.rate > 0,
        )  # fmt: skip
