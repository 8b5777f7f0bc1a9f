"""Room for the rows of fused kernels: what is known of each pixel of a step or period (`fused`)."""

from __future__ import annotations

import torch
from torch import Tensor

from idfzip.device.machine import Machine
from idfzip.device.model import Model
from idfzip.device.network import operands
from idfzip.integer.network import SEEN_INPUTS, Network

WHOLE, NARROW, SINGLES, DOUBLES = torch.int64, torch.int32, torch.float32, torch.float64

PROBES = 16
"""Values that a search for a symbol begins with (`fused.symbols`). [Not measured.]"""

SLOTS = 4
"""Steps of which the wavefront's sums and samples are kept (`fused.window`)."""

ALIGNED = 16
"""What sizes are multiples of: kernels are made anew for those that are not."""


def aligned(count: int) -> int:
    """Return a count of places, rounded up."""
    return -(-count // ALIGNED) * ALIGNED


class Rows:
    """Tensors of `rows` rows, whose values nobody relies on until kernels write them.

    Of a pixel: `at` (its place in the first plane), `inputs`, the trunk's `values`, its part `fan`
    of the heads' sums, what the heads have `seen`, of each channel `sees` numbers, and were
    (`hidden`), their mixtures, with what searches for symbols begin (`probes`), and the `pixels`
    themselves. If the network `learns`, the errors at all of these. Of more values than 256, which
    are `deep`, means may take more than 32 bits.
    """

    def __init__(
        self,
        machine: Machine,
        network: Network,
        rows: int,
        sees: int,
        learns: bool,
        deep: bool = False,
    ) -> None:
        self._machine, self.rows = machine, rows
        channels = network.channels
        self.components = network.components
        self.fan_width = sum(len(one.bias) for one in network.heads)
        self.at, self.lows = (self._of(WHOLE, rows) for _ in range(2))
        self.bases, self.scales, self.pixels, self.centres = (
            self._of(WHOLE, channels, rows) for _ in range(4)
        )
        factors = operands(machine)
        self.inputs = self._of(factors, rows, network.inputs)
        self.values = [self._of(factors, rows, len(layer.bias)) for layer in network.trunk]
        self.fan = self._of(SINGLES, rows, self.fan_width)
        self.seen = self._of(factors, rows, sees * channels)
        self.hidden = [self._of(factors, rows, len(one.bias)) for one in network.heads]
        self.weights, self.means, self.inverses = (
            self._of(kind, channels, rows, self.components)
            for kind in (NARROW, WHOLE if deep else NARROW, NARROW)
        )
        self.probes = self._of(NARROW, rows, PROBES)
        kept = rows if learns else 0
        self.deltas = self._of(factors, channels, kept, 3 * self.components)
        self.fan_deltas = self._of(factors, kept, self.fan_width)
        self.trunk_deltas = [self._of(factors, kept, len(layer.bias)) for layer in network.trunk]

    def _of(self, dtype: torch.dtype, *shape: int) -> Tensor:
        return self._machine.empty(*shape, dtype=dtype)


class Room(Rows):
    """Rows of the wavefront: also what its expert knows of each pixel.

    `tile`, `y` and `x`, the spot (`fused.window`), the window's sums `total`, and the expert's
    `partial`, `link` and `energy`. Of each of `everywhere` spots, in `SLOTS` slots: the window's
    running sums `row` and `above`, and `samples`, with what else its terms are made of.
    """

    def __init__(self, model: Model, rows: int, everywhere: int, learns: bool) -> None:
        network, deep = model.flagship.network, model.alphabet.deep > 0
        super().__init__(model.machine, network, rows, SEEN_INPUTS, learns, deep)
        channels, n = model.flagship.channels, model.products.n
        self.tile, self.y, self.x, self.spot = (self._of(WHOLE, rows) for _ in range(4))
        self.energy = self._of(WHOLE, channels, rows)
        self.partial, self.predictions, self.errors = (
            self._of(DOUBLES, channels, rows) for _ in range(3)
        )
        self.link = self._of(DOUBLES, channels * channels, rows)
        self.total = self._of(model.whole, model.products.terms, rows)
        self.everywhere = everywhere
        self.row, self.above = (
            self._of(model.whole, SLOTS, model.products.terms, everywhere) for _ in range(2)
        )
        self.samples = self._of(model.whole, SLOTS, n + 1 + channels, everywhere)
