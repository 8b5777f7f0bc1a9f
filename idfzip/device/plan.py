"""Which piece of a tile comes when in the progressive order (see `flows.lattice`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idfzip.device.schedule import closings
from idfzip.flows.lattice import PHASES, PIECE, levels

Size = tuple[int, int]

FACTS = 4
"""What is known of a piece, beside its number of pixels: level, phase, row, first column."""


@dataclass(frozen=True)
class Plan:
    """The pieces of tiles, step by step, all of which follow from their sizes.

    `table` int32 (sizes, steps, 5): level, phase, row, first column and number of pixels, 0 where a
    size has no piece left; `whose` int64 (tiles,): the row of each tile's size.
    """

    sizes: Sequence[Size]
    table: npt.NDArray[np.int32]
    whose: npt.NDArray[np.int64]

    @property
    def steps(self) -> int:
        """Number of steps."""
        return int(self.table.shape[1])

    def closings(self) -> npt.NDArray[np.bool_]:
        """Return at which steps the periods of groups end: bool (tiles * PHASES, steps)."""
        _, phase, _, _, count = np.moveaxis(self.table, 2, 0)
        each = np.stack([np.where(phase == p, count, 0) for p in range(len(PHASES))], 1)
        found = closings(each.reshape(-1, self.steps).astype(np.int64))
        return found.reshape(*each.shape)[self.whose].reshape(-1, self.steps)


def plan(sizes: Sequence[Size]) -> Plan:
    """Return the plan of tiles of these sizes, (height, width)."""
    kinds = list(dict.fromkeys(sizes))
    rows = [_pieces(*size) for size in kinds]
    steps = max(1, *map(len, rows))  # one of no pixels where tiles have but one
    table = np.zeros((len(kinds), steps, FACTS + 1), np.int32)
    for into, mine in zip(table, rows, strict=True):
        into[: len(mine)] = mine
    return Plan(sizes, table, np.array([kinds.index(size) for size in sizes], np.int64))


def _pieces(height: int, width: int) -> npt.NDArray[np.int32]:
    """Return the pieces of a tile in the order of coding, int32 (steps, 5)."""
    found = []
    for bits in reversed(range(levels(height, width))):
        tall, wide = ((side - 1 >> bits) + 1 for side in (height, width))
        for phase, (top, left) in enumerate(PHASES):
            y, x = np.mgrid[top:tall:2, left : wide : 2 * PIECE]
            count = np.minimum(PIECE, (wide - x + 1) >> 1)
            facts = (np.full_like(y, bits), np.full_like(y, phase), y, x, count)
            found.append(np.stack(facts, 2).reshape(-1, 5))
    return np.concatenate([*found, np.zeros((0, 5), np.int64)]).astype(np.int32)
