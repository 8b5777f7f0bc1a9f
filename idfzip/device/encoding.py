"""Encoding a batch of groups: the pixels are known, so all of them are taken at once.

Only the sums of the window run along rows and columns, and a network that learns goes from period
to period. Symbols are noted in the order of decoding; pushing them is the host's work, whose
threads do so while the device goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.codecs.block import Coded
from idfzip.codecs.flagship import Learning
from idfzip.coding import ans, turns
from idfzip.device import context, expert, mixture, network
from idfzip.device.expert import Solution
from idfzip.device.field import Positions
from idfzip.device.learner import Learner
from idfzip.device.model import Model, Views
from idfzip.device.network import Seen
from idfzip.device.schedule import Run
from idfzip.device.window import all_sums
from idfzip.flows.autoregressive import Planes
from idfzip.flows.expert import UNIT
from idfzip.integer.learning import PERIOD
from idfzip.integer.log2 import STEPS

SYSTEMS = 1 << 15
"""Positions whose systems are solved at once: what bounds the room that they take."""

ROWS = 1 << 15
"""Rows of all groups that a network which stays takes at once."""

Integers = npt.NDArray[np.int32]


class Symbols(NamedTuple):
    """A group's symbols of one run in order of decoding, int32 (n,).

    `tile` says whose each is, of so many `tiles`.
    """

    cumulative: Integers
    frequency: Integers
    tile: Integers
    tiles: int


class _Pixels(NamedTuple):
    """What coding needs of pixels, first axes (N,) or (groups, rows).

    `inputs` float32; `seen` float32 (.., 4 C), `scales`, `centres`, `lows`, `values` int64 (.., C).
    """

    inputs: Tensor
    seen: Tensor
    scales: Tensor
    centres: Tensor
    lows: Tensor
    values: Tensor


class Encoder:
    """Codes groups, run after run; made for the runs of one batch."""

    def __init__(self, model: Model, how: Learning, runs: Sequence[Run], groups: int) -> None:
        self.model, self._groups, self._how = model, groups, how
        periods = sum(int(run.closings.sum(1).max()) for run in runs) if how.rate else 0
        self._learner = Learner(model.machine, [model.flagship.network], how, groups, periods)
        self._noted: list[list[Symbols]] = [[] for _ in range(groups)]

    def encode(self, run: Run, tiles: Sequence[Planes]) -> None:
        """Note the symbols of every group, of a run's tiles: int32 (C, height, width).

        There is a tile for each of the run's sizes, an empty one where that is 0.
        """
        found, height, width = self._pixels(run, tiles)
        order, places, whose = self._order(run, height, width)
        rows = _Pixels(*(one[order] for one in found))
        lower, upper = self._intervals(rows, run)
        channels = self.model.flagship.channels
        room = self.model.machine.empty(3, *places.flatten(1).shape, dtype=torch.int32)
        whose_each = whose[..., None].expand_as(places)
        for into, one in zip(room, (lower, upper - lower, whose_each), strict=True):
            into.scatter_(1, places.flatten(1), one.flatten(1).to(torch.int32))
        symbols = room.cpu().numpy()
        there = (run.sizes[:, 0].reshape(self._groups, -1) > 0).sum(1)
        for g, count in enumerate(run.counts.sum(1) * channels):
            cumulative, frequency, tile = symbols[:, g, :count]
            self._noted[g].append(Symbols(cumulative, frequency, tile, int(there[g])))

    def intervals(self) -> list[Integers]:
        """Return each group's symbols, of all runs, int32 (2, symbols)."""
        return [np.concatenate([one[:2] for one in runs], 1) for runs in self._noted]

    def pushed(self, parts: Sequence[int]) -> list[Callable[[], Coded]]:
        """Return what gives each group's stream, of all runs, and the bits of its tiles."""
        return [partial(_coded, runs) for runs in self._noted]

    def _pixels(self, run: Run, tiles: Sequence[Planes]) -> tuple[_Pixels, int, int]:
        """Return what is known of all pixels, and the rows and columns of a tile's room."""
        model = self.model
        machine, channels = model.machine, model.flagship.channels
        height, width = (int(n) for n in run.sizes.max(0))
        views = Views(model, len(tiles), height, width)
        views.clear()
        truth = np.zeros((len(tiles), channels, height, width), np.int32)
        for b, tile in enumerate(tiles):
            truth[b, :, : tile.shape[1], : tile.shape[2]] = tile
        values = machine.tensor(truth).to(torch.int64).permute(0, 2, 3, 1).reshape(-1, channels)
        p = self._positions(run, height, width)
        for part in _parts(len(values), SYSTEMS):
            targets = views.planes.targets(_part(p, part))
            for c in range(channels):
                views.planes.place(targets, c, values[part, c])
        at = views.planes.at(p)
        bases = views.planes.bases(at)
        shape = (len(tiles), height, width)
        pairs = torch.cat(
            [
                model.products.pairs(views.samples(at[part], bases[part]), p.inside[part])
                for part in _parts(len(values), SYSTEMS)
            ]
        )
        sums = all_sums(pairs.view(*shape, -1)).flatten(0, 2)
        del pairs
        solved = [
            views.solve(sums[part], at[part], bases[part]) for part in _parts(len(values), SYSTEMS)
        ]
        found = Solution(*(torch.cat(one) for one in zip(*solved, strict=True)))
        del sums, solved
        return self._seen(views, p, at, bases, values, found, shape), height, width

    def _seen(
        self,
        views: Views,
        p: Positions,
        at: Tensor,
        bases: Tensor,
        values: Tensor,
        found: Solution,
        shape: tuple[int, int, int],
    ) -> _Pixels:
        """Return what the network and its heads see, the experts' errors being known."""
        model = self.model
        alphabet, channels = model.alphabet, model.flagship.channels
        limit, deep = alphabet.limit, alphabet.deep
        lows = torch.zeros_like(values)
        lows[:, 1:] = -values[:, :1]
        errors: list[Tensor] = []
        means = []
        for c in range(channels):
            prediction = expert.predict(found, c, errors, limit)
            means.append(expert.to_mean(prediction, bases[:, c], lows[:, c], alphabet.values))
            difference = (values[:, c] - bases[:, c]).clamp(-limit, limit)
            errors.append(difference.to(torch.float64) - prediction)
        centres = torch.stack(means, 1)
        misses = values * UNIT - centres
        for part in _parts(len(values), SYSTEMS):
            targets = views.errors.targets(_part(p, part))
            for c in range(channels):
                views.errors.place(targets, c, misses[part, c])
        sizes = all_sums(model.products.sizes(misses, p.inside).view(*shape, -1)).flatten(0, 2)
        wide = expert.wide(sizes, found.weight)
        made = []
        for part in _parts(len(values), SYSTEMS):
            mine = Solution(*(one[part] for one in found))
            here = _part(p, part)
            made.append(views.inputs(here, at[part], bases[part], wide[part], mine))
        inputs, scales = (torch.cat(one) for one in zip(*made, strict=True))
        gain = model.tables.gain[scales]
        leads = context.over(centres - bases * UNIT, gain, deep)
        leads = torch.cat([leads[:, 1:], torch.zeros_like(leads[:, :1])], 1)
        seen = [
            torch.cat(
                [
                    context.see_error(misses[:, c], gain[:, c], deep, model.tables.log),
                    leads[:, c : c + 1],
                ],
                1,
            )
            for c in range(channels)
        ]
        shown = torch.cat(seen, 1).to(torch.float32)
        return _Pixels(inputs, shown, scales, centres, lows, values)

    def _positions(self, run: Run, height: int, width: int) -> Positions:
        """Return all places of the tiles' room, tile by tile and row by row."""
        machine = self.model.machine
        number = machine.range(len(run.sizes) * height * width)
        tile, y, x = number // (height * width), number // width % height, number % width
        sizes = machine.tensor(run.sizes)[tile]
        inside = (y < sizes[:, 0]) & (x < sizes[:, 1])
        y, x = torch.where(inside, y, 0), torch.where(inside, x, 0)
        return Positions(tile, y, x, sizes[:, 0], sizes[:, 1], inside)

    def _order(self, run: Run, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the order of decoding: places of the room, (G, N), those of no pixel last.

        Also where symbols go, (G, N, C), and the pixels' tiles in their groups, (G, N).
        """
        machine, groups = self.model.machine, self._groups
        p = self._positions(run, height, width)
        t, tile = p.x + 2 * p.y, p.tile % run.tiles
        key = torch.where(p.inside, (t * run.tiles + tile) * height + p.y, 1 << 62)
        order = key.view(groups, -1).argsort(1)
        counts = machine.tensor(run.counts)
        starts = counts.cumsum(1) - counts
        group = machine.range(groups)[:, None]
        first = group * (run.tiles * height * width)
        rows = order + first
        step = torch.where(p.inside, t, 0)[rows]
        start, count = starts[group, step], counts[group, step]
        number = machine.range(order.shape[1])
        channel = machine.range(self.model.flagship.channels)
        channels = len(channel)
        place = (start * channels + number - start)[..., None] + channel * count[..., None]
        last = (number * channels)[:, None] + channel
        return rows, torch.where(p.inside[rows][..., None], place, last), tile[rows]

    def _intervals(self, rows: _Pixels, run: Run) -> tuple[Tensor, Tensor]:
        """Return the ends of all intervals, int64 (G, N, C)."""
        if self._how.rate:
            return self._learning(rows, run)
        found = [
            torch.stack(self._coded(_Pixels(*(one[:, part] for one in rows)))[:2])
            for part in _parts(rows.inputs.shape[1], max(1, ROWS // self._groups))
        ]
        lower, upper = torch.cat(found, 2)
        return lower, upper

    def _learning(self, rows: _Pixels, run: Run) -> tuple[Tensor, Tensor]:
        """Do so period by period, with a network that learns from each."""
        machine = self.model.machine
        starts, counts = (machine.tensor(one) for one in run.periods())
        most = int(run.periods()[1].max())
        number, group = machine.range(most), machine.range(self._groups)[:, None]
        ends = machine.empty(2, *rows.values.shape, dtype=torch.int64)
        ends.zero_()
        last = rows.values.shape[1] - 1
        for k in range(starts.shape[1]):
            there = number < counts[:, k : k + 1]
            at = (starts[:, k : k + 1] + number).clamp(max=last)
            mine = _Pixels(*(one[group, at] for one in rows))
            lower, upper, done = self._coded(mine)
            for into, one in zip(ends, (lower, upper), strict=True):
                kept = torch.where(there[..., None], one, 0)
                into.scatter_add_(1, at[..., None].expand_as(kept), kept)
            deltas = [torch.where(there[..., None], one, 0) for one in done.deltas]
            self._learner.close(done._replace(deltas=deltas), counts[:, k] >= PERIOD)
        return ends[0], ends[1]

    def _coded(self, rows: _Pixels) -> tuple[Tensor, Tensor, Seen]:
        """Return the ends of the intervals of rows (G, P, ..), and what the network did."""
        model, weights = self.model, self._learner.weights
        values, sigmoid = model.alphabet.values, model.prior.sigmoid
        trunk = network.run_trunk(rows.inputs, weights)
        ends: list[list[Tensor]] = [[], []]
        hidden, deltas = [], []
        shape = rows.values.shape[:2]
        for c in range(model.flagship.channels):
            head = network.run_head(c, trunk.fan, rows.seen, weights)
            scales, centres, lows, pixels = (
                one[..., c].flatten() for one in (rows.scales, rows.centres, rows.lows, rows.values)
            )
            mixed = mixture.mix(head.sums.flatten(0, 1), scales, centres, lows, model.prior)
            edges = [mixture.edges(pixels + up, values, mixed, sigmoid) for up in range(2)]
            for up, into in enumerate(ends):
                one = mixture.ends(pixels + up, values, mixed, edges[up].levels)
                into.append(one.view(shape))
            hidden.append(head.hidden)
            if self._how.rate:
                deltas.append(mixture.slopes(edges[0], edges[1], mixed).view(*shape, -1))
        lower, upper = (torch.stack(one, -1) for one in ends)
        return lower, upper, Seen(rows.inputs, rows.seen, trunk.values, hidden, deltas)


def _coded(runs: Sequence[Symbols]) -> Coded:
    costs = [turns.cost_of(one.frequency[one.tile == k]) for one in runs for k in range(one.tiles)]
    words = turns.push_all(*np.concatenate([one[:2] for one in runs], 1))
    return Coded(ans.to_bytes(words), [cost / STEPS for cost in costs])


def _parts(count: int, size: int) -> list[slice]:
    return [slice(i, min(i + size, count)) for i in range(0, count, size)]


def _part(p: Positions, part: slice) -> Positions:
    return Positions(*(one[part] for one in p))
