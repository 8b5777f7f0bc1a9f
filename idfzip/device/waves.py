"""Decoding and encoding a batch of groups by fused kernels: as `decoding` and `encoding` do.

Both go along the wavefront: encoding, too, then needs room for no more than a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.codecs.block import Coded
from idfzip.codecs.flagship import Learning
from idfzip.coding import ans, turns
from idfzip.coding.ans import Words
from idfzip.coding.turns import Turns
from idfzip.device import coder, pusher
from idfzip.device.fused import noting
from idfzip.device.model import Model
from idfzip.device.room import aligned
from idfzip.device.schedule import Run
from idfzip.device.taker import Taker
from idfzip.device.wavefront import Wavefront
from idfzip.flows.autoregressive import Planes
from idfzip.integer.log2 import STEPS

MANY = 1 << 22
"""Pixels of a run that are worth threads to copy."""


class Decoder:
    """Decodes groups, run after run; made for the runs of one batch."""

    def __init__(
        self,
        model: Model,
        how: Learning,
        runs: Sequence[Run],
        host: Turns,
        cut: bool = False,
    ) -> None:
        """Begin where the decoders of the host stand, which stay there.

        If streams are `cut`, it is counted how far they go (`shown`).
        """
        self._model, self._runs, self._cut = model, runs, cut
        self._shown = model.machine.zeros(len(host.place), dtype=torch.int64)
        self._wave = Wavefront(model, how, runs, len(host.place))
        self._taker = Taker(model.machine, host, model.alphabet.values)

    def _take(self, wave: Wavefront, c: int) -> None:
        """Take a channel's pixels from the streams."""
        self._taker.take(wave.span, wave.room, wave.sigmoid, c)
        if self._cut and c + 1 == self._model.flagship.channels:
            self._shown.add_(~coder.starved(self._taker.coder))

    def run(self) -> list[Tensor]:
        """Return for each run the planes, (groups * tiles, C, rows, columns), and nothing else.

        Values beyond a tile's sides mean nothing.
        """
        self._wave.prepare(self._take)
        self._taker.begin()
        self._shown.zero_()
        return [self._decoded(run) for run in self._runs]

    def _decoded(self, run: Run) -> Tensor:
        wave = self._wave
        wave.run(run, self._take)
        field = wave.views.planes
        inner = field.images(field.flat, wave.height, wave.columns)
        kind = torch.int32 if self._model.alphabet.deep else torch.int16
        return inner.to(kind, copy=True)  # the next run overwrites them

    def finished(self) -> list[bool]:
        """Return whether each stream ended just where its symbols did."""
        return coder.finished(self._taker.coder)

    def shown(self) -> list[int]:
        """Return how many steps the streams held all words of; many where they are not `cut`."""
        if not self._cut:
            return [sum(run.steps for run in self._runs)] * len(self._shown)
        return [int(count) for count in self._shown.cpu().numpy()]


class Encoder:
    """Codes groups, run after run; made for the runs of one batch."""

    def __init__(self, model: Model, how: Learning, runs: Sequence[Run], groups: int) -> None:
        self._model, self._channels = model, model.flagship.channels
        self._wave = Wavefront(model, how, runs, groups)
        pixels = np.sum([run.counts.sum(1) for run in runs], 0)
        self._counts: list[int] = (pixels * self._channels).tolist()
        most = aligned(max(self._counts))
        self._symbols = model.machine.empty(2, groups, most, dtype=torch.int32)
        self._costs = model.machine.zeros(groups * self._wave.tiles, dtype=torch.int64)
        self._log = model.machine.tensor(turns.TABLE, torch.int64)
        self._noted: list[tuple[Run, Tensor]] = []
        kind = torch.int32 if model.alphabet.deep else torch.int16
        self._truth = model.machine.zeros(len(self._wave.views.planes.flat), dtype=kind)
        self._wave.prepare(self._note)

    def _note(self, wave: Wavefront, c: int) -> None:
        """Copy a channel's pixels, and note their intervals."""
        r = wave.room
        cumulative, frequency = self._symbols
        wave.launch(
            noting.note, noting.ROWS, wave.coded, r.tile, r.at, self._truth, r.weights[c],
            r.means[c], r.inverses[c], r.lows, wave.sigmoid, r.pixels[c], cumulative,
            frequency, self._costs, self._log, wave.capacity, self._model.alphabet.values,
            cumulative.shape[1], c * wave.views.planes.plane, c=c, channels=self._channels,
            components=r.components, rows=noting.ROWS, sharing=1, several=wave.tiles > 1,
        )  # fmt: skip

    def encode(self, run: Run, tiles: Sequence[Planes]) -> None:
        """Note the symbols of every group, of a run's tiles: int32 (C, height, width).

        There is a tile for each of the run's sizes, an empty one where that is 0.
        """
        wave = self._wave
        inner = wave.views.planes.images(self._truth, wave.height, wave.columns)
        shape = (wave.groups, wave.tiles, *inner.shape[1:])
        truth = np.zeros(shape, np.int32 if self._model.alphabet.deep else np.int16)

        def fill(i: int) -> None:
            _, height, width = tiles[i].shape
            truth[i // run.tiles, i % run.tiles, :, :height, :width] = tiles[i]

        if truth.size > MANY:
            self._model.machine.each(fill, len(tiles))
        else:
            for i in range(len(tiles)):
                fill(i)
        inner.copy_(self._model.machine.tensor(truth).flatten(0, 1))
        self._costs.zero_()
        wave.run(run, self._note)
        self._noted.append((run, self._costs.clone()))

    def intervals(self) -> list[npt.NDArray[np.int32]]:
        """Return each group's symbols, of all runs, int32 (2, symbols)."""
        found = self._model.machine.host(self._symbols)
        return [found[:, g, :count] for g, count in enumerate(self._counts)]

    def pushed(self, parts: Sequence[int]) -> list[Callable[[], Coded]]:
        """Return what gives streams, of all runs of so many groups each, and the bits of tiles."""
        machine, groups = self._model.machine, self._wave.groups
        costs = machine.host(torch.stack([one for _, one in self._noted]))
        costs = costs.reshape(len(self._noted), groups, -1)
        there = np.zeros(costs.shape, bool)
        for into, (run, _) in zip(there, self._noted, strict=True):
            into[:, : run.tiles] = run.sizes[:, 0].reshape(groups, -1) > 0
        ends = np.cumsum(parts)
        mine = [slice(end - count, end) for end, count in zip(ends, parts, strict=True)]
        symbols, counts = self._joined(mine)
        words = pusher.push(machine, symbols, counts, [int(costs[:, g].sum()) for g in mine])
        return [
            partial(_coded, one, costs[:, g][there[:, g]] / STEPS)
            for g, one in zip(mine, words, strict=True)
        ]

    def _joined(self, streams: Sequence[slice]) -> tuple[Tensor, list[int]]:
        """Return the symbols of streams, each of some groups, and how many there are."""
        if len(streams) == len(self._counts):
            return self._symbols, self._counts
        counts = [sum(self._counts[g]) for g in streams]
        found = self._model.machine.empty(2, len(counts), aligned(max(counts)), dtype=torch.int32)
        for i, groups in enumerate(streams):
            numbers = range(groups.start, groups.stop)
            pieces = [self._symbols[:, g, : self._counts[g]] for g in numbers]
            found[:, i, : counts[i]] = torch.cat(pieces, 1)
        return found, counts


def _coded(words: Words, bits: npt.NDArray[np.float64]) -> Coded:
    return Coded(ans.to_bytes(words), bits.tolist())
