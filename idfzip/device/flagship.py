"""Encoding and decoding flagship tiles and blocks on a device: the same bytes as `codecs`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from idfzip.codecs.block import Coded
from idfzip.codecs.flagship import Flagship
from idfzip.coding import ans
from idfzip.device.decoding import Decoder
from idfzip.device.encoding import Encoder, Symbols
from idfzip.device.machine import Machine
from idfzip.device.model import Model, model
from idfzip.device.schedule import Group, side_by_side
from idfzip.flows import alphabet as alphabets
from idfzip.flows.alphabet import BYTES
from idfzip.flows.autoregressive import Planes


def encode(
    machine: Machine,
    flagship: Flagship,
    tiles: Sequence[Planes],
    alphabet: int = BYTES.values,
) -> list[bytes]:
    """Return the stream of each tile, as `codecs.flagship.encode`, all of them side by side."""
    blocks = [([tile], 1) for tile in tiles]
    return [pushed(one).stream for one in encode_blocks(machine, flagship, blocks, alphabet)]


@dataclass(frozen=True)
class Noted:
    """A group's symbols, run by run, which are still to be pushed: the host's work."""

    runs: Sequence[Symbols]
    group: Group


def encode_blocks(
    machine: Machine,
    flagship: Flagship,
    blocks: Sequence[tuple[Sequence[Planes], int]],
    alphabet: int = BYTES.values,
) -> list[Noted]:
    """Return the symbols of blocks of tiles, each with its lockstep; `pushed` makes streams."""
    one = model(machine, flagship, alphabets.alphabet(alphabet))
    groups = [Group(tuple(t.shape[1:] for t in tiles), step) for tiles, step in blocks]
    with torch.inference_mode():
        symbols = _symbols(one, groups, [tiles for tiles, _ in blocks])
    return [Noted(mine, group) for mine, group in zip(symbols, groups, strict=True)]


def _symbols(
    one: Model, groups: Sequence[Group], blocks: Sequence[Sequence[Planes]]
) -> list[list[Symbols]]:
    """Return each group's symbols, run by run."""
    runs = side_by_side(groups)
    encoder = Encoder(one, one.flagship.learning, runs, len(groups))
    nothing = np.zeros((one.flagship.channels, 0, 0), np.int32)
    found: list[list[Symbols]] = [[] for _ in groups]
    for i, run in enumerate(runs):
        tiles: list[Planes] = []
        for group, mine in zip(groups, blocks, strict=True):
            now = list(mine[i * group.lockstep : (i + 1) * group.lockstep])
            tiles += now + [nothing] * (run.tiles - len(now))
        for mine_so_far, new in zip(found, encoder.encode(run, tiles), strict=True):
            mine_so_far.append(new)
    return found


def pushed(noted: Noted) -> Coded:
    """Return a group's stream and the bits of each tile, as `codecs.block.encode`."""
    runs, group = noted.runs, noted.group
    cumulative = np.concatenate([run.cumulative for run in runs])
    frequency = np.concatenate([run.frequency for run in runs])
    bits: list[float] = []
    for run, sizes in zip(runs, group.runs, strict=False):
        for k in range(len(sizes)):
            logs = np.log2(run.frequency[run.tile == k].astype(np.float64))
            bits.append(float(len(logs) * ans.PRECISION - logs.sum()))
    return Coded(ans.to_bytes(ans.push_all(cumulative, frequency)), bits)


def decode(
    machine: Machine,
    flagship: Flagship,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    alphabet: int = BYTES.values,
) -> list[Planes | None]:
    """Return the planes of each stream, None for a damaged one, as `codecs.flagship.decode`."""
    groups = [Group((size,)) for size in sizes]
    found, whole = _decoded(machine, flagship, streams, groups, alphabet)
    return [tiles[0] if good else None for tiles, good in zip(found, whole, strict=True)]


def decode_blocks(
    machine: Machine,
    flagship: Flagship,
    streams: Sequence[bytes],
    groups: Sequence[Group],
    alphabet: int = BYTES.values,
) -> list[list[Planes]]:
    """Return the tiles of each block's stream, as `codecs.block.decode`."""
    return _decoded(machine, flagship, streams, groups, alphabet)[0]


def _decoded(
    machine: Machine,
    flagship: Flagship,
    streams: Sequence[bytes],
    groups: Sequence[Group],
    alphabet: int,
) -> tuple[list[list[Planes]], list[bool]]:
    one = model(machine, flagship, alphabets.alphabet(alphabet))
    runs = side_by_side(groups)
    with torch.inference_mode():
        decoder = Decoder(one, flagship.learning, runs, streams)
        planes = [room.cpu().numpy() for room in decoder.run()]
        whole = decoder.finished()
    tiles: list[list[Planes]] = []
    for g, group in enumerate(groups):
        mine: list[Planes] = []
        for room, now in zip(planes, group.runs, strict=False):
            per = room.shape[0] // len(groups)
            for k, (height, width) in enumerate(now):
                mine.append(np.ascontiguousarray(room[g * per + k, :, :height, :width]))
        tiles.append(mine)
    return tiles, whole
