"""The lossy-first codec on a device: the same bytes and pixels as by `codecs.lossy_first`.

All pictures of a batch are painted first (`vqvae`), then all pixels coded (`flagship`), whose
network may look at them. The host's coders, which take the codes, go on on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from idfzip.codecs import vqvae as kernels
from idfzip.codecs.lossy_first import LossyFirst
from idfzip.codecs.seen import Seen
from idfzip.codecs.vqvae import Planes, Sides
from idfzip.coding import ans, turns
from idfzip.device import flagship, vqvae
from idfzip.device.machine import Machine
from idfzip.device.schedule import Group
from idfzip.device.seen import Read

Parts = list[bytes]
Size = tuple[int, int]


def encode_stages(
    machine: Machine,
    model: LossyFirst,
    tiles: Sequence[Planes],
    stages: int,
    rate: int,
    sides: Sequence[Sides],
) -> list[Callable[[], Parts]]:
    """Return for each tile what gives the two parts of its stream: `codecs.lossy_first.encode`.

    Tiles are `alike`, margins and all; each has its own `sides`.
    """
    found = vqvae.choose(machine, model.painter, tiles, stages, rate, sides)

    def picture(b: int) -> Planes:
        planes = kernels.to_planes(model.painter, found[b][1], tiles[b].shape, sides[b])
        return planes[: model.channels]

    pictures = machine.each(picture, len(tiles))
    inner = [model.inner(tile, one) for tile, one in zip(tiles, sides, strict=True)]
    rest = flagship.intervals(machine, model.rest, inner, pictures)
    return [partial(_pushed, first, one) for (first, _), one in zip(found, rest, strict=True)]


def _pushed(first: Sequence[npt.NDArray[np.int32]], rest: npt.NDArray[np.int32]) -> Parts:
    codes = np.concatenate(first).T
    symbols = np.concatenate([codes, rest], 1)
    cumulative, frequency = np.ascontiguousarray(symbols)
    count = codes.shape[1]
    parts = turns.push_parts(cumulative, frequency, [count, len(frequency)], count)
    return [ans.to_bytes(part) for part in parts]


def encode(
    machine: Machine, model: LossyFirst, tiles: Sequence[Planes], alphabet: int
) -> list[Callable[[], Parts]]:
    """Return for each tile what gives the parts of its stream, of all stages.

    Tiles are `alike`. Raises ModelError for an `alphabet` but 256.
    """
    kernels.check_alphabet(alphabet)
    none = [(0, 0, 0, 0)] * len(tiles)
    return encode_stages(machine, model, tiles, model.painter.stages, 0, none)


def read(
    machine: Machine,
    model: LossyFirst,
    streams: Sequence[bytes],
    sizes: Sequence[Size],
    cut: bool,
    alphabet: int,
) -> list[Read]:
    """Return what streams hold: pixels, and where one is `cut` before them, what is painted.

    The tiles are `alike`. Raises ModelError for an `alphabet` but 256.
    """
    kernels.check_alphabet(alphabet)
    host = ans.decoder([ans.from_bytes(stream) for stream in streams])
    coders = [host.one(i) for i in range(len(streams))]
    shown = vqvae.paint(machine, model.painter, coders, sizes, cut)
    pictures = [painted[: model.channels] for painted, _ in shown]
    groups = [Group((size,)) for size in sizes]
    reads = flagship.read_groups(
        machine, model.rest, turns.going_on(host), groups, cut, alphabet, pictures
    )
    found = []
    for picture, (_, there), one in zip(pictures, shown, reads, strict=True):
        seen = Seen(picture, 0.0)
        if there == 1:
            exact, share, known = one.seen
            seen = Seen(exact if known is None else np.where(known, exact, picture), share)
        found.append(Read(seen, one.finished))
    return found


def alike(model: LossyFirst, stream: bytes, size: Size, cut: bool) -> Hashable:
    """Return what tiles of one batch have in common: what those of both codecs have."""
    first = vqvae.alike(model.painter, stream, size, cut)
    return first, flagship.alike(model.rest, stream, size, cut)


def memory(machine: Machine, model: LossyFirst, size: Size, alphabet: int, encoding: bool) -> int:
    """Return about how many bytes coding a tile takes on a device."""
    painting = vqvae.memory(machine, model.painter, size, alphabet, encoding)
    return max(painting, flagship.memory(machine, model.rest, size, alphabet, encoding))
