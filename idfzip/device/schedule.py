"""Which pixels come when: steps, runs of tiles and the periods of a network that learns.

A *group* is what one network codes into one stream: a tile, or the tiles of a block, which come in
*runs* that advance together. All of this follows from the tiles' sizes alone, so that the host
plans without asking the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from idfzip.flows import wavefront
from idfzip.integer.learning import PERIOD

Size = tuple[int, int]
"""Height and width of a tile."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """The sizes of tiles, those of a run after those of the run before."""

    sizes: tuple[Size, ...]
    lockstep: int = 1

    @property
    def runs(self) -> list[tuple[Size, ...]]:
        """The sizes of each run's tiles."""
        starts = range(0, len(self.sizes), self.lockstep)
        return [self.sizes[i : i + self.lockstep] for i in starts]

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return sum(h * w for h, w in self.sizes)

    @property
    def abreast(self) -> int:
        """Most pixels that it may have in a step."""
        return max(sum(min(h, (w + 1) >> 1) for h, w in run) for run in self.runs)


@dataclass(frozen=True)
class Run:
    """A run of every group of a batch, side by side.

    `sizes` int64 (groups * tiles, 2), those of tiles that are not there 0; `counts` int64 (groups,
    steps), each group's pixels in each step.
    """

    tiles: int
    sizes: Integers
    counts: Integers

    @property
    def steps(self) -> int:
        """Number of steps."""
        return int(self.counts.shape[1])

    @cached_property
    def closings(self) -> npt.NDArray[np.bool_]:
        """At which steps each group's periods end, bool (groups, steps)."""
        return closings(self.counts)

    def periods(self) -> tuple[Integers, Integers]:
        """Return first pixel and number of pixels of each group's periods, int64 (groups, n).

        The last of a group may be one that is not over, of fewer than PERIOD pixels.
        """
        ends = np.cumsum(self.counts, 1)
        closings = self.closings.copy()
        closings[:, -1] = True
        most = int(closings.sum(1).max())
        found = np.zeros((2, len(ends), most), np.int64)
        for g, closing in enumerate(closings):
            last = ends[g][closing]
            found[0, g, 1 : len(last)] = last[:-1]
            found[1, g, : len(last)] = np.diff(last, prepend=0)
        return found[0], found[1]


def closings(counts: Integers) -> npt.NDArray[np.bool_]:
    """Return at which steps periods of groups end, of their pixels in each: (groups, steps)."""
    found = np.zeros(counts.shape, bool)
    pending = np.zeros(len(counts), np.int64)
    for t in range(counts.shape[1]):
        pending += counts[:, t]
        found[:, t] = pending >= PERIOD
        pending[found[:, t]] = 0
    return found


def side_by_side(groups: Sequence[Group]) -> list[Run]:
    """Return the runs of groups that are coded together; those that have fewer are idle then."""
    runs = [group.runs for group in groups]
    found = []
    for i in range(max(map(len, runs))):
        now = [mine[i] if i < len(mine) else () for mine in runs]
        tiles = max(map(len, now))
        sizes = np.zeros((len(groups), tiles, 2), np.int64)
        for g, mine in enumerate(now):
            sizes[g, : len(mine)] = np.array(mine, np.int64).reshape(-1, 2)
        flat = sizes.reshape(-1, 2)
        used = flat[flat[:, 0] > 0]
        steps = int((used[:, 1] + wavefront.SLOPE * (used[:, 0] - 1)).max())
        counts = pixels_of_steps(flat, np.arange(steps)).reshape(len(groups), tiles, -1).sum(1)
        found.append(Run(tiles, flat, counts))
    return found


def pixels_of_steps(sizes: Integers, t: Integers) -> Integers:
    """Return how many pixels tiles (n, 2) have in steps (k,), int64 (n, k)."""
    height, width = sizes[:, :1], sizes[:, 1:]
    first = np.maximum(0, (t - width + 2) >> 1)
    found: Integers = np.maximum(0, np.minimum(height - 1, t >> 1) + 1 - first)
    return found


def slots(runs: Sequence[Run]) -> int:
    """Return the most pixels that a tile has in a step."""
    sizes = np.concatenate([run.sizes for run in runs])
    return int(np.minimum(sizes[:, 0], (sizes[:, 1] + 1) >> 1).max())
