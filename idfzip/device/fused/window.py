"""The running sums of the expert's window, by time (as `device.window.Ring`).

Pixels of a step lie side by side in the rooms here: a pixel's *spot* is its tile's and its row's,
which it shares with those of the same row before and after, and what is known of the last `SLOTS`
steps stands in as many slots, that of step t in slot t % SLOTS. The pixel of step t in row y has
column t - 2 y, so its neighbours are those of other steps and of spots just before: to the left
(t - 1, y), above (t - 2, y - 1), to its right above (t - 1, y - 1), two rows above (t - 4, y - 2).

What a pixel adds is the product of samples that are few, and is multiplied out wherever it is
needed: a sum is read where it cannot be told from those. Of each pixel is kept, one step late, the
row's sum up to the pixel on its left (`row`), and the sum of what lies above (`above`: S of the row
above plus the decayed D of `flows.window`).
"""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.rows import SLOTS, rows_of
from idfzip.flows import recursion

ONE = tl.constexpr(recursion.ONE)

ROWS, TERMS, WARPS = 64, 4, 4
"""Of a program: 54 us of a step of 92 tiles of 256 rows on an H100.

32 and 4 take 56, 128 and 4 65, 64 and 8 85, 32 and 16 119. With terms as the grid's first axis, so
that programs of the same rows come one after the other, 64 and 4 take 75, 128 and 2 69.
"""


@triton.jit  # type: ignore[untyped-decorator]
def decayed(value: tl.tensor) -> tl.tensor:
    """As `window.decayed`."""
    return value - (value >> 3) - (value >> 5)


@triton.jit  # type: ignore[untyped-decorator]
def added(
    samples: tl.tensor,
    inside: tl.tensor,
    one: tl.tensor,
    other: tl.tensor,
    product: tl.tensor,
) -> tl.tensor:
    """Return what pixels add to terms, 0 where not `inside`: (width, lanes).

    `one` and `other` are the places of a term's samples; only a `product` has the other.
    """
    value = tl.load(samples + one, inside, 0)
    factor = tl.load(samples + other, inside & product, 1)
    return value * ONE * factor


@triton.jit  # type: ignore[untyped-decorator]
def sums(
    pending: tl.tensor,
    count: tl.tensor,
    time: tl.tensor,
    tile_of: tl.tensor,
    y_of: tl.tensor,
    x_of: tl.tensor,
    spots: tl.tensor,
    sizes: tl.tensor,
    row_ring: tl.tensor,
    above_ring: tl.tensor,
    samples: tl.tensor,
    total: tl.tensor,
    first_of: tl.tensor,
    second_of: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    everywhere: tl.tensor,
    terms: tl.tensor,
    products: tl.tensor,
    entries: tl.tensor,
    lanes: tl.constexpr,
    width: tl.constexpr,
) -> None:
    """Write the windows of a step's pixels, (terms, rows), and what later steps need.

    Rings are (slots, terms, everywhere), `samples` (slots, entries, everywhere) of so many spots.
    """
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
    spot = tl.load(spots + row, inside, 0)[None, :]
    k = (tl.program_id(2).to(tl.int64) * width + tl.arange(0, width))[:, None]
    known = inside[None, :] & (k < terms)
    one = tl.load(first_of + k, k < terms, 0) * everywhere + spot
    other = tl.load(second_of + k, k < terms, 0) * everywhere + spot
    product = k < products
    at = k * everywhere + spot
    t = tl.load(time)
    now, before, two, three = t % SLOTS, (t + 3) % SLOTS, (t + 2) % SLOTS, (t + 1) % SLOTS
    seen, whole = entries * everywhere, terms * everywhere
    begun = known & (x > 0)[None, :]
    second = known & (y >= 1)[None, :]
    third = known & (y >= 2)[None, :]
    near = (x + 1 < columns)[None, :]
    far = (x + 2 < columns)[None, :]
    left = added(samples + before * seen, begun, one, other, product)
    left += decayed(tl.load(row_ring + two * whole + at, begun, 0))
    tl.store(row_ring + before * whole + at, left, known)
    # Of a row that is over, nobody has kept the sum up to its last pixel.
    over = second & (x + 1 >= columns)[None, :]
    row_above = tl.load(row_ring + two * whole + at - 1, second & near, 0)
    row_above += decayed(tl.load(row_ring + three * whole + at - 1, over, 0))
    row_above += added(samples + two * seen - 1, over, one, other, product)
    p1 = added(samples + three * seen - 2, third & near, one, other, product)
    p2 = added(samples + two * seen - 2, third & far, one, other, product)
    above = tl.load(above_ring + two * whole + at - 1, third, 0) + decayed(p1 + decayed(p2))
    found = row_above + decayed(above)
    tl.store(above_ring + now * whole + at, found, known)
    q1 = added(samples + before * seen - 1, second & near, one, other, product)
    tl.store(total + k * room + row[None, :], found + decayed(q1) + left, known)
