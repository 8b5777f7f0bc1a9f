"""Symbols of pixels that are known: their intervals, where decoding has them, and their cost."""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.coding import ans
from idfzip.device.fused.arithmetic import STEPS, log2
from idfzip.device.fused.rows import rows_of
from idfzip.device.fused.symbols import below, mixtures_of

PRECISION = tl.constexpr(ans.PRECISION)

ROWS = 64
"""Of a program. [Not measured.]"""


@triton.jit  # type: ignore[untyped-decorator]
def note(
    pending: tl.tensor,
    count: tl.tensor,
    coded: tl.tensor,
    tile_of: tl.tensor,
    at_of: tl.tensor,
    truth: tl.tensor,
    weights: tl.tensor,
    means: tl.tensor,
    inverses: tl.tensor,
    lows: tl.tensor,
    sigmoid: tl.tensor,
    pixels: tl.tensor,
    cumulative: tl.tensor,
    frequency: tl.tensor,
    costs: tl.tensor,
    log_table: tl.tensor,
    capacity: tl.tensor,
    alphabet: tl.tensor,
    symbols: tl.tensor,
    offset: tl.tensor,
    c: tl.constexpr,
    channels: tl.constexpr,
    components: tl.constexpr,
    rows: tl.constexpr,
    sharing: tl.constexpr,
    several: tl.constexpr,
) -> None:
    """Write the intervals of the pixels of `truth`, (streams, symbols), where decoding has them.

    `truth` are planes; channel `c` stands `offset` further. `pixels` (rows) are copied from them.
    So many groups are `sharing` a stream, of which one has pixels in a step. What the intervals
    cost (`turns.cost_of`) is added to that of their stream or, of groups with `several` tiles, of
    their tile.
    """
    g = tl.program_id(0).to(tl.int64)
    begin = tl.program_id(1) * rows
    there = tl.load(count + g)
    if begin >= there:
        return
    row, inside = rows_of(pending, g, begin, there, capacity, rows)
    at = tl.load(at_of + row, inside, 0)
    value = tl.load(truth + at + offset, inside, 0).to(tl.int32)
    low = tl.load(lows + row, inside, 0).to(tl.int32)
    tl.store(pixels + row, value.to(tl.int64), inside)
    mixtures = mixtures_of(row, inside, weights, means, inverses, components)
    lower = below(value, low, mixtures, sigmoid, alphabet, components)
    upper = below(value + 1, low, mixtures, sigmoid, alphabet, components)
    stream = g // sharing
    into = stream * symbols + tl.load(coded + stream) * channels
    into += c * there + begin + tl.arange(0, rows)
    tl.store(cumulative + into, lower, inside)
    tl.store(frequency + into, upper - lower, inside)
    logarithm = log2((upper - lower).to(tl.int64), log_table)
    cost = tl.where(inside, STEPS * PRECISION - logarithm, 0)
    if several:
        tl.atomic_add(costs + tl.load(tile_of + row, inside, 0), cost, inside)
    else:
        tl.atomic_add(costs + stream, tl.sum(cost, 0))
