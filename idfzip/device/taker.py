"""Taking the symbols of a step from streams, by fused kernels (`fused.symbols`)."""

from __future__ import annotations

import torch
from torch import Tensor

from idfzip.coding.turns import Turns
from idfzip.device import coder, fused
from idfzip.device.fused import symbols
from idfzip.device.layers import Span
from idfzip.device.machine import Machine
from idfzip.device.room import Rows


class Taker:
    """Decoders of streams, from where those of the host stand, which stay there.

    So many groups are `sharing` a stream, of which one has pixels in a step. Where it `guesses`,
    streams that lack words give means; `read` int64 (streams,) counts the values that they held.
    """

    def __init__(
        self,
        machine: Machine,
        host: Turns,
        alphabet: int,
        sharing: int = 1,
        guesses: bool = False,
    ) -> None:
        self._alphabet = alphabet
        self._sharing, self._guesses = sharing, guesses
        self.coder = coder.there(machine, host)
        self._start = [one.clone() for one in coder.moving(self.coder)]
        self._states = self.coder.state.shape[1]
        self._ways = symbols.ways(self._states)
        self._rounds = symbols.rounds(alphabet, self._ways)
        self.read = machine.zeros(len(host.place), dtype=torch.int64)

    def begin(self) -> None:
        """Begin anew."""
        for mine, start in zip(coder.moving(self.coder), self._start, strict=True):
            mine.copy_(start)
        self.read.zero_()

    def take(self, span: Span, room: Rows, sigmoid: Tensor, c: int) -> None:
        """Take the pixels of channel `c` of a span's rows; `sigmoid` as of `mixture.pairs`."""
        groups, ways = span.groups, self._ways
        mixtures = (room.weights[c], room.means[c], room.inverses[c], room.lows, sigmoid)
        fused.launch(
            symbols.probe, (groups, -(-span.most // symbols.PROBED)), span.first, span.count,
            *mixtures, room.probes, span.capacity, self._alphabet, ways ** (self._rounds - 1),
            components=room.components, rows=symbols.PROBED, ways=ways,
        )  # fmt: skip
        one = self.coder
        fused.launch(
            symbols.take, (groups,), span.first, span.count, one.words, one.place, one.end,
            one.state, one.states, one.turn, *mixtures, room.probes, room.pixels[c], self.read,
            span.capacity, self._alphabet, components=room.components, rounds=self._rounds,
            lanes=self._states, ways=ways, sharing=self._sharing, guesses=self._guesses,
            warps=symbols.warps(self._states),
        )  # fmt: skip
