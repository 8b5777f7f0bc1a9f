"""The bipartite order on a device, of many images at once (see `flows.bipartite`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from idfzip.device.densenet import DenseNet
from idfzip.device.machine import Machine
from idfzip.device.stack import depth_to_space, space_to_depth
from idfzip.flows import bipartite as kernels
from idfzip.flows import permutation
from idfzip.flows.coupling import LOW, SHIFT


def wrap(values: Tensor) -> Tensor:
    """Return values modulo 256, in [-128, 127]."""
    return ((values - LOW) & 255) + LOW


class Level:
    """A level's permutations and couplings on a device."""

    def __init__(self, machine: Machine, level: kernels.Level) -> None:
        rows = level.permutations
        self.channels = level.channels
        self._before = [machine.tensor(row, torch.int64) for row in rows]
        self._undo = [machine.tensor(permutation.inverse(row), torch.int64) for row in rows]
        self._nets = [DenseNet(machine, net) for net in level.couplings]

    def forward(self, values: Tensor) -> Tensor:
        """Return the level's values, int32 (B, height, width, channels), after its couplings."""
        for net, before in zip(self._nets, self._before, strict=False):
            values = values[..., before]
            kept, rest = values[..., : net.inputs], values[..., net.inputs :]
            values = torch.cat([kept, wrap(rest - _translation(net, kept))], 3)
        return values[..., self._before[-1]]

    def inverse(self, values: Tensor) -> Tensor:
        """Undo `forward`."""
        values = values[..., self._undo[-1]]
        for d in reversed(range(len(self._nets))):
            net = self._nets[d]
            kept, rest = values[..., : net.inputs], values[..., net.inputs :]
            values = torch.cat([kept, wrap(rest + _translation(net, kept))], 3)
            values = values[..., self._undo[d]]
        return values


def _translation(net: DenseNet, values: Tensor) -> Tensor:
    return (net.sums(values) + (1 << (SHIFT - 1))) >> SHIFT


def forward(levels: Sequence[Level], values: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return each level's latents and the channels that go on: `bipartite.forward`."""
    found = []
    for i, level in enumerate(levels):
        values = level.forward(space_to_depth(values, 2))
        kept = 0 if i == len(levels) - 1 else level.channels // 2
        found.append((values[..., kept:], values[..., :kept]))
        values = values[..., :kept]
    return found


def inverse(
    levels: Sequence[Level], given: Tensor, latents: Callable[[int, Tensor], Tensor]
) -> Tensor:
    """Return the values of latents, `latents(i, given)`, the last level's first.

    `given` has no channels: (B, height, width, 0), places of the last level.
    """
    for i in reversed(range(len(levels))):
        values = torch.cat([given, latents(i, given)], 3)
        given = depth_to_space(levels[i].inverse(values), 2)
    return given
