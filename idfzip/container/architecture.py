"""The codecs that a model can be of: how each codes tiles, and how a file holds its model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from idfzip.codecs import bitswap, flagship, idf, indexed, lattice, vqvae
from idfzip.codecs.painter import Vqvae
from idfzip.codecs.seen import Seen
from idfzip.container import (
    bitswap_file,
    flagship_file,
    idf_file,
    indexed_file,
    lattice_file,
    vqvae_file,
)
from idfzip.container.header import BITSWAP, FLAGSHIP, IDF, INDEXED, LATTICE, VQVAE
from idfzip.container.tensors import Facts, Tensors
from idfzip.flows import alphabet, coupling

Planes = npt.NDArray[np.int32]
Progress = Callable[[int], object]


class Codec(Protocol):
    """All that coding needs of a model, as `codecs.flagship.Flagship`, `codecs.idf.Idf`."""

    @property
    def channels(self) -> int:
        """Channels of the images it codes: 1 or 3."""
        ...

    @property
    def operations(self) -> int:
        """Products and sums for a pixel."""
        ...


class Encode(Protocol):
    """Return the stream of each tile: planes, int32 (C, height, width).

    The first channel is in [0, alphabet), others in [-first, alphabet - 1 - first]; raises
    ModelError where the model cannot code so many values.
    """

    def __call__(  # noqa: D102
        self,
        model: Any,
        tiles: Sequence[Planes],
        progress: Progress | None = None,
        alphabet: int = 256,
    ) -> list[bytes]: ...


class Decode(Protocol):
    """Return the planes of each stream, None for a stream that is visibly damaged.

    Raises ModelError where the model cannot code an alphabet of so many values.
    """

    def __call__(  # noqa: D102
        self,
        model: Any,
        streams: Sequence[bytes],
        sizes: Sequence[tuple[int, int]],
        progress: Progress | None = None,
        alphabet: int = 256,
    ) -> list[Planes | None]: ...


class EncodeLevels(Protocol):
    """Return the parts of each tile's stream, one for each level, the coarsest first."""

    def __call__(  # noqa: D102
        self,
        model: Any,
        tiles: Sequence[Planes],
        progress: Progress | None = None,
        alphabet: int = 256,
    ) -> list[list[bytes]]: ...


class Preview(Protocol):
    """Return what the first part of a stream shows; `cut` tells whether the stream goes on."""

    def __call__(  # noqa: D102
        self,
        model: Any,
        stream: bytes,
        size: tuple[int, int],
        cut: bool,
        alphabet: int = 256,
    ) -> Seen: ...


@dataclass(frozen=True)
class Architecture:
    """One codec: its name in models, its number in tiles, and its functions.

    `self_test` gives inputs and the sums that plain integers give for them, `measured_sums` those
    of this machine for the inputs in tensors. `alphabets` are the least and the most values of a
    channel that it codes; `categories` tells whether these are categories. `preview` and
    `encode_levels` are there where a part of a stream shows something, and where streams have
    levels. `lossy` tells whether what is decoded is another picture than what was encoded.
    """

    name: str
    number: int
    kind: type
    encode: Encode
    decode: Decode
    facts: Callable[[Any], Facts]
    to_tensors: Callable[[Any], Tensors]
    from_tensors: Callable[[Tensors, Facts], Codec]
    self_test: Callable[[Any], tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]]
    measured_sums: Callable[[Any, Tensors], npt.NDArray[np.int32]]
    alphabets: tuple[int, int]
    categories: bool = False
    preview: Preview | None = None
    encode_levels: EncodeLevels | None = None
    lossy: bool = False


ARCHITECTURES = (
    Architecture(
        "bitswap",
        BITSWAP,
        bitswap.Bitswap,
        bitswap.encode,
        bitswap.decode,
        bitswap_file.facts,
        bitswap_file.to_tensors,
        bitswap_file.from_tensors,
        bitswap_file.self_test,
        bitswap_file.measured_sums,
        (bitswap.VALUES, bitswap.VALUES),
    ),
    Architecture(
        "flagship",
        FLAGSHIP,
        flagship.Flagship,
        flagship.encode,
        flagship.decode,
        flagship_file.facts,
        flagship_file.to_tensors,
        flagship_file.from_tensors,
        flagship_file.self_test,
        flagship_file.measured_sums,
        (alphabet.LEAST, alphabet.MOST),
        preview=flagship.preview,
    ),
    Architecture(
        "idf",
        IDF,
        idf.Idf,
        idf.encode,
        idf.decode,
        idf_file.facts,
        idf_file.to_tensors,
        idf_file.from_tensors,
        idf_file.self_test,
        idf_file.measured_sums,
        (coupling.VALUES, coupling.VALUES),
        preview=idf.preview,
        encode_levels=idf.encode_levels,
    ),
    Architecture(
        "indexed",
        INDEXED,
        indexed.Indexed,
        indexed.encode,
        indexed.decode,
        indexed_file.facts,
        indexed_file.to_tensors,
        indexed_file.from_tensors,
        indexed_file.self_test,
        indexed_file.measured_sums,
        (1, indexed.MOST),
        True,
    ),
    Architecture(
        "lattice",
        LATTICE,
        lattice.Lattice,
        lattice.encode,
        lattice.decode,
        lattice_file.facts,
        lattice_file.to_tensors,
        lattice_file.from_tensors,
        lattice_file.self_test,
        lattice_file.measured_sums,
        (lattice.VALUES, lattice.VALUES),
        preview=lattice.preview,
        encode_levels=lattice.encode_levels,
    ),
    Architecture(
        "vqvae",
        VQVAE,
        Vqvae,
        vqvae.encode,
        vqvae.decode,
        vqvae_file.facts,
        vqvae_file.to_tensors,
        vqvae_file.from_tensors,
        vqvae_file.self_test,
        vqvae_file.measured_sums,
        (vqvae.VALUES, vqvae.VALUES),
        preview=vqvae.preview,
        encode_levels=vqvae.encode_levels,
        lossy=True,
    ),
)


def of(codec: Codec) -> Architecture:
    """Return the architecture of a codec."""
    return next(a for a in ARCHITECTURES if isinstance(codec, a.kind))


def named(name: object) -> Architecture | None:
    """Return the architecture of a name, None where this release knows none."""
    return next((a for a in ARCHITECTURES if a.name == name), None)
