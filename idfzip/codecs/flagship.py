"""The flagship codec: autoregressive flow, integer network, mixture of logistics, ANS.

A batch of tiles advances in lockstep. Decoding takes a group a step: systems and inputs (`flows`),
the trunk as products for the whole group (`integer`), then channel by channel the head, the
mixture and the coder (`decoding`). Encoding knows the pixels, so it takes many groups to the
network at once, notes the intervals in the order of decoding (`encoding`), and pushes them
backwards at the end. A network that learns (`integer.learning`) does so alike in both, tile by
tile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.codecs.decoding import View, decode_steps
from idfzip.codecs.encoding import Intervals, encode_steps, ends
from idfzip.codecs.last_stage import STEPS, Tables
from idfzip.codecs.seen import Seen
from idfzip.coding import ans, turns
from idfzip.coding.turns import Turns
from idfzip.errors import ModelError
from idfzip.flows import alphabet as alphabets
from idfzip.flows import autoregressive, wavefront
from idfzip.flows.alphabet import BYTES, Alphabet
from idfzip.flows.autoregressive import Design, Lockstep, Planes
from idfzip.integer import learner, learning, network
from idfzip.integer.learner import Learner
from idfzip.integer.network import Network
from idfzip.integer.panel import ROWS, padded
from idfzip.priors import mixture, mixtures

Progress = Callable[[int], object]


class Learning(NamedTuple):
    """How the network follows an image.

    `rate` in 2**-20; `frozen` trunk layers stay; one of `every` periods is learned from.
    """

    rate: int = 0
    frozen: int = 0
    every: int = 1


STATIC = Learning()
"""A network that stays as it was trained."""


@dataclass(frozen=True)
class Flagship:
    """All that coding needs of a model."""

    design: Design
    network: Network
    prior: mixture.Tables
    learning: Learning = STATIC

    def __post_init__(self) -> None:
        """Raise ModelError for another kind of heads, or where learning could leave exactness."""
        if self.channels > 1 and self.network.seen != network.SEEN_INPUTS:
            raise ModelError(f"heads with {self.network.seen} values of each channel before")
        if self.learning.rate:
            learner.check(self.network, self.learning.frozen)

    @property
    def channels(self) -> int:
        """Channels of the images it codes: 1 or 3."""
        return self.network.channels

    @property
    def looks(self) -> bool:
        """Whether the network looks at a picture that is known before the tile."""
        return self.network.inputs != autoregressive.width(self.design, self.channels, False)

    @property
    def operations(self) -> int:
        """Products and sums for a pixel."""
        return self.network.operations


CHUNK = 2048
"""Rows that encoding takes to the network at once: groups may be joined, the pixels are known."""


def shown(model: Flagship, picture: Planes | None) -> Planes | None:
    """Return the picture that a model sees, if any; raises ModelError where it lacks one."""
    if model.looks and picture is None:
        raise ModelError("a model that looks at a lossy picture: it codes with --lossy-first only")
    return picture if model.looks else None


def _tables(model: Flagship, batch: Lockstep) -> Tables:
    prior = mixture.deepened(model.prior, batch.alphabet.deep)
    return Tables(**batch.tables._asdict(), **prior._asdict())


def encode(
    model: Flagship,
    tiles: Sequence[Planes],
    progress: Progress | None = None,
    alphabet: int = BYTES.values,
    picture: Planes | None = None,
    states: int = 0,
) -> list[bytes]:
    """Return the stream of each tile: planes, int32 (C, height, width).

    The first channel is in [0, alphabet), others in [-first, alphabet - 1 - first]; the alphabet is
    a number from 1 to 65536. Tiles are coded in lockstep, but one by one where the network learns:
    each has its own. `progress` is called with numbers of pixels. `picture` is as for `intervals`.
    Streams have so many `states`, a power of two, or with 0 as many as their length allows.
    """
    one = alphabets.alphabet(alphabet)
    batches = [tiles] if model.learning.rate == 0 else [[tile] for tile in tiles]
    streams = []
    for batch in batches:
        state = learner.learner(model.network, *model.learning, rows(model, batch_sizes(batch)))
        found = intervals(model, batch, state, progress, one, picture)
        for b, used in enumerate(found.used):
            symbols = found.cumulative[b, :used], found.frequency[b, :used]
            streams.append(ans.to_bytes(turns.push_all(*symbols, states)))
    return streams


def batch_sizes(tiles: Sequence[Planes]) -> list[tuple[int, int]]:
    """Return height and width of each tile."""
    return [(tile.shape[1], tile.shape[2]) for tile in tiles]


def rows(model: Flagship, sizes: Sequence[tuple[int, int]]) -> int:
    """Return for how many rows a learner needs room that codes tiles of these sizes in lockstep."""
    chunk = learning.PERIOD if model.learning.rate else CHUNK
    return padded(len(sizes) * max(h for h, _ in sizes) + chunk + ROWS, ROWS)


def intervals(
    model: Flagship,
    tiles: Sequence[Planes],
    state: Learner,
    progress: Progress | None = None,
    alphabet: Alphabet = BYTES,
    picture: Planes | None = None,
) -> Intervals:
    """Return the symbols of each tile, coded in lockstep by a network that stands at `state`.

    `state`, with room for `rows`, moves on with what it learns. `picture`, like the only tile, is
    what a model that looks at one sees; others do not.
    """
    channels = model.channels
    sizes = batch_sizes(tiles)
    extent = (max(h for h, _ in sizes), max(w for _, w in sizes))
    truth = np.zeros((len(tiles), channels, *extent), np.int32)
    for b, tile in enumerate(tiles):
        truth[b, :, : sizes[b][0], : sizes[b][1]] = tile
    residuals = np.zeros_like(truth)
    chunk = learning.PERIOD if model.learning.rate else CHUNK
    looked_at = shown(model, picture)
    batch = autoregressive.begin(model.design, sizes, channels, chunk + ROWS, alphabet, looked_at)
    room = len(batch.inputs)
    seen = autoregressive.record(room, channels)
    buffers = model.network.buffers(room)
    errors = np.zeros((room, network.SEEN_INPUTS * channels), np.float32)
    together, limits = mixtures.mixtures(model.network.components), ends(room, channels)
    tables = _tables(model, batch)
    shape = (len(tiles), max(tile.size for tile in tiles))
    found = Intervals(
        np.empty(shape, np.int32), np.empty(shape, np.int32), np.zeros(len(tiles), np.int64)
    )
    t, stop = 0, autoregressive.steps(sizes)
    while t < stop:
        t, count = encode_steps(
            model.design,
            state,
            tables,
            batch,
            truth,
            residuals,
            seen,
            errors,
            buffers,
            together,
            limits,
            found,
            t,
            stop,
            chunk,
        )
        if progress is not None:
            progress(count)
    return found


def decode(
    model: Flagship,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    progress: Progress | None = None,
    alphabet: int = BYTES.values,
    picture: Planes | None = None,
) -> list[Planes | None]:
    """Return the planes of each stream, None for a stream that is visibly damaged.

    Damage that no rule of the coder shows gives wrong planes: checksums are the container's work.
    """
    one = alphabets.alphabet(alphabet)
    size = 1 if model.learning.rate else len(streams)
    tiles: list[Planes | None] = []
    for i in range(0, len(streams), size):
        mine = list(sizes[i : i + size])
        coder = turns.decoder([ans.from_bytes(stream) for stream in streams[i : i + size]])
        state = learner.learner(model.network, *model.learning, rows(model, mine))
        found = planes(model, mine, coder, state, progress, one, picture)
        tiles += [tile if turns.is_finished(coder, b) else None for b, tile in enumerate(found)]
    return tiles


def planes(
    model: Flagship,
    sizes: list[tuple[int, int]],
    coder: Turns,
    state: Learner,
    progress: Progress | None = None,
    alphabet: Alphabet = BYTES,
    picture: Planes | None = None,
) -> list[Planes]:
    """Return the tiles that `intervals` with such a `state` gave the symbols of.

    `coder` has a stream for each of them, or one for all.
    """
    return _run(model, sizes, coder, state, STEPS, False, progress, alphabet, picture)[0]


def preview(
    model: Flagship,
    stream: bytes,
    size: tuple[int, int],
    cut: bool,
    alphabet: int = BYTES.values,
) -> Seen:
    """Return what the first part of a stream shows: the steps before the cut, if there is one."""
    coder = turns.decoder([ans.from_bytes(stream)])
    tile, known = seen(model, coder, size, cut, alphabets.alphabet(alphabet))
    return Seen(tile, float(known.mean()), known)


def seen(
    model: Flagship,
    coder: Turns,
    size: tuple[int, int],
    cut: bool,
    alphabet: Alphabet = BYTES,
    picture: Planes | None = None,
) -> tuple[Planes, npt.NDArray[np.bool_]]:
    """Return the planes that the first part of the coder's stream gives, and where they are known.

    The latter is of shape (height, width).
    """
    state = learner.learner(model.network, *model.learning, rows(model, [size]))
    (tile,), done = _run(model, [size], coder, state, 1, cut, None, alphabet, picture)
    y, x = np.mgrid[: size[0], : size[1]]
    return tile, x + wavefront.SLOPE * y < done


def _run(
    model: Flagship,
    sizes: list[tuple[int, int]],
    coder: Turns,
    state: Learner,
    stride: int,
    cut: bool,
    progress: Progress | None,
    alphabet: Alphabet,
    picture: Planes | None = None,
) -> tuple[list[Planes], int]:
    """Decode tiles, `stride` steps at a time; return their planes, and how many steps were taken.

    If streams are `cut`, the first that ends stops the work before the step that lacks a word.
    """
    channels = model.channels
    room = learning.PERIOD if model.learning.rate else 0
    looked_at = shown(model, picture)
    batch = autoregressive.begin(model.design, sizes, channels, room + ROWS, alphabet, looked_at)
    room = len(batch.inputs)
    extent = (max(h for h, _ in sizes), max(w for _, w in sizes))
    made = np.zeros((len(sizes), channels, *extent), np.int32)
    made[:, 0] = alphabet.values >> 1  # what is not decoded is mid-grey
    view = View(
        alphabet,
        batch.planes,
        batch.errors,
        batch.samples.bases,
        batch.sizes,
        batch.scales,
        batch.found.partial,
        batch.found.link,
        np.zeros((room, network.SEEN_INPUTS * channels), np.float32),
        np.zeros((channels, room)),
        mixtures.mixtures(model.network.components),
        made,
    )
    buffers = model.network.buffers(room)
    tables = _tables(model, batch)
    stop = autoregressive.steps(sizes)
    pending = 0
    for begin in range(0, stop, stride):
        end = min(begin + stride, stop)
        count, pending = decode_steps(
            model.design, state, tables, batch, view, buffers, coder, begin, end, pending
        )
        if cut and turns.lacks_words(coder):
            stop = begin
            break
        if progress is not None:
            progress(count)
    tiles = [
        np.ascontiguousarray(made[b, :, :height, :width]) for b, (height, width) in enumerate(sizes)
    ]
    return tiles, stop
