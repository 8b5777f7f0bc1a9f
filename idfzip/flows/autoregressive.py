"""The autoregressive flow: tiles advanced in lockstep along the wavefront.

A step prepares one group, that is the pixels of step `t` of all tiles of the batch: the expert's
systems are solved, the network's inputs gathered. Then the pixels are placed, by whoever knows
them: the coder, or here, where `forward` maps pixels to the expert's rounded errors and `inverse`
maps them back. The prior codes the same integers given the same context, so that the codec is
this flow followed by a conditional prior.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.flows import context, expert, painted, wavefront, window
from idfzip.flows.alphabet import BYTES, Alphabet, Integers, integer_type
from idfzip.flows.recursion import ONE
from idfzip.flows.wavefront import MARGIN
from idfzip.integer.jit import kernel
from idfzip.integer.panel import ROWS, padded

Planes = npt.NDArray[np.int32]


class Design(NamedTuple):
    """What the flow of a model looks at; the tables are integers that the model carries.

    `regressors` int64 (m, 3): channel, dy, dx; `neighbours` and `places` int64 (n, 2): dy, dx;
    `ridge` int64 (1,), in units of a sample's weight.
    """

    regressors: npt.NDArray[np.int64]
    neighbours: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    ridge: npt.NDArray[np.int64]
    tables: context.Tables


class Lockstep(NamedTuple):
    """A batch of tiles under way; rows of a group are ordered by tile, then by y.

    `planes` and `errors` (tiles, C, RING, ..) are rings (see `wavefront`), errors in 1/64 of a
    step; `pictures` int32 (tiles, C, rows + 8, columns + 8) what is known before
    (`painted.framed`), of no tiles where nothing is; `sizes` int64 (tiles, 2): height, width;
    `inputs` float32 (tiles * rows or more, inputs or more), whole numbers; `scales` int32 of as
    many rows, (.., C); `tables` those of the design, for the alphabet; `room` working memory.
    """

    alphabet: Alphabet
    tables: context.Tables
    planes: Integers
    errors: Integers
    pictures: Planes
    sizes: npt.NDArray[np.int64]
    sums: window.Window
    samples: window.Samples
    found: expert.Solution
    inputs: npt.NDArray[np.float32]
    scales: npt.NDArray[np.int32]
    room: context.Room


class Record(NamedTuple):
    """What was seen of known pixels, row by row: int32 (rows, C).

    `means` are the expert's, `leads` these less the pixel's base, both in 1/64 of a step; `values`
    the planes'.
    """

    means: npt.NDArray[np.int32]
    leads: npt.NDArray[np.int32]
    values: npt.NDArray[np.int32]


def width(design: Design, channels: int, looks: bool) -> int:
    """Return the number of inputs, of a network that looks at a picture or of one that does not."""
    plain = context.width(len(design.neighbours), len(design.places), channels)
    return plain + channels * painted.INPUTS * looks


def begin(
    design: Design,
    sizes: list[tuple[int, int]],
    channels: int,
    room: int = 0,
    alphabet: Alphabet = BYTES,
    picture: Planes | None = None,
) -> Lockstep:
    """Return an empty batch for tiles of these sizes (height, width).

    It has room for the inputs of one group and of `room` rows more, in whole panels. Planes are
    mid-grey, or without colour. `picture`, int32 (C, height, width), is one that is known before
    the only tile, of 8 bits.
    """
    tiles, rows = len(sizes), max(h for h, _ in sizes)
    kind = integer_type(alphabet)
    empty = wavefront.ring(0, rows, kind)
    planes = np.zeros((tiles, channels, *empty.shape), kind)
    planes[:, 0] = alphabet.values >> 1
    regressors = len(design.regressors)
    inputs = width(design, channels, picture is not None)
    pictures = np.zeros((0, channels, 0, 0), np.int32)
    if picture is not None:
        pictures = painted.framed(picture)[None]
    return Lockstep(
        alphabet,
        context.deepened(design.tables, alphabet.deep),
        planes,
        np.zeros_like(planes),
        pictures,
        np.array(sizes, np.int64),
        window.window(tiles, rows, regressors, channels, alphabet),
        window.samples(tiles, rows, regressors, channels, alphabet),
        expert.solution(tiles, rows, channels),
        np.zeros((padded(tiles * rows + room, ROWS), padded(inputs, ROWS)), np.float32),
        np.zeros((tiles * rows + room, channels), np.int32),
        context.room(inputs),
    )


def steps(sizes: list[tuple[int, int]]) -> int:
    """Return the number of steps until every tile of the batch is done."""
    return max(wavefront.steps(h, w) for h, w in sizes)


@kernel
def advance(design: Design, batch: Lockstep, t: int, start: int, inputs: bool) -> int:
    """Learn from step `t - 1`, whose pixels have been placed; prepare step `t`.

    The systems of step `t` are solved and, if asked, its inputs gathered from row `start` on.
    Returns the row after them.
    """
    limit, ridge = batch.alphabet.limit, design.ridge[0] * ONE
    sums, samples, found = batch.sums, batch.samples, batch.found
    for b in range(len(batch.sizes)):
        height, width = batch.sizes[b]
        if t >= wavefront.steps(height, width):
            continue
        planes, errors, bases = batch.planes[b], batch.errors[b], samples.bases[b]
        values = samples.values[b]
        window.learn(planes, errors, sums, samples, b, t - 1, height, width, limit)
        window.sample(planes, design.regressors, t, height, width, limit, bases, values)
        first, end = wavefront.first_row(t, width), wavefront.end_row(t, height)
        if first >= end:
            continue
        log_table = design.tables.log
        expert.solve(sums, samples, b, t, first, end, len(planes), ridge, log_table, found)
        if inputs:
            context.gather(
                planes,
                errors,
                bases,
                design.neighbours,
                design.places,
                batch.tables,
                batch.alphabet,
                found,
                b,
                t,
                first,
                end,
                batch.room,
                batch.inputs,
                batch.scales,
                start,
            )
            if len(batch.pictures) > 0:
                painted.gather(
                    planes,
                    bases,
                    batch.pictures[b],
                    design.neighbours,
                    batch.tables,
                    t,
                    first,
                    end,
                    batch.inputs,
                    context.width(len(design.neighbours), len(design.places), len(planes)),
                    batch.scales,
                    start,
                )
        start += end - first
    return start


@kernel
def exchange(
    batch: Lockstep,
    b: int,
    t: int,
    given: Planes,
    other: Planes,
    inverse: bool,
    z: npt.NDArray[np.float64],
    record: Record,
    start: int,
) -> int:
    """Place the pixels of step `t` of tile `b`; return the row of the record after them.

    Forward, `given` holds the pixels and `other` receives the residuals, pixel less rounded mean;
    inverse, the other way round; both int32 (C, height, width). `z` is room of (C, rows). Rows of
    `record` are written from `start` on.
    """
    height, width = batch.sizes[b]
    planes, errors, bases = batch.planes[b], batch.errors[b], batch.samples.bases[b]
    partial, link = batch.found.partial[b], batch.found.link[b]
    limit, values = batch.alphabet.limit, batch.alphabet.values
    means, leads, pixels = record.means, record.leads, record.values
    first, end = wavefront.first_row(t, width), wavefront.end_row(t, height)
    at = wavefront.slot(t)
    for c in range(len(planes)):
        here, error, lowest = planes[c, at], errors[c, at], planes[0, at]
        for y in range(first, end):
            x, row, place = t - 2 * y, start + y - first, y + MARGIN
            value = expert.predict(partial, link, y, c, z, y, limit)
            middle = int(bases[c, y])
            low = 0 if c == 0 else -int(lowest[place])
            mean = expert.to_mean(value, middle, low, low + values - 1)
            rounded = (mean + expert.UNIT // 2) >> expert.MEAN_BITS
            pixel = given[c, y, x] + rounded if inverse else int(given[c, y, x])
            other[c, y, x] = pixel if inverse else pixel - rounded
            means[row, c] = mean
            leads[row, c] = mean - middle * expert.UNIT
            pixels[row, c] = pixel
            z[c, y] = np.float64(window.clamped(pixel - middle, limit)) - value
            here[place] = pixel
            error[place] = pixel * expert.UNIT - mean
        wavefront.spread(planes[c], t, height, width)
        wavefront.spread(errors[c], t, height, width)
    return start + max(0, end - first)


@kernel
def observe(
    design: Design,
    batch: Lockstep,
    truth: Planes,
    residuals: Planes,
    t: int,
    stop: int,
    room: int,
    record: Record,
) -> tuple[int, int]:
    """Take steps with known pixels from `t` on, until `stop` or until `room` rows are filled.

    `truth` and `residuals` are int32 (tiles, C, height, width). The last group may go beyond
    `room`, for which a batch has rows. Returns the next step and the number of rows.
    """
    count = 0
    z = np.zeros((truth.shape[1], truth.shape[2]))
    while t < stop and count < room:
        advance(design, batch, t, count, True)
        for b in range(len(batch.sizes)):
            count = exchange(batch, b, t, truth[b], residuals[b], False, z, record, count)
        t += 1
    return t, count


def record(rows: int, channels: int) -> Record:
    """Return room for what is seen of so many pixels."""
    return Record(*(np.zeros((rows, channels), np.int32) for _ in Record._fields))


def _run(design: Design, given: Planes, inverse: bool, alphabet: Alphabet) -> Planes:
    channels, height, width = given.shape
    batch = begin(design, [(height, width)], channels, 0, alphabet)
    other = np.zeros_like(given)
    z, seen = np.zeros((channels, height)), record(height, channels)
    for t in range(wavefront.steps(height, width)):
        advance(design, batch, t, 0, False)
        exchange(batch, 0, t, given, other, inverse, z, seen, 0)
    return other


def forward(design: Design, planes: Planes, alphabet: Alphabet = BYTES) -> Planes:
    """Return the residuals, int32 (C, height, width), of planes of that shape."""
    return _run(design, np.ascontiguousarray(planes, dtype=np.int32), False, alphabet)


def inverse(design: Design, residuals: Planes, alphabet: Alphabet = BYTES) -> Planes:
    """Return the planes of which `forward` made these residuals."""
    return _run(design, np.ascontiguousarray(residuals, dtype=np.int32), True, alphabet)
