"""Lanes: tiles and blocks that wait for a device, and how a batch of them is coded."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy.typing as npt

from idfzip.codecs import block
from idfzip.codecs import lossy_first as first_kernels
from idfzip.codecs import vqvae as vqvae_kernels
from idfzip.codecs.flagship import Flagship
from idfzip.codecs.lossy_first import LossyFirst
from idfzip.codecs.painter import Vqvae
from idfzip.codecs.vqvae import Sides
from idfzip.device import costs, engine, flagship, vqvae
from idfzip.device import lossy_first as first
from idfzip.device.engine import Planes, Size
from idfzip.device.machine import Machine
from idfzip.device.schedule import Group
from idfzip.device.seen import Read
from idfzip.flows.alphabet import BYTES

Later = Callable[[], Any]
"""What is left for the host to do for a lane: returns its result."""


class Known(Protocol):
    """What is asked of a model: its identity, and its self-test's inputs and sums.

    A lossy-first codec has two self-tests, of the rest and of the painter.
    """

    @property
    def identity(self) -> str:
        """The hash of the model."""
        ...

    @property
    def tests(self) -> Sequence[Mapping[str, npt.NDArray[Any]]]:
        """The tensors of its self-tests."""
        ...


@dataclass
class Lane:
    """What waits. Lanes of one `kind` may be in a batch, which `coded` takes of their `given`.

    Lanes of alike `steps` waste least beside each other. `memory` is in bytes; `alone` codes it by
    the processor's kernels. Those of one `caller`, who waits for all of them, came together.
    """

    kind: Hashable
    model: Known
    codec: Any
    group: Group
    memory: int
    given: Any
    coded: Callable[[Machine, Sequence[Any]], Sequence[Later]]
    alone: Later
    result: Future[Any] = field(default_factory=Future)
    caller: int = 0

    @property
    def steps(self) -> int:
        """About how long it takes."""
        return sum(max(w + 2 * h for h, w in run) for run in self.group.runs)


def encoding(machine: Machine, model: Known, codec: Any, tile: Planes, alphabet: int) -> Lane:
    """Return a tile whose stream is wanted, in parts."""
    one, size = engine.of(codec), _size(tile)

    def coded(machine: Machine, tiles: Sequence[Planes]) -> Sequence[Later]:
        return one.encode(machine, codec, tiles, alphabet)

    alone = partial(engine.encode_here, codec, tile, alphabet)
    kind = ("encode", model.identity, alphabet, one.alike(codec, b"", size, False))
    memory = one.memory(machine, codec, size, alphabet, True)
    return Lane(kind, model, codec, Group((size,)), memory, tile, coded, alone)


def decoding(
    machine: Machine, model: Known, codec: Any, stream: bytes, size: Size, alphabet: int
) -> Lane:
    """Return a stream whose planes are wanted, None if it is visibly damaged."""

    def alone() -> Planes | None:
        return engine.here(codec).decode(codec, [stream], [size], alphabet=alphabet)[0]

    return _reading("decode", machine, model, codec, stream, size, False, alphabet, _planes, alone)


def preview(
    machine: Machine, model: Known, codec: Any, stream: bytes, size: Size, cut: bool, alphabet: int
) -> Lane:
    """Return a stream that may be `cut`, of which it is wanted what it shows."""
    alone = partial(engine.here(codec).preview, codec, stream, size, cut, alphabet)
    return _reading("preview", machine, model, codec, stream, size, cut, alphabet, _seen, alone)


def _reading(
    work: str,
    machine: Machine,
    model: Known,
    codec: Any,
    stream: bytes,
    size: Size,
    cut: bool,
    alphabet: int,
    taken: Callable[[Read], Any],
    alone: Later,
) -> Lane:
    one = engine.of(codec)

    def coded(machine: Machine, given: Sequence[tuple[bytes, Size]]) -> Sequence[Later]:
        streams, sizes = zip(*given, strict=True)
        found = one.read(machine, codec, streams, sizes, cut, alphabet)
        return [partial(taken, read) for read in found]

    kind = (work, model.identity, alphabet, cut, one.alike(codec, stream, size, cut))
    memory = one.memory(machine, codec, size, alphabet, False)
    return Lane(kind, model, codec, Group((size,)), memory, (stream, size), coded, alone)


def _planes(read: Read) -> Planes | None:
    return read.seen.planes if read.finished else None


def _seen(read: Read) -> Any:
    return read.seen


def painting(
    machine: Machine, model: Known, codec: Vqvae, tile: Planes, stages: int, rate: int, sides: Sides
) -> Lane:
    """Return a tile, with margins at its `sides`, to be painted: `vqvae.encode_stages`."""
    alone = partial(vqvae_kernels.encode_stages, codec, tile, stages, rate, sides)
    return _staged("paint", machine, model, codec, tile, stages, rate, sides, vqvae, alone)


def lossy_first(
    machine: Machine,
    model: Known,
    codec: LossyFirst,
    tile: Planes,
    stages: int,
    rate: int,
    sides: Sides,
) -> Lane:
    """Return a tile, with margins at its `sides`, to be coded: `lossy_first.encode`."""
    alone = partial(first_kernels.encode, codec, tile, stages, rate, sides)
    return _staged("first", machine, model, codec, tile, stages, rate, sides, first, alone)


def _staged(
    work: str,
    machine: Machine,
    model: Known,
    codec: Any,
    tile: Planes,
    stages: int,
    rate: int,
    sides: Sides,
    one: Any,
    alone: Later,
) -> Lane:
    """Return a tile for the `encode_stages` of a module beside this one."""
    size = _size(tile)

    def coded(machine: Machine, given: Sequence[tuple[Planes, Sides]]) -> Sequence[Later]:
        tiles, margins = zip(*given, strict=True)
        return list(one.encode_stages(machine, codec, tiles, stages, rate, margins))

    kind = (work, model.identity, stages, rate, one.alike(codec, b"", size, False))
    memory = one.memory(machine, codec, size, vqvae_kernels.VALUES, True)
    return Lane(kind, model, codec, Group((size,)), memory, (tile, sides), coded, alone)


def encoding_block(
    machine: Machine, model: Known, codec: Flagship, tiles: Sequence[Planes], lockstep: int
) -> Lane:
    """Return tiles that become a block: `codecs.block.encode`."""
    group = Group(tuple(map(_size, tiles)), lockstep)

    def coded(machine: Machine, given: Sequence[tuple[Sequence[Planes], int]]) -> Sequence[Later]:
        return flagship.encode_blocks(machine, codec, given)

    kind = ("encode block", model.identity, codec.learning)
    memory = costs.coding(machine, codec, group, BYTES.values, True)
    alone = partial(block.encode, codec, tiles, lockstep)
    return Lane(kind, model, codec, group, memory, (tiles, lockstep), coded, alone)


def decoding_block(
    machine: Machine,
    model: Known,
    codec: Flagship,
    stream: bytes,
    sizes: Sequence[Size],
    lockstep: int,
) -> Lane:
    """Return a block whose tiles are wanted: `codecs.block.decode`."""
    group = Group(tuple(sizes), lockstep)

    def coded(machine: Machine, given: Sequence[tuple[bytes, Group]]) -> Sequence[Later]:
        streams, groups = zip(*given, strict=True)
        found = flagship.decode_blocks(machine, codec, streams, groups)
        return [partial(_tiles, one) for one in found]

    kind = ("decode block", model.identity, codec.learning)
    memory = costs.coding(machine, codec, group, BYTES.values, False)
    alone = partial(block.decode, codec, stream, sizes, lockstep)
    return Lane(kind, model, codec, group, memory, (stream, group), coded, alone)


def _tiles(tiles: list[Planes]) -> list[Planes]:
    return tiles


def _size(tile: Planes) -> Size:
    return tile.shape[1], tile.shape[2]
