"""A channel's head and its mixtures, and what the channel before shows it.

As `decoding.Decoder._channels` and `network.run_head` by operators.
"""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.arithmetic import activate, bounded, clamped, over, see_error
from idfzip.device.fused.arithmetic import to_sixty_fourths as rounded
from idfzip.device.fused.mixtures import mix
from idfzip.device.fused.rows import rows_of
from idfzip.flows import expert
from idfzip.integer import network

UNIT = tl.constexpr(expert.UNIT)
SEEN = tl.constexpr(network.SEEN_INPUTS)

ROWS, WARPS = 64, 2
"""Of a program: 24 us of a step of 92 tiles of 256 rows on an H100, all three channels.

32 rows and a warp take 26, and two warps 34; 16 and one 36; 64 and four 35. With a product for each
of the three parts of a mixture, each padded to 16 columns, the best were 37.
"""


@triton.jit  # type: ignore[untyped-decorator]
def noted(
    into: tl.tensor,
    inside: tl.tensor,
    miss: tl.tensor,
    gain: tl.tensor,
    log_table: tl.tensor,
    deep: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Note what later channels see of errors in 1/64 of a step, from `into` on; return it."""
    error, size, logarithm = see_error(miss, gain, deep, log_table)
    tl.store(into, error.to(tl.float32), inside)
    tl.store(into + 1, size.to(tl.float32), inside)
    tl.store(into + 2, logarithm.to(tl.float32), inside)
    return error, size, logarithm


@triton.jit  # type: ignore[untyped-decorator]
def weighed(
    sums: tl.tensor,
    seen: tl.tensor,
    inside: tl.tensor,
    known: tl.tensor,
    width: tl.tensor,
    error: tl.tensor,
    size: tl.tensor,
    logarithm: tl.tensor,
    before: tl.constexpr,
    columns: tl.constexpr,
) -> tl.tensor:
    """Return sums (lanes, columns) and what channels show, `seen`, times the weights `known`.

    The last channel's three values, after so many `before`, are given: they were just noted.
    """
    h = tl.arange(0, columns)
    for k in range(before):
        value = tl.load(seen + k, inside, 0.0).to(tl.float32)
        sums += value[:, None] * tl.load(known + k * width + h, h < width, 0.0)[None, :]
    known += before * width
    factor = tl.load(known + h, h < width, 0.0)[None, :]
    sums += error.to(tl.float32)[:, None] * factor
    factor = tl.load(known + width + h, h < width, 0.0)[None, :]
    sums += size.to(tl.float32)[:, None] * factor
    factor = tl.load(known + 2 * width + h, h < width, 0.0)[None, :]
    return sums + logarithm.to(tl.float32)[:, None] * factor


@triton.jit  # type: ignore[untyped-decorator]
def shown(
    row: tl.tensor,
    inside: tl.tensor,
    c: tl.constexpr,
    channels: tl.constexpr,
    bases: tl.tensor,
    scales: tl.tensor,
    pixels: tl.tensor,
    centres: tl.tensor,
    predictions: tl.tensor,
    errors: tl.tensor,
    seen: tl.tensor,
    log_table: tl.tensor,
    gain_table: tl.tensor,
    wide: tl.tensor,
    limit: tl.tensor,
    deep: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor, tl.tensor]:
    """Note the error of channel `c`, in steps; return it and what others see of it."""
    base = tl.load(bases + c * wide + row, inside, 0)
    pixel = tl.load(pixels + c * wide + row, inside, 0)
    centre = tl.load(centres + c * wide + row, inside, 0)
    gain = tl.load(gain_table + tl.load(scales + c * wide + row, inside, 0))
    difference = clamped(pixel - base, limit).to(tl.float64)
    left = difference - tl.load(predictions + c * wide + row, inside, 0.0)
    tl.store(errors + c * wide + row, left, inside)
    into = seen + row * (SEEN * channels) + SEEN * c
    error, size, logarithm = noted(into, inside, pixel * UNIT - centre, gain, log_table, deep)
    return left, error, size, logarithm


@triton.jit  # type: ignore[untyped-decorator]
def head(
    pending: tl.tensor,
    count: tl.tensor,
    fan: tl.tensor,
    bias: tl.tensor,
    known: tl.tensor,
    outs: tl.tensor,
    out_bias: tl.tensor,
    partial: tl.tensor,
    link: tl.tensor,
    bases: tl.tensor,
    scales: tl.tensor,
    pixels: tl.tensor,
    centres: tl.tensor,
    predictions: tl.tensor,
    errors: tl.tensor,
    seen: tl.tensor,
    hidden: tl.tensor,
    weights: tl.tensor,
    means: tl.tensor,
    inverses: tl.tensor,
    lows: tl.tensor,
    log_table: tl.tensor,
    gain_table: tl.tensor,
    exp_table: tl.tensor,
    inverse_table: tl.tensor,
    span_table: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    of_fan: tl.tensor,
    width: tl.tensor,
    of_weight: tl.tensor,
    of_bias: tl.tensor,
    exps: tl.tensor,
    spreads: tl.tensor,
    limit: tl.tensor,
    values: tl.tensor,
    components: tl.tensor,
    c: tl.constexpr,
    channels: tl.constexpr,
    deep: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    slots: tl.constexpr,
) -> None:
    """Write the mixtures of channel `c`, (rows, K), its centres and what its head was (`hidden`).

    `fan` (rows, ..) begins at the channel's part, `known` are the weights of what is seen.
    """
    g = tl.program_id(0).to(tl.int64)
    begin = tl.program_id(1) * rows
    there = tl.load(count + g)
    if begin >= there:
        return
    row, inside = rows_of(pending, g, begin, there, capacity, rows)
    wide = tl.zeros([rows], tl.int64) + room
    h = tl.arange(0, columns)
    within = inside[:, None] & (h < width)[None, :]
    sums = tl.load(fan + row[:, None] * of_fan + h[None, :], within, 0.0)
    sums += tl.load(bias + g * of_bias + h, h < width, 0.0)[None, :]
    base = tl.load(bases + c * wide + row, inside, 0)
    scale = tl.load(scales + c * wide + row, inside, 0)
    gain = tl.load(gain_table + scale)
    low = base * 0
    expected = tl.load(partial + c * wide + row, inside, 0.0)
    if c > 0:
        low -= tl.load(pixels + row, inside, 0)
        left, error, size, logarithm = shown(
            row, inside, c - 1, channels, bases, scales, pixels, centres, predictions,
            errors, seen, log_table, gain_table, wide, limit, deep,
        )  # fmt: skip
        for k in tl.static_range(c):
            weight = tl.load(link + (c * channels + k) * wide + row, inside, 0.0)
            if k == c - 1:
                expected += weight * left
            else:
                expected += weight * tl.load(errors + k * wide + row, inside, 0.0)
    prediction = bounded(expected, limit)
    least = low * UNIT
    centre = rounded(prediction) + base * UNIT
    centre = tl.minimum(tl.maximum(centre, least), least + (values - 1) * UNIT)
    tl.store(predictions + c * wide + row, prediction, inside)
    tl.store(centres + c * wide + row, centre, inside)
    tl.store(lows + row, low, inside)
    if c > 0:
        lead = over(centre - base * UNIT, gain, deep)
        mine = seen + row * (SEEN * channels)
        tl.store(mine + SEEN * c - 1, lead.to(tl.float32), inside)
        known += g * of_weight
        sums = weighed(
            sums, mine, inside, known, width, error, size, logarithm, SEEN * (c - 1), columns
        )
        factor = tl.load(known + (SEEN * c - 1) * width + h, h < width, 0.0)[None, :]
        sums += lead.to(tl.float32)[:, None] * factor
    mix(
        row, inside, activate(sums), hidden, outs + g * of_weight, out_bias + g * of_bias, scale,
        centre, weights, means, inverses, exp_table, inverse_table, span_table, width, exps,
        spreads, components, rows, columns, slots,
    )  # fmt: skip
