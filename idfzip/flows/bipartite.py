"""The bipartite order: squeeze, couplings, factor-out, level by level.

Integer Discrete Flows, Hoogeboom et al. 2019, arXiv:1905.07376, after Real NVP. At each level but
the last, the second half of the channels leaves the flow as latents, given the first half, which
goes on; at the last, all are latents. So few, large steps undo it, from the last level up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from idfzip.errors import ModelError
from idfzip.flows import coupling, permutation, squeeze
from idfzip.flows.permutation import Permutations
from idfzip.integer.densenet import DenseNet, Values


@dataclass(frozen=True)
class Level:
    """Couplings with `permutations` int16 (couplings + 1, channels) around them.

    Raises ModelError where they do not fit together.
    """

    permutations: Permutations
    couplings: tuple[DenseNet, ...]

    def __post_init__(self) -> None:
        """Check that permutations and networks are of these channels."""
        channels = self.permutations.shape[-1]
        permutation.check(self.permutations, len(self.couplings), channels)
        for d, net in enumerate(self.couplings):
            if net.inputs + net.outputs != channels:
                raise ModelError(
                    f"coupling {d}: {net.inputs} + {net.outputs} channels, {channels} expected"
                )

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.permutations.shape[1])

    def forward(self, values: Values) -> Values:
        """Return the level's values, int32 (height, width, channels), after its couplings."""
        for net, before in zip(self.couplings, self.permutations, strict=False):
            values = coupling.forward(net, values[..., before])
        return values[..., self.permutations[-1]]

    def inverse(self, values: Values) -> Values:
        """Undo `forward`."""
        values = values[..., permutation.inverse(self.permutations[-1])]
        for d in reversed(range(len(self.couplings))):
            values = coupling.inverse(self.couplings[d], values)
            values = values[..., permutation.inverse(self.permutations[d])]
        return values


class Latents(NamedTuple):
    """What leaves the flow at a level, and the channels that go on: none at the last."""

    values: Values
    given: Values


def forward(levels: Sequence[Level], values: Values) -> list[Latents]:
    """Return the latents of each level of `values`, int32 (height, width, C) in [-128, 127].

    Both sides are multiples of 2**levels.
    """
    found = []
    for i, level in enumerate(levels):
        values = level.forward(squeeze.forward(values))
        kept = 0 if i == len(levels) - 1 else level.channels // 2
        found.append(Latents(values[..., kept:], values[..., :kept]))
        values = values[..., :kept]
    return found


def inverse(
    levels: Sequence[Level], height: int, width: int, latents: Callable[[int, Values], Values]
) -> Values:
    """Return the values, int32 (height, width, C), of latents.

    `latents(i, given)` is asked for those of level i, the last level first.
    """
    side = 1 << len(levels)
    given = np.zeros((height // side, width // side, 0), np.int32)
    for i in reversed(range(len(levels))):
        values = np.concatenate([given, latents(i, given)], axis=2)
        given = squeeze.inverse(levels[i].inverse(values))
    return given
