"""Planes with margins, of a batch of tiles, in one flat tensor (see `flows.wavefront`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.device.machine import Machine
from idfzip.flows.wavefront import MARGIN, SLOPE


class Positions(NamedTuple):
    """Pixels of a batch, int64 (N,): tile, row, column, the tile's sides; bool: whether it is one.

    What is none has the row and column 0 of its tile, and whatever is found there is dropped.
    """

    tile: Tensor
    y: Tensor
    x: Tensor
    height: Tensor
    width: Tensor
    inside: Tensor


class Field:
    """Planes of tiles, flat and skewed, with margins, and one place more for what is dropped.

    Pixels of a step, of which each is two columns before the one in the row above, lie side by
    side: a column further is `across` places on, a row further two columns and one place, `down`.
    """

    def __init__(
        self,
        machine: Machine,
        tiles: int,
        channels: int,
        rows: int,
        columns: int,
        dtype: torch.dtype,
    ) -> None:
        self.across = rows + MARGIN
        self.down = SLOPE * self.across + 1
        self.plane = (columns + 2 * MARGIN + SLOPE * self.across) * self.across
        self.channels = channels
        self.flat = machine.empty(tiles * channels * self.plane + 1, dtype=dtype)
        self._channels = machine.range(channels) * self.plane
        self._near = self._channels[:, None] + machine.tensor(
            self.offsets([(0, -1), (-1, 0), (-1, -1), (-1, 1)])
        )

    def fill(self, first: int) -> None:
        """Fill the first plane of each tile with a constant, the others with 0."""
        self.flat.zero_()
        tiles = self.flat[:-1].view(-1, self.channels, self.plane)
        tiles[:, 0] = first

    def offsets(self, places: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the distances in the flat tensor of neighbours (n, 2), dy and dx, int64."""
        found = np.asarray(places, np.int64)
        flat: npt.NDArray[np.int64] = found[:, 0] * self.down + found[:, 1] * self.across
        return flat

    def images(self, flat: Tensor, rows: int, columns: int) -> Tensor:
        """Return a view of the pixels of planes that lie as these do, (tiles, C, rows, columns)."""
        tiles = len(flat) // (self.channels * self.plane)
        strides = (self.channels * self.plane, self.plane, self.down, self.across)
        first = MARGIN * (self.down + self.across)
        return flat.as_strided((tiles, self.channels, rows, columns), strides, first)

    def at(self, p: Positions) -> Tensor:
        """Return where pixels stand in their first plane, int64 (N,)."""
        tile = p.tile * (self.channels * self.plane)
        return tile + (p.y + MARGIN) * self.down + (p.x + MARGIN) * self.across

    def look(self, at: Tensor, offsets: Tensor) -> Tensor:
        """Return the values at offsets (..) of pixels, int64 (N, ..)."""
        places = at.view(-1, *([1] * offsets.dim())) + offsets
        return self.flat[places].to(torch.int64)

    def bases(self, at: Tensor) -> Tensor:
        """Return `window.base` of all channels, int64 (N, C)."""
        return (self.look(at, self._near).sum(2) + 2) >> 2

    def values(self, at: Tensor) -> Tensor:
        """Return the pixels' own values, int64 (N, C)."""
        return self.look(at, self._channels)

    def targets(self, p: Positions) -> tuple[Tensor, Tensor]:
        """Return where `wavefront.place` writes: places in the first plane, and whether it does.

        int64 and bool (15, N): the pixel's own, the margins to the left of the next row, to the
        right, and above.
        """
        at = self.at(p)
        first, last, top = p.x == 0, p.x == p.width - 1, p.y == 0
        left, up = first & (p.y + 1 < p.height), SLOPE * self.across - self.down
        places, used = [at], [torch.ones_like(first)]
        for k in range(MARGIN):
            places.append(at + self.down + (k - MARGIN) * self.across)
            places += [at + (1 + k) * self.across, at + (k + 1) * up]
            used += [left, last, top & (p.x + 2 * (k + 1) < p.width + MARGIN)]
        for k in (1, 2):
            places.append(at + up + k * self.across)
            used.append(top & last)
        return torch.stack(places), torch.stack(used) & p.inside

    def place(self, targets: tuple[Tensor, Tensor], c: int, values: Tensor) -> None:
        """Write the pixels of channel `c`, (N,), wherever `targets` says."""
        places, used = targets
        index = torch.where(used, places + c * self.plane, len(self.flat) - 1)
        spread = values.to(self.flat.dtype).expand(len(places), -1)
        self.flat.scatter_(0, index.reshape(-1), spread.reshape(-1))
