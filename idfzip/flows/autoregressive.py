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

from idfzip.flows import context, expert, wavefront
from idfzip.flows.wavefront import MARGIN
from idfzip.integer.jit import kernel

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

    `planes` and `errors` int32 (tiles, C, rows + 4, columns + 8) with margins, errors in 1/64 of a
    step; `sizes` int64 (tiles, 2): height, width; `inputs` float32 (tiles * rows, inputs), whole
    numbers; `scales` int32 (tiles * rows, C).
    """

    planes: Planes
    errors: Planes
    sizes: npt.NDArray[np.int64]
    sums: expert.Window
    found: expert.Solution
    inputs: npt.NDArray[np.float32]
    scales: npt.NDArray[np.int32]


def fill(channel: int) -> int:
    """Return the constant of a plane of 8 bits: mid-grey, or no colour."""
    return 128 if channel == 0 else 0


def begin(design: Design, sizes: list[tuple[int, int]], channels: int) -> Lockstep:
    """Return an empty batch for tiles of these sizes (height, width)."""
    tiles, rows = len(sizes), max(h for h, _ in sizes)
    columns = max(w for _, w in sizes)
    shape = (tiles, channels, rows + MARGIN, columns + 2 * MARGIN)
    planes = np.zeros(shape, np.int32)
    planes[:, 0] = fill(0)
    inputs = context.width(len(design.neighbours), len(design.places), channels)
    return Lockstep(
        planes,
        np.zeros(shape, np.int32),
        np.array(sizes, np.int64),
        expert.window(tiles, rows, len(design.regressors), channels),
        expert.solution(tiles, rows, channels),
        np.zeros((tiles * rows, inputs), np.float32),
        np.zeros((tiles * rows, channels), np.int32),
    )


def steps(sizes: list[tuple[int, int]]) -> int:
    """Return the number of steps until every tile of the batch is done."""
    return max(wavefront.steps(h, w) for h, w in sizes)


@kernel
def prepare(design: Design, batch: Lockstep, t: int, inputs: bool) -> int:
    """Solve the systems and, if asked, gather the inputs of step `t`; return the group's size."""
    count = 0
    for b in range(len(batch.sizes)):
        height, width = batch.sizes[b]
        first = wavefront.first_row(t, width)
        end = wavefront.end_row(t, height)
        if first >= end:
            continue
        expert.solve(
            batch.planes[b],
            design.regressors,
            batch.sums,
            b,
            t,
            first,
            end,
            width,
            design.ridge[0] * expert.ONE,
            design.tables.log,
            batch.found,
        )
        if inputs:
            context.gather(
                batch.planes[b],
                batch.errors[b],
                design.neighbours,
                design.places,
                design.tables,
                batch.found,
                b,
                t,
                first,
                end,
                batch.inputs,
                batch.scales,
                count,
            )
        count += end - first
    return count


@kernel
def settle(design: Design, batch: Lockstep, t: int) -> None:
    """Learn from the pixels of step `t`, which have been placed."""
    for b in range(len(batch.sizes)):
        height, width = batch.sizes[b]
        first = wavefront.first_row(t, width)
        end = wavefront.end_row(t, height)
        expert.finish(
            batch.planes[b], batch.errors[b], design.regressors, batch.sums, b, t, first, end
        )


@kernel
def exchange(
    batch: Lockstep, b: int, t: int, given: Planes, other: Planes, means: Planes, inverse: bool
) -> None:
    """Place the pixels of step `t` of tile `b`.

    Forward, `given` holds the pixels and `other` receives the residuals, pixel less rounded mean;
    inverse, the other way round. `means` receives the means in 1/64 of a step. All are int32
    (C, height, width).
    """
    channels, height, width = given.shape
    planes = batch.planes[b]
    errors = batch.errors[b]
    z = np.zeros(channels)
    for y in range(wavefront.first_row(t, width), wavefront.end_row(t, height)):
        x = t - 2 * y
        for c in range(channels):
            value = expert.predict(batch.found, b, y, c, z)
            middle = expert.base(planes, c, y, x)
            low = 0 if c == 0 else -planes[0, y + MARGIN, x + MARGIN]
            mean = expert.to_mean(value, middle, low, low + 255)
            means[c, y, x] = mean
            rounded = (mean + expert.UNIT // 2) >> expert.MEAN_BITS
            pixel = given[c, y, x] + rounded if inverse else given[c, y, x]
            other[c, y, x] = pixel if inverse else pixel - rounded
            z[c] = np.float64(expert.clamped(pixel - middle)) - value
            wavefront.place(planes[c], y, x, height, width, pixel)
            wavefront.place(errors[c], y, x, height, width, pixel * expert.UNIT - mean)


def _run(design: Design, given: Planes, inverse: bool) -> Planes:
    channels, height, width = given.shape
    sizes = [(height, width)]
    batch = begin(design, sizes, channels)
    other = np.zeros_like(given)
    means = np.zeros_like(given)
    for t in range(steps(sizes)):
        prepare(design, batch, t, False)
        exchange(batch, 0, t, given, other, means, inverse)
        settle(design, batch, t)
    return other


def forward(design: Design, planes: Planes) -> Planes:
    """Return the residuals, int32 (C, height, width), of planes of that shape."""
    return _run(design, np.ascontiguousarray(planes, dtype=np.int32), False)


def inverse(design: Design, residuals: Planes) -> Planes:
    """Return the planes of which `forward` made these residuals."""
    return _run(design, np.ascontiguousarray(residuals, dtype=np.int32), True)
