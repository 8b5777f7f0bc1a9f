"""Encoding and decoding flagship tiles and blocks on a device: the same bytes as `codecs`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from idfzip.codecs.block import Coded
from idfzip.codecs.flagship import Flagship
from idfzip.codecs.seen import Seen
from idfzip.coding import ans, turns
from idfzip.coding.turns import Turns
from idfzip.device import costs, network
from idfzip.device.decoding import Decoder
from idfzip.device.encoding import Encoder, Integers
from idfzip.device.machine import Machine
from idfzip.device.model import Model, model
from idfzip.device.schedule import Group, Run, side_by_side
from idfzip.device.seen import Read
from idfzip.flows import alphabet as alphabets
from idfzip.flows import wavefront
from idfzip.flows.alphabet import BYTES
from idfzip.flows.autoregressive import Planes


def encode(
    machine: Machine, flagship: Flagship, tiles: Sequence[Planes], alphabet: int
) -> list[Callable[[], list[bytes]]]:
    """Return for each tile what gives its stream, as `codecs.flagship.encode`, of one part."""
    blocks = [([tile], 1) for tile in tiles]
    return [partial(_stream, one) for one in encode_blocks(machine, flagship, blocks, alphabet)]


def _stream(later: Callable[[], Coded]) -> list[bytes]:
    return [later().stream]


def encode_blocks(
    machine: Machine,
    flagship: Flagship,
    blocks: Sequence[tuple[Sequence[Planes], int]],
    alphabet: int = BYTES.values,
) -> list[Callable[[], Coded]]:
    """Return what gives blocks of tiles, each with its lockstep, as `codecs.block.encode`.

    Where nothing is learned, kernels code the runs of a block side by side.
    """
    one = model(machine, flagship, alphabets.alphabet(alphabet))
    parts = [1] * len(blocks)
    if machine.fuses and not flagship.learning.rate:
        runs = [_runs(*block) for block in blocks]
        parts, blocks = list(map(len, runs)), [run for some in runs for run in some]
    groups = [Group(tuple(t.shape[1:] for t in tiles), step) for tiles, step in blocks]
    with torch.inference_mode():
        return _encoded(one, groups, [tiles for tiles, _ in blocks]).pushed(parts)


def _runs(tiles: Sequence[Planes], lockstep: int) -> list[tuple[Sequence[Planes], int]]:
    starts = range(0, len(tiles), lockstep)
    return [(tiles[i : i + lockstep], lockstep) for i in starts]


def intervals(
    machine: Machine, flagship: Flagship, tiles: Sequence[Planes], pictures: Sequence[Planes]
) -> list[Integers]:
    """Return the symbols of tiles of bytes, int32 (2, symbols), which the host is to push.

    `pictures` are what a model that looks at them sees, one of each tile.
    """
    one = model(machine, flagship, BYTES, pictures)
    groups = [Group((tile.shape[1:],)) for tile in tiles]
    with torch.inference_mode():
        return _encoded(one, groups, [[tile] for tile in tiles]).intervals()


class Encodes(Protocol):
    """What encodes the groups of a batch, run after run."""

    def encode(self, run: Run, tiles: Sequence[Planes]) -> None:
        """Note the symbols of every group, of a run's tiles: int32 (C, height, width)."""
        ...

    def intervals(self) -> list[Integers]:
        """Return each group's symbols, of all runs, int32 (2, symbols)."""
        ...

    def pushed(self, parts: Sequence[int]) -> list[Callable[[], Coded]]:
        """Return what gives streams, of all runs of so many groups each, and the bits of tiles."""
        ...


class Decodes(Protocol):
    """What decodes the groups of a batch."""

    def run(self) -> list[torch.Tensor]:
        """Return for each run the planes, (groups * tiles, C, rows, columns)."""
        ...

    def finished(self) -> list[bool]:
        """Return whether each stream ended just where its symbols did."""
        ...

    def shown(self) -> list[int]:
        """Return how many steps the streams held all words of."""
        ...


def _encoder(one: Model, runs: Sequence[Run], groups: int) -> Encodes:
    """Return what encodes: fused kernels, which triton must be there for, or operators."""
    how = one.flagship.learning
    if not one.machine.fuses:
        return Encoder(one, how, runs, groups)
    from idfzip.device import waves

    return waves.Encoder(one, how, runs, groups)


def _decoder(one: Model, runs: Sequence[Run], host: Turns, cut: bool) -> Decodes:
    """Return what decodes, as `_encoder`."""
    how = one.flagship.learning
    if not one.machine.fuses:
        return Decoder(one, how, runs, host, cut=cut)
    from idfzip.device import waves

    return waves.Decoder(one, how, runs, host, cut)


def _encoded(one: Model, groups: Sequence[Group], blocks: Sequence[Sequence[Planes]]) -> Encodes:
    """Return what has encoded the tiles of groups."""
    runs = side_by_side(groups)
    encoder = _encoder(one, runs, len(groups))
    nothing = np.zeros((one.flagship.channels, 0, 0), np.int32)
    for i, run in enumerate(runs):
        tiles: list[Planes] = []
        for group, mine in zip(groups, blocks, strict=True):
            now = list(mine[i * group.lockstep : (i + 1) * group.lockstep])
            tiles += now + [nothing] * (run.tiles - len(now))
        encoder.encode(run, tiles)
    return encoder


def read(
    machine: Machine,
    flagship: Flagship,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    cut: bool,
    alphabet: int,
) -> list[Read]:
    """Return what streams hold; of one that is `cut`, the steps before as many as are known."""
    host = turns.decoder([ans.from_bytes(stream) for stream in streams])
    groups = [Group((size,)) for size in sizes]
    return read_groups(machine, flagship, host, groups, cut, alphabet)


def read_groups(
    machine: Machine,
    flagship: Flagship,
    host: Turns,
    groups: Sequence[Group],
    cut: bool,
    alphabet: int,
    pictures: Sequence[Planes] = (),
) -> list[Read]:
    """Return what streams hold, of groups of one tile, from where the host's decoders stand.

    `pictures` are what a model that looks at them sees, one of each tile.
    """
    one = model(machine, flagship, alphabets.alphabet(alphabet), pictures)
    decoder, found = _decoded(one, host, groups, cut)
    reads = []
    for tile, group, whole, steps in zip(
        found, groups, decoder.finished(), decoder.shown(), strict=True
    ):
        seen = Seen(tile[0], 1.0)
        if cut:
            height, width = group.sizes[0]
            known = np.arange(width) + wavefront.SLOPE * np.arange(height)[:, None] < steps
            seen = Seen(tile[0], float(known.mean()), known)
        reads.append(Read(seen, whole))
    return reads


def decode_blocks(
    machine: Machine,
    flagship: Flagship,
    streams: Sequence[bytes],
    groups: Sequence[Group],
    alphabet: int = BYTES.values,
) -> list[list[Integers]]:
    """Return the tiles of each block's stream, as `codecs.block.decode`, perhaps of int16."""
    host = turns.decoder([ans.from_bytes(stream) for stream in streams])
    return _decoded(model(machine, flagship, alphabets.alphabet(alphabet)), host, groups, False)[1]


def _decoded(
    one: Model, host: Turns, groups: Sequence[Group], cut: bool
) -> tuple[Decodes, list[list[Integers]]]:
    """Return the tiles of each group, which are parts of what came from the device."""
    runs = side_by_side(groups)
    with torch.inference_mode():
        decoder = _decoder(one, runs, host, cut)
        planes = [one.machine.host(room) for room in decoder.run()]
    tiles: list[list[Integers]] = []
    for g, group in enumerate(groups):
        mine: list[Integers] = []
        for room, now in zip(planes, group.runs, strict=False):
            per = room.shape[0] // len(groups)
            for k, (height, width) in enumerate(now):
                mine.append(room[g * per + k, :, :height, :width])
        tiles.append(mine)
    return decoder, tiles


def sums(
    machine: Machine, flagship: Flagship, inputs: npt.NDArray[np.int16]
) -> npt.NDArray[np.int32]:
    """Return what a device gives for a self-test's inputs (see `container.flagship_file`)."""
    if not machine.fuses:
        return network.fan_sums(machine, flagship.network, inputs)
    from idfzip.device import layers

    return layers.fan_sums(machine, flagship.network, inputs)


def alike(model: Flagship, stream: bytes, size: tuple[int, int], cut: bool) -> Hashable:
    """Return what tiles of one batch have in common: how the network learns."""
    return model.learning


def memory(
    machine: Machine, model: Flagship, size: tuple[int, int], alphabet: int, encoding: bool
) -> int:
    """Return about how many bytes coding a tile takes on a device."""
    return costs.coding(machine, model, Group((size,)), alphabet, encoding)
