"""The progressive codec on a device: the same bytes and pixels as by `codecs.lattice`.

By fused kernels only (`levels`), so where triton is. By torch's operators each value taken from a
stream would be some forty launches: there the processor codes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from idfzip.codecs import lattice as kernels
from idfzip.codecs.encoding import Intervals
from idfzip.codecs.lattice import Lattice
from idfzip.codecs.phase import Source, code_first
from idfzip.codecs.seen import Seen
from idfzip.coding import ans, turns
from idfzip.device import costs
from idfzip.device.machine import Machine
from idfzip.device.room import ALIGNED, aligned
from idfzip.device.seen import Read
from idfzip.flows import lattice
from idfzip.flows.lattice import PHASES, PIECE, Planes
from idfzip.integer.learning import PERIOD
from idfzip.integer.network import ERROR_INPUTS

Parts = list[bytes]
Size = tuple[int, int]
Symbols = npt.NDArray[np.int32]


def encode(
    machine: Machine, model: Lattice, tiles: Sequence[Planes], alphabet: int
) -> list[Callable[[], Parts]]:
    """Return for each tile what gives the parts of its stream, as `codecs.lattice.encode_levels`.

    Raises ModelError for an `alphabet` but 256.
    """
    kernels.check_alphabet(alphabet)
    known = [Source(np.asarray(tile, np.int32), _nothing(), False) for tile in tiles]
    begun = [_first(model, source) for source in known]
    from idfzip.device import levels

    with torch.inference_mode():
        noted = levels.Encoder(
            machine, model, tiles, np.stack([first for first, _ in begun])
        ).noted()
    return [
        partial(_pushed, found, symbols, tile.shape)
        for (_, found), symbols, tile in zip(begun, noted, tiles, strict=True)
    ]


def _nothing() -> turns.Turns:
    return turns.decoder([np.zeros(0, np.uint32)])


def _first(model: Lattice, source: Source) -> tuple[Symbols, Intervals]:
    """Return the first pixel of a tile, int32 (C,), and its intervals, how many were there."""
    level, shape = lattice.start(model.channels), (1, model.channels)
    found = Intervals(np.empty(shape, np.int32), np.empty(shape, np.int32), np.zeros(1, np.int64))
    code_first(level.planes, source, found)
    return level.planes[:, 0, 0], found


def _pushed(first: Intervals, rest: Symbols, shape: tuple[int, ...]) -> Parts:
    channels, height, width = shape
    cumulative = np.concatenate([first.cumulative[0], rest[0]])
    frequency = np.concatenate([first.frequency[0], rest[1]])
    bits = range(lattice.levels(height, width))
    ends = [channels * -(-height >> b) * -(-width >> b) for b in reversed(bits)]
    parts = turns.push_parts(cumulative, frequency, ends or [channels])
    return [ans.to_bytes(part) for part in parts]


def read(
    machine: Machine,
    model: Lattice,
    streams: Sequence[bytes],
    sizes: Sequence[Size],
    cut: bool,
    alphabet: int,
) -> list[Read]:
    """Return what streams hold; values behind the end of one that is `cut` are means.

    Raises ModelError for an `alphabet` but 256.
    """
    kernels.check_alphabet(alphabet)
    host = turns.decoder([ans.from_bytes(stream) for stream in streams])
    nothing = np.zeros((model.channels, 0, 0), np.int32)
    begun = [_first(model, Source(nothing, host.one(i), cut)) for i in range(len(streams))]
    first = np.stack([values for values, _ in begun])
    from idfzip.device import levels

    with torch.inference_mode():
        decoder = levels.Decoder(machine, model, host, sizes, first, cut)
        planes, more, whole = decoder.decoded()
    found = []
    for one, size, (_, seen), rest, done in zip(planes, sizes, begun, more, whole, strict=True):
        tile = np.ascontiguousarray(one[:, : size[0], : size[1]], np.int32)
        share = (int(seen.used[0]) + int(rest)) / tile.size if cut else 1.0
        found.append(Read(Seen(tile, share), done))
    return found


def alike(model: Lattice, stream: bytes, size: Size, cut: bool) -> Hashable:
    """Return what tiles of one batch have in common: nothing more than their model."""
    return ()


def sums(machine: Machine, model: Lattice, inputs: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
    """Return what a device gives for a self-test's inputs (see `container.lattice_file`)."""
    from idfzip.device import layers

    return np.concatenate([layers.fan_sums(machine, net, inputs) for net in model.networks], 1)


def memory(machine: Machine, model: Lattice, size: Size, alphabet: int, encoding: bool) -> int:
    """Return about how many bytes coding a tile takes on a device."""
    network, c, learns = model.networks[0], model.channels, model.learning.rate > 0
    row = 8 * (2 + 4 * c) + costs.activations(network, ERROR_INPUTS * c, learns)
    row += costs.mixtures(network.components, c, 4)
    rows = len(PHASES) * (min(PIECE, aligned((size[1] + 1) // 2)) + PERIOD * learns)
    weights = len(PHASES) * costs.network(network, learns)
    height, width = map(aligned, size)
    pixels = height * width * c * (4 + 4 + 2)
    return rows * row + weights + pixels + 8 * c * size[0] * size[1] * encoding + ALIGNED * 8 * c
