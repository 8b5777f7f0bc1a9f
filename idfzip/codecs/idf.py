"""The bipartite codec: Integer Discrete Flows, integer networks, mixtures of logistics, ANS.

Hoogeboom et al. 2019, arXiv:1905.07376; van den Berg et al. 2021, arXiv:2006.12459. The flow takes
the planes G, R - G, B - G modulo 256 (less 128 the grey or green one), where the papers take RGB:
the differences give a small network the start that its first couplings would have to learn
(CIFAR-10, 600 steps of 16 images, 566,232 parameters: 4.31 bits per subpixel, RGB 4.57). A tile
is coded in few, large steps, level by level from the deepest; each level's latents channel by
channel, then row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idfzip.codecs.seen import Seen
from idfzip.coding import ans
from idfzip.errors import ModelError
from idfzip.flows import bipartite, coupling
from idfzip.flows.bipartite import Level
from idfzip.integer.conv import Sums
from idfzip.integer.densenet import DenseNet, Values
from idfzip.integer.jit import kernel
from idfzip.priors import mixture, mixtures
from idfzip.priors.mixtures import LANES, Mixtures

Planes = npt.NDArray[np.int32]
Progress = Callable[[int], object]

SCALE = 28
"""The prior's scale, an index of `mixture.Tables.span`: sums are in units of 16 steps."""


@dataclass(frozen=True)
class Idf:
    """All that coding needs of a model; raises ModelError where parts do not fit together.

    `conditions[i]` gives, of the channels that go on at level i, 3 K sums for each that leaves;
    `constants` int32 (channels, 3 K) are those of the last level.
    """

    levels: tuple[Level, ...]
    conditions: tuple[DenseNet, ...]
    constants: npt.NDArray[np.int32]
    prior: mixture.Tables

    def __post_init__(self) -> None:
        """Check that levels and priors are of these channels."""
        if not self.levels:
            raise ModelError("no levels")
        if self.constants.shape[1] != 3 * self.components or self.components == 0:
            raise ModelError(f"constants of shape {self.constants.shape}: no mixtures")
        channels = self.channels
        if channels not in (1, 3) or len(self.conditions) != len(self.levels) - 1:
            raise ModelError(f"{channels} channels, {len(self.conditions)} conditional priors")
        for i, net in enumerate(self.conditions):
            if self.levels[i].channels != 4 * channels:
                raise ModelError(f"level {i}: {self.levels[i].channels} channels")
            channels *= 2
            if (net.inputs, net.outputs) != (channels, channels * 3 * self.components):
                raise ModelError(f"prior {i}: {net.inputs} inputs, {net.outputs} outputs")
        if self.levels[-1].channels != 4 * channels or len(self.constants) != 4 * channels:
            raise ModelError(f"last level: {self.levels[-1].channels} channels")
        if np.abs(self.constants.astype(np.int64)).max() >= 1 << 30:
            raise ModelError("constants are out of range")

    @property
    def channels(self) -> int:
        """Channels of the images it codes: 1 or 3."""
        return self.levels[0].channels // 4

    @property
    def components(self) -> int:
        """Number of logistics in a mixture."""
        return int(self.constants.shape[1]) // 3

    @property
    def nets(self) -> tuple[DenseNet, ...]:
        """All networks: those of the couplings, level by level, then the conditional priors."""
        return (*(net for level in self.levels for net in level.couplings), *self.conditions)

    @property
    def operations(self) -> int:
        """Products and sums for a pixel, rounded up."""
        total = 0
        for i, level in enumerate(self.levels):
            nets = (*level.couplings, *self.conditions[i : i + 1])
            total += sum(net.operations for net in nets) << (2 * (len(self.levels) - 1 - i))
        return -(-total >> (2 * len(self.levels)))


def extent(model: Idf, height: int, width: int) -> tuple[int, int]:
    """Return the sides that the flow takes: the next multiples of 2**levels."""
    side = 1 << len(model.levels)
    return -(-height // side) * side, -(-width // side) * side


def to_values(model: Idf, planes: Planes) -> Values:
    """Return what the flow takes: int32 (height, width, C) in [-128, 127].

    The first plane less 128, the others modulo 256; the last row and column are repeated until
    the sides are those of `extent`.
    """
    _, height, width = planes.shape
    tall, wide = extent(model, height, width)
    values = coupling.wrap(planes.transpose(1, 2, 0) - np.array([128, 0, 0])[: len(planes)])
    return np.pad(values, ((0, tall - height), (0, wide - width), (0, 0)), mode="edge")


def to_planes(values: Values, height: int, width: int) -> Planes:
    """Undo `to_values`: R - G and B - G are those that give pixels of 0 to 255."""
    planes = values[:height, :width].transpose(2, 0, 1).copy()
    planes[0] += 128
    planes[1:] = ((planes[1:] + planes[0]) & 255) - planes[0]
    return planes


@kernel
def _mix(
    sums: Sums, c: int, y: int, x: int, count: int, tables: mixture.Tables, room: Mixtures
) -> None:
    """Make the mixtures of channel `c` of the pixels of row `y` from column `x` on."""
    size = 3 * len(room.weights)
    taken = np.empty((count, size), np.int32)
    line = sums[min(y, len(sums) - 1)]
    for lane in range(count):
        taken[lane] = line[min(x + lane, len(line) - 1), c * size : (c + 1) * size]
        room.scales[lane] = SCALE
        room.centres[lane] = 0
        room.lows[lane] = coupling.LOW
    mixtures.mix(taken, 0, count, tables.exp, tables.inverse, tables.span, room)


@kernel
def note_intervals(
    sums: Sums,
    values: Values,
    tables: mixture.Tables,
    room: Mixtures,
    intervals: npt.NDArray[np.int32],
) -> None:
    """Write lower end and frequency of every value, int32 (C * height * width, 2), in order.

    `sums` int32 (height, width, C * 3 K), or (1, 1, C * 3 K) the same everywhere.
    """
    height, width, channels = values.shape
    many = coupling.VALUES
    at = 0
    for c in range(channels):
        for y in range(height):
            for x in range(0, width, LANES):
                count = min(LANES, width - x)
                _mix(sums, c, y, x, count, tables, room)
                for lane in range(count):
                    room.values[lane] = values[y, x + lane, c]
                mixtures.edges(count, many, tables.sigmoid, room)
                mixtures.intervals(count, many, room)
                for lane in range(count):
                    intervals[at + lane, 0] = room.ends[0, lane]
                    intervals[at + lane, 1] = room.ends[1, lane] - room.ends[0, lane]
                at += count


@kernel
def decode_values(
    sums: Sums,
    coder: ans.Coder,
    tables: mixture.Tables,
    room: Mixtures,
    values: Values,
    cut: bool,
) -> int:
    """Decode all values, int32 (height, width, C), of the coder's one stream; see above.

    If the stream is `cut`, values after its end are their means. Returns how many were before.
    """
    weights, means, inverses, sigmoid = room.weights, room.means, room.inverses, tables.sigmoid
    words, place, state = coder.words, coder.place, coder.state
    height, width, channels = values.shape
    low, many = coupling.LOW, coupling.VALUES
    found = 0
    for c in range(channels):
        for y in range(height):
            for x in range(0, width, LANES):
                count = min(LANES, width - x)
                _mix(sums, c, y, x, count, tables, room)
                for lane in range(count):
                    if cut and ans.is_starved(place, state, 0):
                        values[y, x + lane, c] = mixture.middle(low, many, weights, means, lane)
                        continue
                    found += 1
                    quantile = ans.peek(state, 0)
                    value, lower, upper = mixture.search(
                        quantile, low, many, weights, means, inverses, lane, sigmoid
                    )
                    ans.pop(words, place, state, 0, lower, upper - lower)
                    values[y, x + lane, c] = value
    return found


def _sums(model: Idf, level: int, given: Values) -> Sums:
    """Return the prior's sums for the latents of a level, as `note_intervals` takes them."""
    if level < len(model.conditions):
        return model.conditions[level].sums(given)
    return model.constants.reshape(1, 1, -1)


def check_alphabet(alphabet: int) -> None:
    """Raise ModelError unless a channel has 256 values, modulo which the couplings count."""
    if alphabet != coupling.VALUES:
        raise ModelError(f"{alphabet} values a channel: a bipartite model codes {coupling.VALUES}")


def encode_levels(
    model: Idf,
    tiles: Sequence[Planes],
    progress: Progress | None = None,
    alphabet: int = coupling.VALUES,
) -> list[list[bytes]]:
    """Return the parts of each tile's stream, one for each level from the deepest on.

    Tiles are planes, int32 (C, height, width), coded one after the other. `progress` is called with
    numbers of pixels. A decoder that has read a part has all latents of its level. Raises
    ModelError for an `alphabet` but 256.
    """
    check_alphabet(alphabet)
    streams = []
    room = mixtures.mixtures(model.components)
    for planes in tiles:
        found = bipartite.forward(model.levels, to_values(model, planes))
        noted = []
        for i in reversed(range(len(found))):
            values = np.ascontiguousarray(found[i].values)
            intervals = np.empty((values.size, 2), np.int32)
            sums = _sums(model, i, found[i].given)
            note_intervals(sums, values, model.prior, room, intervals)
            noted.append(intervals)
        cumulative, frequency = np.ascontiguousarray(np.concatenate(noted).T)
        ends = np.cumsum([len(intervals) for intervals in noted])
        streams.append(ans.push_parts(cumulative, frequency, ends.tolist()))
        if progress is not None:
            progress(planes[0].size)
    return [[ans.to_bytes(part) for part in parts] for parts in streams]


def encode(
    model: Idf,
    tiles: Sequence[Planes],
    progress: Progress | None = None,
    alphabet: int = coupling.VALUES,
) -> list[bytes]:
    """Return the stream of each tile, as `encode_levels`."""
    return [b"".join(parts) for parts in encode_levels(model, tiles, progress, alphabet)]


def decode(
    model: Idf,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    progress: Progress | None = None,
    alphabet: int = coupling.VALUES,
) -> list[Planes | None]:
    """Return the planes of each stream, None for a stream that is visibly damaged.

    Damage that no rule of the coder shows gives wrong planes: checksums are the container's work.
    Raises ModelError for an `alphabet` but 256.
    """
    check_alphabet(alphabet)
    tiles: list[Planes | None] = []
    for stream, (height, width) in zip(streams, sizes, strict=True):
        coder = ans.decoder([ans.from_bytes(stream)])
        planes, _ = _run(model, coder, height, width, False)
        tiles.append(planes if ans.is_finished(coder, 0) else None)
        if progress is not None:
            progress(height * width)
    return tiles


def preview(
    model: Idf,
    stream: bytes,
    size: tuple[int, int],
    cut: bool,
    alphabet: int = coupling.VALUES,
) -> Seen:
    """Return what the first part of a stream shows; latents after it, if `cut`, are means.

    As in figure 8 of Hoogeboom et al. 2019. Raises ModelError for an `alphabet` but 256.
    """
    check_alphabet(alphabet)
    planes, read = _run(model, ans.decoder([ans.from_bytes(stream)]), *size, cut)
    tall, wide = extent(model, *size)
    return Seen(planes, read / (tall * wide * model.channels))


def _run(model: Idf, coder: ans.Coder, height: int, width: int, cut: bool) -> tuple[Planes, int]:
    """Return the planes of a tile, and how many latents were in the stream."""
    room = mixtures.mixtures(model.components)
    counts = []

    def latents(i: int, given: Values) -> Values:
        channels = model.levels[i].channels - given.shape[2]
        values = np.empty((*given.shape[:2], channels), np.int32)
        sums = _sums(model, i, given)
        counts.append(decode_values(sums, coder, model.prior, room, values, cut))
        return values

    values = bipartite.inverse(model.levels, *extent(model, height, width), latents)
    return to_planes(values, height, width), sum(counts)
