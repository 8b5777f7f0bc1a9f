"""A channel's head in the progressive order, and what the channel before shows it."""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.arithmetic import activate
from idfzip.device.fused.head import UNIT, noted, weighed
from idfzip.device.fused.mixtures import mix
from idfzip.device.fused.rows import rows_of
from idfzip.integer import network

SEEN = tl.constexpr(network.ERROR_INPUTS)

ROWS = 16
"""Of a program. [Not measured.]"""


@triton.jit  # type: ignore[untyped-decorator]
def head(
    pending: tl.tensor,
    count: tl.tensor,
    fan: tl.tensor,
    bias: tl.tensor,
    known: tl.tensor,
    outs: tl.tensor,
    out_bias: tl.tensor,
    bases: tl.tensor,
    scales: tl.tensor,
    pixels: tl.tensor,
    centres: tl.tensor,
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
    of_known: tl.tensor,
    of_outs: tl.tensor,
    of_bias: tl.tensor,
    of_out_bias: tl.tensor,
    exps: tl.tensor,
    spreads: tl.tensor,
    values: tl.tensor,
    components: tl.tensor,
    c: tl.constexpr,
    channels: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    slots: tl.constexpr,
) -> None:
    """Write the mixtures of channel `c`, its centres, and what it sees of the channel before.

    As `head.head`; weights and biases of the next group stand `of_known` and so on further.
    """
    g = tl.program_id(0).to(tl.int64)
    begin = tl.program_id(1) * rows
    there = tl.load(count + g)
    if begin >= there:
        return
    row, inside = rows_of(pending, g, begin, there, capacity, rows)
    h = tl.arange(0, columns)
    within = inside[:, None] & (h < width)[None, :]
    sums = tl.load(fan + row[:, None] * of_fan + h[None, :], within, 0.0)
    sums += tl.load(bias + g * of_bias + h, h < width, 0.0)[None, :]
    base = tl.load(bases + c * room + row, inside, 0)
    scale = tl.load(scales + c * room + row, inside, 0)
    low = base * 0
    if c > 0:
        low -= tl.load(pixels + row, inside, 0)
        gain = tl.load(gain_table + tl.load(scales + (c - 1) * room + row, inside, 0))
        pixel = tl.load(pixels + (c - 1) * room + row, inside, 0)
        miss = pixel * UNIT - tl.load(centres + (c - 1) * room + row, inside, 0)
        mine = seen + row * (SEEN * channels)
        error, size, logarithm = noted(mine + SEEN * (c - 1), inside, miss, gain, log_table, 0)
        sums = weighed(
            sums, mine, inside, known + g * of_known, width, error, size, logarithm,
            SEEN * (c - 1), columns,
        )  # fmt: skip
    centre = UNIT * tl.minimum(tl.maximum(base, low), low + values - 1)
    tl.store(centres + c * room + row, centre, inside)
    tl.store(lows + row, low, inside)
    mix(
        row, inside, activate(sums), hidden, outs + g * of_outs, out_bias + g * of_out_bias, scale,
        centre, weights, means, inverses, exp_table, inverse_table, span_table, width, exps,
        spreads, components, rows, columns, slots,
    )  # fmt: skip
