"""The bipartite codec on a device: the same bytes as by `codecs.idf`.

Flow and networks run on the device, all tiles of one size at once. Steps are few and large, a level
each: encoding, the mixtures too are made there, and the intervals of all symbols come back, which
the host's threads push. Decoding, the prior's sums of a level go to the host, whose kernels take
the symbols, a thread a tile, and the latents go back: one transfer each way a level.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.codecs import idf as kernels
from idfzip.codecs.idf import SCALE, Idf, Planes
from idfzip.codecs.seen import Seen
from idfzip.coding import ans
from idfzip.device import bipartite, densenet, mixture
from idfzip.device.bipartite import Level
from idfzip.device.densenet import DenseNet
from idfzip.device.machine import Machine
from idfzip.device.seen import Read
from idfzip.flows.coupling import LOW, VALUES
from idfzip.priors import mixtures

ROWS = 1 << 20
"""Symbols whose mixtures are made at once."""


class Model:
    """A model's numbers on a device."""

    def __init__(self, machine: Machine, model: Idf) -> None:
        self.machine, self._size = machine, 3 * model.components
        self.levels = [Level(machine, level) for level in model.levels]
        self.conditions = [DenseNet(machine, net) for net in model.conditions]
        self._constants = machine.tensor(model.constants.reshape(-1))
        self._tables = mixture.tables(machine, model.prior)

    def sums(self, level: int, given: Tensor) -> Tensor:
        """Return the prior's sums for the latents of a level, int32 (B, height, width, C * 3 K)."""
        if level < len(self.conditions):
            return self.conditions[level].sums(given)
        return self._constants.expand(*given.shape[:3], -1)

    def intervals(self, sums: Tensor, values: Tensor) -> Tensor:
        """Return lower ends and frequencies, int32 (2, B, C, height * width)."""
        count, height, width, channels = values.shape
        shape = (2, count, channels, height * width)
        found = self.machine.empty(*shape, dtype=torch.int32)
        for c in range(channels):
            mine = sums[..., c * self._size : (c + 1) * self._size].reshape(-1, self._size)
            parts = torch.split(mine, ROWS), torch.split(values[..., c].flatten(), ROWS)
            ends = [self._ends(*one) for one in zip(*parts, strict=True)]
            lower, upper = (torch.cat(one) for one in zip(*ends, strict=True))
            found[0, :, c] = lower.view(count, -1)
            found[1, :, c] = (upper - lower).view(count, -1)
        return found

    def _ends(self, sums: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        one = torch.ones_like(values, dtype=torch.int64)
        mixed = mixture.mix(sums, one * SCALE, one * 0, one * LOW, self._tables)
        lower, upper = (
            mixture.cumulative(values.to(torch.int64) + up, VALUES, mixed, self._tables.sigmoid)
            for up in range(2)
        )
        return lower, upper


def encode(
    machine: Machine, model: Idf, tiles: Sequence[Planes], alphabet: int
) -> list[Callable[[], list[bytes]]]:
    """Return for each tile what gives the parts of its stream, as `codecs.idf.encode_levels`.

    Tiles are `alike`. Raises ModelError for an `alphabet` but 256.
    """
    kernels.check_alphabet(alphabet)
    values = np.stack([kernels.to_values(model, tile) for tile in tiles])
    with torch.inference_mode():
        one = Model(machine, model)
        latents = bipartite.forward(one.levels, machine.tensor(values))
        noted = [
            one.intervals(one.sums(i, latents[i][1]), latents[i][0]).flatten(2).cpu().numpy()
            for i in reversed(range(len(latents)))
        ]
    return [partial(_pushed, [level[:, b] for level in noted]) for b in range(len(tiles))]


def _pushed(noted: Sequence[npt.NDArray[np.int32]]) -> list[bytes]:
    """Return the parts of a stream of intervals, int32 (2, n), of each level."""
    cumulative, frequency = np.ascontiguousarray(np.concatenate(noted, 1))
    ends = np.cumsum([level.shape[1] for level in noted])
    return [ans.to_bytes(part) for part in ans.push_parts(cumulative, frequency, ends.tolist())]


def read(
    machine: Machine,
    model: Idf,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    cut: bool,
    alphabet: int,
) -> list[Read]:
    """Return what streams hold, of tiles that are `alike`; latents after a `cut` are means.

    Raises ModelError for an `alphabet` but 256.
    """
    kernels.check_alphabet(alphabet)
    coders = [ans.decoder([ans.from_bytes(stream)]) for stream in streams]
    counts = np.zeros(len(streams), np.int64)
    tall, wide = kernels.extent(model, *sizes[0])
    side = 1 << len(model.levels)

    def latents(i: int, given: Tensor) -> Tensor:
        sums = one.sums(i, given).contiguous().cpu().numpy()
        channels = model.levels[i].channels - given.shape[3]
        values = np.empty((*sums.shape[:3], channels), np.int32)

        def take(b: int) -> None:
            room = mixtures.mixtures(model.components)
            counts[b] += kernels.decode_values(
                sums[b], coders[b], model.prior, room, values[b], cut
            )

        machine.each(take, len(streams))
        return machine.tensor(values)

    with torch.inference_mode():
        one = Model(machine, model)
        nothing = machine.empty(len(streams), tall // side, wide // side, 0, dtype=torch.int32)
        found = bipartite.inverse(one.levels, nothing, latents).cpu().numpy()
    return [
        Read(
            Seen(kernels.to_planes(found[b], *size), counts[b] / (tall * wide * model.channels)),
            ans.is_finished(coders[b], 0),
        )
        for b, size in enumerate(sizes)
    ]


def sums(machine: Machine, model: Idf, inputs: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
    """Return what a device gives for a self-test's inputs (see `container.idf_file`)."""
    values = machine.tensor(inputs.astype(np.int32))[None]
    with torch.inference_mode():
        found = [DenseNet(machine, net).sums(values) for net in model.nets]
    return folded(found)


def folded(found: Sequence[Tensor]) -> npt.NDArray[np.int32]:
    """Return sums (1, height, width, n) added over all places, modulo 2**32, after a zero."""
    totals = [one.to(torch.int64).sum((0, 1, 2)).cpu().numpy() for one in found]
    whole = np.concatenate([np.zeros(1, np.int64), *totals])
    return (whole & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def alike(model: Idf, stream: bytes, size: tuple[int, int], cut: bool) -> Hashable:
    """Return what tiles of one batch have in common."""
    return kernels.extent(model, *size)


def memory(
    machine: Machine, model: Idf, size: tuple[int, int], alphabet: int, encoding: bool
) -> int:
    """Return about how many bytes coding a tile takes on a device."""
    height, width = kernels.extent(model, *size)
    place = max((densenet.memory(net) for net in model.nets), default=0)
    return height * width // 4 * (place + 64 * model.channels)
