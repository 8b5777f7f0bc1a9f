"""What the pixels of a step leave behind: planes and their margins, errors, samples."""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.arithmetic import clamped
from idfzip.device.fused.head import SEEN, UNIT, shown
from idfzip.device.fused.rows import MARGIN, SLOTS, rows_of
from idfzip.flows import window

STEPS = tl.constexpr(window.ERROR_STEPS)

ROWS = 64
"""Of a program: 4 us of a step of 92 tiles of 256 rows on an H100, as of 32."""


@triton.jit  # type: ignore[untyped-decorator]
def spread(
    plane: tl.tensor,
    value: tl.tensor,
    inside: tl.tensor,
    y: tl.tensor,
    x: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    down: tl.tensor,
    across: tl.tensor,
) -> None:
    """Write pixels, and the margins whose values they are: `field.Field.place`.

    `plane` points to each pixel.
    """
    kept = value.to(plane.dtype.element_ty)
    tl.store(plane, kept, inside)
    left = inside & (x == 0) & (y + 1 < height)
    last = inside & (x == width - 1)
    top = inside & (y == 0)
    for k in tl.static_range(MARGIN):
        tl.store(plane + (down + (k - MARGIN) * across), kept, left)
        tl.store(plane + (1 + k) * across, kept, last)
        above = top & (x + 2 * (k + 1) < width + MARGIN)
        tl.store(plane + (k + 1) * (2 * across - down), kept, above)
    for k in tl.static_range(1, 3):
        tl.store(plane + ((2 + k) * across - down), kept, top & last)


@triton.jit  # type: ignore[untyped-decorator]
def finish(
    pending: tl.tensor,
    count: tl.tensor,
    time: tl.tensor,
    tile_of: tl.tensor,
    y_of: tl.tensor,
    x_of: tl.tensor,
    at_of: tl.tensor,
    spots: tl.tensor,
    sizes: tl.tensor,
    bases: tl.tensor,
    scales: tl.tensor,
    pixels: tl.tensor,
    centres: tl.tensor,
    predictions: tl.tensor,
    errors: tl.tensor,
    seen: tl.tensor,
    planes: tl.tensor,
    misses: tl.tensor,
    samples: tl.tensor,
    log_table: tl.tensor,
    gain_table: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    everywhere: tl.tensor,
    down: tl.tensor,
    across: tl.tensor,
    plane: tl.tensor,
    limit: tl.tensor,
    n: tl.tensor,
    channels: tl.constexpr,
    deep: tl.constexpr,
    rows: tl.constexpr,
) -> None:
    """Place the pixels and their errors, and complete what is seen of them and their samples.

    `samples` (slots, n + 1 + channels, everywhere) as of `window`.
    """
    g = tl.program_id(0).to(tl.int64)
    begin = tl.program_id(1) * rows
    there = tl.load(count + g)
    if begin >= there:
        return
    row, inside = rows_of(pending, g, begin, there, capacity, rows)
    wide = tl.zeros([rows], tl.int64) + room
    shown(
        row, inside, channels - 1, channels, bases, scales, pixels, centres, predictions,
        errors, seen, log_table, gain_table, wide, limit, deep,
    )  # fmt: skip
    tl.store(
        seen + row * (SEEN * channels) + SEEN * channels - 1, inside.to(tl.float32) * 0, inside
    )
    tile = tl.load(tile_of + row, inside, 0)
    y = tl.load(y_of + row, inside, 0)
    x = tl.load(x_of + row, inside, 0)
    height = tl.load(sizes + 2 * tile, inside, 0)
    width = tl.load(sizes + 2 * tile + 1, inside, 0)
    at = tl.load(at_of + row, inside, 0)
    kind = samples.dtype.element_ty
    samples += (tl.load(time) % SLOTS) * (n + 1 + channels) * everywhere
    samples += tl.load(spots + row, inside, 0)
    tl.store(samples + n * everywhere, inside.to(kind), inside)
    for c in tl.static_range(channels):
        pixel = tl.load(pixels + c * wide + row, inside, 0)
        error = pixel * UNIT - tl.load(centres + c * wide + row, inside, 0)
        spread(planes + at + c * plane, pixel, inside, y, x, height, width, down, across)
        spread(misses + at + c * plane, error, inside, y, x, height, width, down, across)
        own = clamped(pixel - tl.load(bases + c * wide + row, inside, 0), limit)
        tl.store(samples + (n - channels + c) * everywhere, own.to(kind), inside)
        size = tl.minimum(tl.abs(error) >> 2, STEPS * (limit + 1) - 1)
        tl.store(samples + (n + 1 + c) * everywhere, size.to(kind), inside)
