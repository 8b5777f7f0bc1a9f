"""The codecs that a device codes, and their functions there and of the processor's kernels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from idfzip.codecs import flagship as flagship_kernels
from idfzip.codecs import idf as idf_kernels
from idfzip.codecs import lattice as lattice_kernels
from idfzip.codecs import lossy_first as lossy_first_kernels
from idfzip.codecs import vqvae as vqvae_kernels
from idfzip.codecs.flagship import Flagship
from idfzip.codecs.idf import Idf
from idfzip.codecs.lattice import Lattice
from idfzip.codecs.lossy_first import LossyFirst
from idfzip.codecs.painter import Vqvae
from idfzip.codecs.seen import Seen
from idfzip.device import flagship, idf, lattice, lossy_first, vqvae
from idfzip.device.machine import Machine
from idfzip.device.seen import Read

Planes = npt.NDArray[np.int32]
Size = tuple[int, int]
Parts = list[bytes]


class Engine(Protocol):
    """How a codec's tiles are coded on a device: a module beside this one."""

    def encode(
        self, machine: Machine, model: Any, tiles: Sequence[Planes], alphabet: int
    ) -> Sequence[Callable[[], Parts]]:
        """Return for each of tiles that are alike what gives the parts of its stream."""
        ...

    def read(
        self,
        machine: Machine,
        model: Any,
        streams: Sequence[bytes],
        sizes: Sequence[Size],
        cut: bool,
        alphabet: int,
    ) -> list[Read]:
        """Return what streams of tiles that are alike hold; `cut` tells whether they go on."""
        ...

    def alike(self, model: Any, stream: bytes, size: Size, cut: bool) -> Hashable:
        """Return what tiles of one batch have in common; `stream` is empty where they are encoded.

        So much for a model of one identity.
        """
        ...

    def memory(
        self, machine: Machine, model: Any, size: Size, alphabet: int, encoding: bool
    ) -> int:
        """Return about how many bytes coding a tile takes on a device."""
        ...


class Sums(Protocol):
    """How the networks of a model are tested on a device."""

    def sums(
        self, machine: Machine, model: Any, inputs: npt.NDArray[np.int16]
    ) -> npt.NDArray[np.int32]:
        """Return what a device gives for the inputs of a model's self-test."""
        ...


class Here(Protocol):
    """How the processor's kernels decode tiles: a module of `codecs`."""

    def decode(
        self,
        model: Any,
        streams: Sequence[bytes],
        sizes: Sequence[Size],
        progress: Callable[[int], object] | None = None,
        alphabet: int = 256,
    ) -> list[Planes | None]:
        """Return the planes of each stream, None for a stream that is visibly damaged."""
        ...

    def preview(
        self, model: Any, stream: bytes, size: Size, cut: bool, alphabet: int = 256
    ) -> Seen:
        """Return what the first part of a stream shows."""
        ...


class _Codec(NamedTuple):
    engine: Engine
    here: Here
    parts: Callable[..., list[Parts]]
    """The kernels' function that gives the parts of each tile's stream."""


def _whole(model: Flagship, tiles: Sequence[Planes], alphabet: int, states: int = 0) -> list[Parts]:
    streams = flagship_kernels.encode(model, tiles, alphabet=alphabet, states=states)
    return [[stream] for stream in streams]


def _first(
    model: LossyFirst, tiles: Sequence[Planes], alphabet: int, states: int = 0
) -> list[Parts]:
    vqvae_kernels.check_alphabet(alphabet)
    stages = model.painter.stages
    return [lossy_first_kernels.encode(model, tile, stages, states=states) for tile in tiles]


_CODECS: dict[type, _Codec] = {
    Flagship: _Codec(flagship, flagship_kernels, _whole),
    Idf: _Codec(idf, idf_kernels, idf_kernels.encode_levels),
    Lattice: _Codec(lattice, lattice_kernels, lattice_kernels.encode_levels),
    LossyFirst: _Codec(lossy_first, lossy_first_kernels, _first),
    Vqvae: _Codec(vqvae, vqvae_kernels, vqvae_kernels.encode_levels),
}


_TESTED: dict[type, Sums] = {Flagship: flagship, Idf: idf, Lattice: lattice, Vqvae: vqvae}


def counts(
    machine: Machine, codec: object, tests: Sequence[Mapping[str, npt.NDArray[Any]]]
) -> bool:
    """Return whether a device gives the sums of self-tests: of a codec, or of its two in turn."""
    parts = (codec.rest, codec.painter) if isinstance(codec, LossyFirst) else (codec,)
    return all(
        np.array_equal(
            _TESTED[type(part)].sums(machine, part, test["test.inputs"]), test["test.sums"]
        )
        for part, test in zip(parts, tests, strict=True)
    )


def codes(machine: Machine, codec: object) -> bool:
    """Return whether a device codes a model's tiles; progressive ones by fused kernels only."""
    return type(codec) in _CODECS and (machine.fuses or not isinstance(codec, Lattice))


def of(codec: object) -> Engine:
    """Return a codec's functions on a device."""
    return _CODECS[type(codec)].engine


def here(codec: object) -> Here:
    """Return a codec's functions on the processor."""
    return _CODECS[type(codec)].here


def takes_turns(codec: object) -> bool:
    """Return whether streams may have several states (`coding.turns`)."""
    return isinstance(codec, Flagship | Lattice | LossyFirst)


def encode_here(codec: Any, tile: Planes, alphabet: int, states: int = 0) -> Parts:
    """Return the parts of a tile's stream, by the processor's kernels.

    With 0 it has as many `states` as its length allows; only some codecs have others.
    """
    more = {"states": states} if states else {}
    return _CODECS[type(codec)].parts(codec, [tile], alphabet=alphabet, **more)[0]
