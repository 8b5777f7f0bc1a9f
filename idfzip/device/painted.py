"""What the network sees of pictures that are known before their tiles (see `flows.painted`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.device.context import Tables, limited
from idfzip.device.expert import log2
from idfzip.device.field import Positions
from idfzip.device.machine import Machine
from idfzip.flows import painted
from idfzip.flows.wavefront import MARGIN

NEAR = ((0, -1), (-1, 0), (-1, -1), (-1, 1))
"""The places whose mean is a picture's base, as `window.base` of the pixels."""


class Pictures:
    """Pictures of 8 bits, (C, height, width) each, with margins on all sides, in one flat tensor.

    `neighbours` int64 (n, 2), dy and dx, are where the network sees pixels.
    """

    def __init__(
        self,
        machine: Machine,
        pictures: Sequence[npt.NDArray[np.int32]],
        neighbours: npt.NDArray[np.int64],
    ) -> None:
        framed = [painted.framed(picture) for picture in pictures]
        self.channels = len(framed[0])
        height, width = (max(one.shape[i] for one in framed) for i in (1, 2))
        room = np.zeros((len(framed), self.channels, height, width), np.int16)
        for into, one in zip(room, framed, strict=True):
            into[:, : one.shape[1], : one.shape[2]] = one
        self.stride, self.plane = width, height * width
        self.flat = machine.tensor(room).view(-1)
        self.places, self.near, self.neighbours = (
            machine.tensor(found[:, 0] * width + found[:, 1])
            for found in (painted.PLACES, np.array(NEAR, np.int64), neighbours)
        )
        self._planes = machine.range(self.channels)[:, None] * self.plane

    def inputs(
        self, p: Positions, values: Tensor, bases: Tensor, scales: Tensor, tables: Tables
    ) -> Tensor:
        """Return what the network sees of them, float32 (N, inputs): `painted.gather`.

        `values` int64 (N, C, n) are the pixels at the neighbours, `bases` and `scales` (N, C).
        """
        first = p.tile * (self.channels * self.plane)
        at = (first + (p.y + MARGIN) * self.stride + p.x + MARGIN)[:, None, None] + self._planes

        def look(offsets: Tensor) -> Tensor:
            return self.flat[at + offsets].to(torch.int64)

        gain = tables.gain[scales][:, :, None]
        middle = (look(self.near).sum(2, keepdim=True) + 2) >> 2
        gap = middle - bases[:, :, None]
        around = look(self.places) - middle
        total = (values - look(self.neighbours)).sum(2, keepdim=True)
        corrected = gap + torch.div(total, values.shape[2], rounding_mode="floor")
        busy = (around.abs().sum(2, keepdim=True) << 6) + 32
        level = 8 * (scales[:, :, None] - 12)
        seen = torch.cat([around, gap, corrected], 2) * gain
        found = [
            limited((seen + 512) >> 10),
            limited(2 * (log2(busy, tables.log) - 144) - level),
        ]
        return torch.cat(found, 2).flatten(1).to(torch.float32)
