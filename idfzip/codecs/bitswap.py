"""The bits-back codec: a chain of discretised latents, coded by Bit-Swap.

Kingma, Abbeel and Ho 2019, arXiv:1905.06845, after Townsend et al. 2019, arXiv:1901.04866. Latents
z1, z2, .. have posteriors, each given what lies below it, q(z1|x), q(z2|z1), .., and priors, given
what lies above, p(x|z1), p(z1|z2), .., p(zL). Coding an image pops z1 from a stack of bits under
its posterior, pushes x under p(x|z1), pops z2, pushes z1, and so on; decoding undoes each step. So
an image takes the bits of its pixels and latents less those that choosing the latents took off the
stack, which the decoder gets back. All networks are integer ones, the posteriors', too.

Where the stack has not the bits that a level's latents need, as at the start, they are the
likeliest ones and nothing is taken off it; a flag tells. Thus the initial bits are in the stream.

Images are cut into squares of 32 x 32; those of a tile, or of all images of a block, are one
chain. The encoder begins with the last one, so that the decoder ends with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idfzip.codecs import bits_back
from idfzip.codecs.bins import BINS, DRAWN, PIXELS
from idfzip.codecs.bits_back import Kind
from idfzip.codecs.block import Coded
from idfzip.coding import ans
from idfzip.errors import ModelError
from idfzip.integer.conv import Sums
from idfzip.integer.stack import Stack, Values
from idfzip.priors import mixture, mixtures
from idfzip.priors.mixtures import Mixtures

Planes = npt.NDArray[np.int32]
Progress = Callable[[int], object]

SIDE = 32
"""Rows and columns of a square; those at an edge have fewer."""

VALUES = PIXELS.alphabet
"""Values of a channel."""


@dataclass(frozen=True)
class Level:
    """The latents of a level, of half the resolution of what is below them.

    `posterior` gives mean and log scale of each latent from what is below, `prior` gives from the
    latents what is below: of pixels as `Bitswap.components` says, of latents mean and log scale.
    """

    posterior: Stack
    prior: Stack

    @property
    def latents(self) -> int:
        """Number of channels."""
        return self.prior.inputs


@dataclass(frozen=True)
class Bitswap:
    """All that coding needs of a model; raises ModelError where parts do not fit together.

    `levels`, the finest first; `constants` int32 (channels, 2), mean and log scale of the coarsest
    latents.
    """

    levels: tuple[Level, ...]
    constants: npt.NDArray[np.int32]
    tables: mixture.Tables

    def __post_init__(self) -> None:
        """Check that levels are of these channels."""
        if not self.levels or self.channels not in (1, 3):
            raise ModelError(f"{len(self.levels)} levels of latents")
        below, parts = self.channels, self.levels[0].prior.outputs // self.channels
        if parts != 2 and parts % 3:
            raise ModelError(f"{parts} sums for a pixel: 2 or a multiple of 3 expected")
        for i, level in enumerate(self.levels):
            down, up = level.posterior, level.prior
            if (down.squeezed, down.spread, up.squeezed, up.spread) != (2, 1, 1, 2):
                raise ModelError(f"level {i} is not of half the resolution")
            found = (down.inputs, down.outputs, up.outputs)
            expected = (below, 2 * level.latents, below * (2 if i else parts))
            if found != expected:
                raise ModelError(f"level {i}: channels {found}, {expected} expected")
            below = level.latents
        if (
            self.constants.shape != (below, 2)
            or np.abs(self.constants.astype(np.int64)).max() >> 30
        ):
            raise ModelError(f"constants of shape {self.constants.shape}, or out of range")

    @property
    def channels(self) -> int:
        """Channels of the images it codes: 1 or 3."""
        return self.levels[0].posterior.inputs

    @property
    def components(self) -> int:
        """Number of logistics of a pixel."""
        return max(1, self.levels[0].prior.outputs // self.channels // 3)

    @property
    def stride(self) -> int:
        """The side of the squares that a coarsest latent stands for."""
        return 1 << len(self.levels)

    @property
    def operations(self) -> int:
        """Products and sums for a pixel, rounded up."""
        total = 0.0
        for i, level in enumerate(self.levels):
            for stack, side in ((level.posterior, 1 << i), (level.prior, 2 << i)):
                total += sum(c.weight.size * share for c, share in stack.shares()) / side**2
        return int(np.ceil(total))


class Chain:
    """Squares on one stack of bits: `push` codes one, `pop` decodes the one that was coded last.

    `initial` are the bits that latents would have taken off the stack where it had not enough.
    """

    def __init__(self, model: Bitswap, words: ans.Words) -> None:
        self._model = model
        self._coder = ans.decoder([words])
        self._one, self._many = mixtures.mixtures(1), mixtures.mixtures(model.components)
        self.initial = 0.0

    @property
    def bits(self) -> float:
        """Bits on the stack."""
        return ans.bits_left(self._coder)

    @property
    def words(self) -> ans.Words:
        """The stack."""
        return ans.left(self._coder)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left, as after the first square that was coded."""
        return ans.is_finished(self._coder, 0)

    def push(self, planes: Planes) -> None:
        """Code a square: planes, int32 (C, height, width)."""
        values = np.ascontiguousarray(planes.transpose(1, 2, 0))
        given = self._seen(values)
        for i, level in enumerate(self._model.levels):
            sums = level.posterior.sums(given)
            latents, taken = self._taken(sums)
            self._coder = ans.with_room(self._coder, 1)
            bits_back.push_flag(taken, self._coder)
            below = level.prior.sums(latents)
            if i == 0:
                self._push(below, values, PIXELS, self._many)
            else:
                self._push(below, given, BINS, self._one)
            given = latents
        self._push(self._constants, given, BINS, self._one)

    def pop(self, height: int, width: int) -> Planes:
        """Decode a square."""
        model = self._model
        values = np.zeros((height, width, model.channels), np.int32)
        side = model.stride
        shape = (-(-height // side), -(-width // side))
        latents = np.zeros((*shape, model.levels[-1].latents), np.int32)
        self._pop(self._constants, latents, BINS, self._one)
        for i in reversed(range(len(model.levels))):
            level = model.levels[i]
            sums = level.prior.sums(latents)
            if i == 0:
                self._pop(sums, values, PIXELS, self._many)
                below = self._seen(values)
            else:
                shape = (2 * shape[0], 2 * shape[1])
                below = np.zeros((*shape, model.levels[i - 1].latents), np.int32)
                self._pop(sums, below, BINS, self._one)
            if bits_back.pop_flag(self._coder):
                self._push(level.posterior.sums(below), latents, DRAWN, self._one)
            latents = below
        return np.ascontiguousarray(values.transpose(2, 0, 1))

    @property
    def _constants(self) -> Sums:
        return self._model.constants.reshape(1, 1, -1)

    def _seen(self, values: Values) -> Values:
        """Return what the first posterior sees of a square (height, width, C).

        Twice the values less the middle of their range; the last row and column are repeated until
        the sides are multiples of the stride.
        """
        centre = np.array([VALUES // 2, 0, 0])[: values.shape[2]]
        missing = [(0, -n % self._model.stride) for n in values.shape[:2]]
        seen = np.pad(2 * (values - centre), [*missing, (0, 0)], mode="edge")
        return seen.astype(np.int32)

    def _taken(self, sums: Sums) -> tuple[Values, bool]:
        """Return latents taken off the stack, and True; the likeliest ones if it has too few."""
        latents = np.zeros((*sums.shape[:2], sums.shape[2] // 2), np.int32)
        tables, coder = self._model.tables, self._coder
        before = coder.place.copy(), coder.state.copy()
        if bits_back.pop(sums, latents, DRAWN, tables, self._one, coder, True):
            return latents, True
        coder.place[:], coder.state[:] = before
        bits_back.likeliest(sums, latents, BINS, tables, self._one)
        other = ans.with_room(ans.decoder([np.zeros(0, np.uint32)]), latents.size)
        bits_back.push(sums, latents, BINS, tables, self._one, other)
        self.initial += ans.bits_left(other)
        return latents, False

    def _push(self, sums: Sums, values: Values, kind: Kind, room: Mixtures) -> None:
        self._coder = ans.with_room(self._coder, values.size)
        bits_back.push(sums, values, kind, self._model.tables, room, self._coder)

    def _pop(self, sums: Sums, values: Values, kind: Kind, room: Mixtures) -> None:
        bits_back.pop(sums, values, kind, self._model.tables, room, self._coder, False)


def _squares(height: int, width: int) -> list[tuple[slice, slice]]:
    """Return the squares of a tile, row by row."""
    rows, columns = (
        [slice(i, min(i + SIDE, n)) for i in range(0, n, SIDE)] for n in (height, width)
    )
    return [(row, column) for row in rows for column in columns]


def encode_chain(
    model: Bitswap, tiles: Sequence[Planes], progress: Progress | None = None
) -> Coded:
    """Return the stream of tiles in one chain: planes, int32 (C, height, width).

    Of the bits of each the initial ones, which the first to be coded needs, are shared out evenly.
    """
    chain = Chain(model, np.zeros(0, np.uint32))
    bits = []
    for planes in reversed(tiles):
        before = chain.bits - chain.initial
        for place in reversed(_squares(*planes.shape[1:])):
            chain.push(planes[:, *place])
        bits.append(chain.bits - chain.initial - before)
        if progress is not None:
            progress(planes[0].size)
    share = chain.initial / max(1, len(tiles))
    return Coded(ans.to_bytes(chain.words), [one + share for one in reversed(bits)])


def decode_chain(
    model: Bitswap,
    stream: bytes,
    sizes: Sequence[tuple[int, int]],
    progress: Progress | None = None,
) -> tuple[list[Planes], bool]:
    """Return the tiles of a chain, of sizes (height, width), and whether it ended with them.

    In a damaged stream what comes after the damage is wrong: checksums are the container's work.
    Raises FormatError where the stream is no whole number of words.
    """
    chain = Chain(model, ans.from_bytes(stream))
    tiles = []
    for height, width in sizes:
        planes = np.zeros((model.channels, height, width), np.int32)
        for rows, columns in _squares(height, width):
            shape = planes[0, rows, columns].shape
            planes[:, rows, columns] = chain.pop(*shape)
        tiles.append(planes)
        if progress is not None:
            progress(height * width)
    return tiles, chain.is_empty


def check_alphabet(alphabet: int) -> None:
    """Raise ModelError unless a channel has 256 values, those of the model's priors."""
    if alphabet != VALUES:
        raise ModelError(f"{alphabet} values a channel: a bits-back model codes {VALUES}")


def encode(
    model: Bitswap,
    tiles: Sequence[Planes],
    progress: Progress | None = None,
    alphabet: int = VALUES,
) -> list[bytes]:
    """Return the stream of each tile, a chain of its squares: planes, int32 (C, height, width).

    `progress` is called with numbers of pixels. Raises ModelError for an `alphabet` but 256.
    """
    check_alphabet(alphabet)
    return [encode_chain(model, [planes], progress).stream for planes in tiles]


def decode(
    model: Bitswap,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    progress: Progress | None = None,
    alphabet: int = VALUES,
) -> list[Planes | None]:
    """Return the planes of each stream, None for a stream that is visibly damaged."""
    check_alphabet(alphabet)
    tiles: list[Planes | None] = []
    for stream, size in zip(streams, sizes, strict=True):
        found, whole = decode_chain(model, stream, [size], progress)
        tiles.append(found[0] if whole else None)
    return tiles
