"""Errors of a network's layers, from the last to the first, in one launch."""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.arithmetic import backwards
from idfzip.device.fused.dense import product
from idfzip.device.fused.rows import rows_of
from idfzip.device.fused.table import halves, size

ROWS, COLUMNS, DEPTH, WARPS = 32, 32, 32, 4
"""Of a program, of its products at once, and what each of their turns sums.

For 92 groups with 128 rows each 37 us on an H100; a depth of 16 46, 64 rows 43 or more. A launch
for each of five layers took 35 together.
"""

FIELDS = tl.constexpr(8)
"""Of a layer in the table that `back` reads."""


@triton.jit  # type: ignore[untyped-decorator]
def back(
    first: tl.tensor,
    over: tl.tensor,
    turn: tl.tensor,
    table: tl.tensor,
    layers: tl.tensor,
    capacity: tl.tensor,
    every: tl.constexpr,
    by: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    depth: tl.constexpr,
) -> None:
    """Write the errors before layers' activations, (rows, inputs), of those (rows, outputs) after.

    Of each layer `table`, int64, has addresses: of the errors after it, its weights, the values of
    the activation before it, and where the errors at that go; then inputs, outputs, how far the
    next group's weights and the next row of what is written stand. For `by` see `table`. It is done
    for groups whose period is `over`, of so many rows, and counts, one of `every`.
    """
    g = tl.program_id(0).to(tl.int64)
    begin = tl.program_id(1) * rows
    there = tl.load(over + g)
    if (begin >= there) | ((tl.load(turn + g) - 1) % every != every - 1):
        return
    row, inside = rows_of(first, g, begin, there, capacity, rows)
    for k in range(layers):
        mine = table + k * FIELDS
        deltas = halves(mine, by)
        weight = halves(mine + 1, by)
        values = halves(mine + 2, by)
        out = halves(mine + 3, by)
        inputs = size(mine + 4, by)
        outputs = size(mine + 5, by)
        weight += g * size(mine + 6, by)
        of_out = size(mine + 7, by)
        for start in range(0, inputs, columns):
            i = start + tl.arange(0, columns)
            total = product(
                deltas, row, inside, weight, 1, outputs, outputs, i, inputs, rows, columns, depth,
            )  # fmt: skip
            known = inside[:, None] & (i < inputs)[None, :]
            active = tl.load(values + (row * inputs)[:, None] + i[None, :], known, 0.0)
            tl.store(out + (row * of_out)[:, None] + i[None, :], backwards(total, active), known)
        tl.debug_barrier()
