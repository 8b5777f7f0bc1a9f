"""The running sums of the expert's window (`device.window.Ring`)."""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.rows import rows_of
from idfzip.flows import recursion

ONE = tl.constexpr(recursion.ONE)

ROWS, TERMS = 16, 64
"""Of a program. [Not measured.]"""


@triton.jit  # type: ignore[untyped-decorator]
def decayed(value: tl.tensor) -> tl.tensor:
    """As `window.decayed`."""
    return value - (value >> 3) - (value >> 5)


@triton.jit  # type: ignore[untyped-decorator]
def slot(
    tile: tl.tensor, y: tl.tensor, x: tl.tensor, rows: tl.tensor, terms: tl.tensor, k: tl.tensor
) -> tl.tensor:
    """Return where terms `k` of pixels stand in a ring."""
    return (((tile * rows + y) * 4 + (x & 3)) * terms)[:, None] + k[None, :]


@triton.jit  # type: ignore[untyped-decorator]
def sums(
    pending: tl.tensor,
    count: tl.tensor,
    tile_of: tl.tensor,
    y_of: tl.tensor,
    x_of: tl.tensor,
    sizes: tl.tensor,
    row_ring: tl.tensor,
    above_ring: tl.tensor,
    total: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    rows: tl.tensor,
    terms: tl.tensor,
    lanes: tl.constexpr,
    width: tl.constexpr,
) -> None:
    """Write the windows of a step's pixels, (terms, rows), and keep D for the row below."""
    g = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * lanes
    there = tl.load(count + g)
    if first >= there:
        return
    row, inside = rows_of(pending, g, first, there, capacity, lanes)
    tile = tl.load(tile_of + row, inside, 0)
    y = tl.load(y_of + row, inside, 0)
    x = tl.load(x_of + row, inside, 0)
    columns = tl.load(sizes + 2 * tile + 1, inside, 0)
    k = tl.program_id(2).to(tl.int64) * width + tl.arange(0, width)
    known = (k < terms)[None, :]
    second = (inside & (y >= 1))[:, None] & known
    third = (inside & (y >= 2))[:, None] & known
    near = (x + 1 < columns)[:, None]
    far = (x + 2 < columns)[:, None]
    f0 = tl.load(row_ring + slot(tile, y - 2, x, rows, terms, k), third, 0)
    f1 = tl.load(row_ring + slot(tile, y - 2, x + 1, rows, terms, k), third, 0)
    f2 = tl.load(row_ring + slot(tile, y - 2, x + 2, rows, terms, k), third, 0)
    p1 = tl.where(near, f1 - decayed(f0), 0)
    p2 = tl.where(far, f2 - decayed(f1), 0)
    before = tl.load(above_ring + slot(tile, y - 1, x, rows, terms, k), third, 0)
    above = f0 + decayed(p1 + decayed(p2)) + decayed(before)
    tl.store(above_ring + slot(tile, y, x, rows, terms, k), above, inside[:, None] & known)
    g0 = tl.load(row_ring + slot(tile, y - 1, x, rows, terms, k), second, 0)
    g1 = tl.load(row_ring + slot(tile, y - 1, x + 1, rows, terms, k), second, 0)
    q1 = tl.where(near, g1 - decayed(g0), 0)
    begun = (inside & (x > 0))[:, None] & known
    left = tl.load(row_ring + slot(tile, y, x - 1, rows, terms, k), begun, 0)
    found = g0 + decayed(q1) + decayed(above) + left
    tl.store(total + (k * room)[None, :] + row[:, None], found, inside[:, None] & known)


@triton.jit  # type: ignore[untyped-decorator]
def add(
    pending: tl.tensor,
    count: tl.tensor,
    tile_of: tl.tensor,
    y_of: tl.tensor,
    x_of: tl.tensor,
    row_ring: tl.tensor,
    samples: tl.tensor,
    first_of: tl.tensor,
    second_of: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    rows: tl.tensor,
    terms: tl.tensor,
    products: tl.tensor,
    lanes: tl.constexpr,
    width: tl.constexpr,
) -> None:
    """Add the terms of a step's pixels: products of samples (.., rows), their count, the rest."""
    g = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * lanes
    there = tl.load(count + g)
    if first >= there:
        return
    row, inside = rows_of(pending, g, first, there, capacity, lanes)
    tile = tl.load(tile_of + row, inside, 0)
    y = tl.load(y_of + row, inside, 0)
    x = tl.load(x_of + row, inside, 0)
    k = tl.program_id(2).to(tl.int64) * width + tl.arange(0, width)
    known = inside[:, None] & (k < terms)[None, :]
    one = tl.load(first_of + k, k < terms, 0)
    other = tl.load(second_of + k, k < terms, 0)
    product = known & (k < products)[None, :]
    value = tl.load(samples + (one * room)[None, :] + row[:, None], known, 0)
    factor = tl.load(samples + (other * room)[None, :] + row[:, None], product, 1)
    begun = known & (x > 0)[:, None]
    left = tl.load(row_ring + slot(tile, y, x - 1, rows, terms, k), begun, 0)
    added = decayed(left) + value * ONE * factor
    tl.store(row_ring + slot(tile, y, x, rows, terms, k), added, known)
