"""The progressive codec: a lattice that becomes finer, three integer networks, mixtures, ANS.

Level by level, phase by phase, row by row, in pieces of up to 128 pixels (`flows.lattice`), in each
piece channel by channel. Each phase has its network, which learns while coding as the flagship's
does. Encoder and decoder are one kernel, `code_phase`, which notes intervals or searches them.
A stream that is cut gives the values before the cut; the rest are their means, given those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idfzip.codecs.encoding import Intervals
from idfzip.codecs.flagship import STATIC, Learning, Progress
from idfzip.codecs.last_stage import Tables
from idfzip.codecs.phase import Source, code_first, code_phase, phase
from idfzip.codecs.seen import Seen
from idfzip.coding import ans, turns
from idfzip.coding.turns import Turns
from idfzip.errors import ModelError
from idfzip.flows import lattice
from idfzip.flows.alphabet import BYTES
from idfzip.flows.lattice import PHASES, Design, Planes
from idfzip.integer import learner as learners
from idfzip.integer.network import ERROR_INPUTS, Network
from idfzip.priors import mixture, mixtures

VALUES = BYTES.values
"""The values of a channel."""


@dataclass(frozen=True)
class Lattice:
    """All that coding needs of a model: a network for each phase; raises ModelError."""

    design: Design
    networks: tuple[Network, ...]
    prior: mixture.Tables
    learning: Learning = STATIC

    def __post_init__(self) -> None:
        """Check that the networks are alike, and where learning could lead."""
        first = self.networks[0]
        sizes = (self.design.neighbours.shape[1], self.design.places.shape[1], first.channels)
        if len(self.networks) != len(PHASES) or first.channels not in (1, 3):
            raise ModelError(f"{len(self.networks)} networks of {first.channels} channels")
        for i, net in enumerate(self.networks):
            if (net.inputs, net.channels) != (lattice.width(*sizes), first.channels):
                raise ModelError(f"network {i}: {net.inputs} inputs, the design gives others")
            if net.channels > 1 and net.seen != ERROR_INPUTS:
                raise ModelError(f"network {i}: heads with {net.seen} values a channel")
            if net.components != first.components:
                raise ModelError(f"network {i}: mixtures of {net.components}")
            if self.learning.rate:
                learners.check(net, self.learning.frozen)

    @property
    def channels(self) -> int:
        """Channels of the images it codes: 1 or 3."""
        return self.networks[0].channels

    @property
    def operations(self) -> int:
        """Products and sums for a pixel, rounded up."""
        return -(-sum(net.operations for net in self.networks) // len(PHASES))


def _run(
    model: Lattice,
    height: int,
    width: int,
    source: Source,
    intervals: Intervals,
    progress: Progress | None,
) -> tuple[Planes, list[int]]:
    """Code a tile; return its planes, and the numbers of values coded at the end of each level."""
    tables = Tables(**model.design.tables._asdict(), **model.prior._asdict())
    phases = [phase(net, model.learning) for net in model.networks]
    room = mixtures.mixtures(model.networks[0].components)
    level = lattice.start(model.channels)
    code_first(level.planes, source, intervals)
    ends = []
    for bits in reversed(range(lattice.levels(height, width))):
        level = lattice.finer(level, bits, height, width)
        for i, (top, left) in enumerate(PHASES):
            code_phase(
                model.design, tables, level, i, top, left, phases[i], source, intervals, room
            )
            if progress is not None:
                _, tall, wide = level.planes.shape
                progress(len(range(top, tall, 2)) * len(range(left, wide, 2)))
        ends.append(int(intervals.used[0]))
    return level.planes, ends or [int(intervals.used[0])]


def check_alphabet(alphabet: int) -> None:
    """Raise ModelError unless a channel has 256 values."""
    if alphabet != VALUES:
        raise ModelError(f"{alphabet} values a channel: a progressive model codes {VALUES}")


def encode_levels(
    model: Lattice,
    tiles: Sequence[Planes],
    progress: Progress | None = None,
    alphabet: int = VALUES,
    states: int = 0,
) -> list[list[bytes]]:
    """Return the parts of each tile's stream, one for each level from the coarsest on.

    Tiles are planes, int32 (C, height, width), coded one after the other. `progress` is called with
    numbers of pixels. A decoder that has read a part has all values of its level. Streams have so
    many `states`, a power of two, or with 0 as many as their length allows. Raises ModelError for
    an `alphabet` but 256.
    """
    check_alphabet(alphabet)
    streams = []
    nothing = turns.decoder([np.zeros(0, np.uint32)])
    for tile in tiles:
        shape = (1, tile.size)
        intervals = Intervals(
            np.empty(shape, np.int32), np.empty(shape, np.int32), np.zeros(1, np.int64)
        )
        truth = np.ascontiguousarray(tile, np.int32)
        source = Source(truth, nothing, False)
        _, height, width = tile.shape
        _, ends = _run(model, height, width, source, intervals, progress)
        cumulative, frequency = intervals.cumulative[0], intervals.frequency[0]
        streams.append(turns.push_parts(cumulative, frequency, ends, 0, states))
    return [[ans.to_bytes(part) for part in parts] for parts in streams]


def encode(
    model: Lattice,
    tiles: Sequence[Planes],
    progress: Progress | None = None,
    alphabet: int = VALUES,
) -> list[bytes]:
    """Return the stream of each tile, as `encode_levels`."""
    return [b"".join(parts) for parts in encode_levels(model, tiles, progress, alphabet)]


def decode(
    model: Lattice,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    progress: Progress | None = None,
    alphabet: int = VALUES,
) -> list[Planes | None]:
    """Return the planes of each stream, None for a stream that is visibly damaged.

    Damage that no rule of the coder shows gives wrong planes: checksums are the container's work.
    Raises ModelError for an `alphabet` but 256.
    """
    check_alphabet(alphabet)
    tiles: list[Planes | None] = []
    for stream, size in zip(streams, sizes, strict=True):
        coder = turns.decoder([ans.from_bytes(stream)])
        planes, _ = _decoded(model, coder, size, False, progress)
        tiles.append(planes if turns.is_finished(coder, 0) else None)
    return tiles


def preview(
    model: Lattice, stream: bytes, size: tuple[int, int], cut: bool, alphabet: int = VALUES
) -> Seen:
    """Return what the first part of a stream shows; values after it, if `cut`, are means.

    Raises ModelError for an `alphabet` but 256.
    """
    check_alphabet(alphabet)
    planes, used = _decoded(model, turns.decoder([ans.from_bytes(stream)]), size, cut, None)
    return Seen(planes, used / planes.size)


def _decoded(
    model: Lattice,
    coder: Turns,
    size: tuple[int, int],
    cut: bool,
    progress: Progress | None,
) -> tuple[Planes, int]:
    """Return the planes of a tile, and how many values were in the stream."""
    nothing = np.zeros((1, 0), np.int32)
    intervals = Intervals(nothing, nothing, np.zeros(1, np.int64))
    source = Source(np.zeros((model.channels, 0, 0), np.int32), coder, cut)
    planes, ends = _run(model, *size, source, intervals, progress)
    return planes, ends[-1]
