"""Encoding and decoding a batch of tiles in the progressive order, by fused kernels (`pieces`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from idfzip.codecs.lattice import VALUES, Lattice
from idfzip.coding import turns
from idfzip.device import coder
from idfzip.device.fused import noting
from idfzip.device.machine import Machine
from idfzip.device.pieces import Pieces
from idfzip.device.plan import Size, plan
from idfzip.device.room import aligned
from idfzip.device.taker import Taker
from idfzip.flows.lattice import PHASES, Planes

Symbols = npt.NDArray[np.int32]


class Encoder:
    """Notes the intervals of tiles, but of their first pixels."""

    def __init__(
        self, machine: Machine, model: Lattice, tiles: Sequence[Planes], first: Symbols
    ) -> None:
        self._pieces = Pieces(machine, model, plan([tile.shape[1:] for tile in tiles]), first)
        planes = self._pieces.planes
        truth = np.zeros(planes.shape, np.int16)
        for into, tile in zip(truth, tiles, strict=True):
            into[:, : tile.shape[1], : tile.shape[2]] = tile
        self._truth = machine.tensor(truth)
        self._counts = [tile.size - model.channels for tile in tiles]
        most = aligned(max(self._counts))
        self._symbols = machine.empty(2, len(tiles), most, dtype=torch.int32)
        self._costs = machine.zeros(len(tiles), dtype=torch.int64)
        self._log = machine.tensor(turns.TABLE, torch.int64)

    def _note(self, pieces: Pieces, c: int) -> None:
        """Copy a channel's pixels, and note their intervals."""
        r = pieces.room
        cumulative, frequency = self._symbols
        pieces.launch(
            noting.note, noting.ROWS, pieces.coded, r.at, r.at, self._truth, r.weights[c],
            r.means[c], r.inverses[c], r.lows, pieces.sigmoid, r.pixels[c], cumulative,
            frequency, self._costs, self._log, pieces.capacity, VALUES, cumulative.shape[1],
            c * pieces.plane, c=c, channels=pieces.model.channels, components=r.components,
            rows=noting.ROWS, sharing=len(PHASES), several=False,
        )  # fmt: skip

    def noted(self) -> list[Symbols]:
        """Return each tile's cumulative frequencies and frequencies, int32 (2, symbols)."""
        self._pieces.prepare(self._note)
        self._pieces.run(self._note)
        found = self._symbols.to("cpu", copy=True).numpy()
        return [found[:, i, :count] for i, count in enumerate(self._counts)]


class Decoder:
    """Decodes what follows the first pixels of streams."""

    def __init__(
        self,
        machine: Machine,
        model: Lattice,
        host: turns.Turns,
        sizes: Sequence[Size],
        first: Symbols,
        cut: bool,
    ) -> None:
        self._taker = Taker(machine, host, VALUES, len(PHASES), cut)
        coder = self._taker.coder if cut else None
        self._pieces = Pieces(machine, model, plan(sizes), first, coder)

    def _take(self, pieces: Pieces, c: int) -> None:
        """Take a channel's pixels from the streams."""
        self._taker.take(pieces.span, pieces.room, pieces.sigmoid, c)

    def decoded(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int64], list[bool]]:
        """Return planes, and for each stream how many values it held, if cut, and if it ended."""
        self._pieces.prepare(self._take)
        self._taker.begin()
        self._pieces.run(self._take)
        planes = self._pieces.planes.to(torch.int16).cpu().numpy()
        return planes, self._taker.read.cpu().numpy(), coder.finished(self._taker.coder)
