"""The last two layers of a trunk and its part of the heads' sums, in one launch.

A program has some rows all the way. What a layer gives it writes, since learning needs that, and
reads back from its own cache.
"""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.dense import layer
from idfzip.device.fused.rows import rows_of

ROWS, COLUMNS, DEPTH, WARPS = 32, 128, 16, 4
"""Of a program, of its products at once, and the inputs of each of their turns.

43 us of a step of 92 tiles of 256 rows on an H100; of 8 warps 46, of 16 rows 48, of 64 47 or more,
of 128 49 (in halves or in TF32). Of three launches, a layer each, the best were 46.
"""


@triton.jit  # type: ignore[untyped-decorator]
def whole_layer(
    x: tl.tensor,
    row: tl.tensor,
    inside: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    inputs: tl.tensor,
    outputs: tl.tensor,
    active: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    depth: tl.constexpr,
) -> None:
    """Write all columns of a layer, as `dense.layer`; then all threads of the program see them."""
    for start in range(0, outputs, columns):
        o = start + tl.arange(0, columns)
        layer(
            x, row, inside, weight, bias, out, inputs, outputs, o, active, rows, columns, depth,
        )  # fmt: skip
    tl.debug_barrier()


@triton.jit  # type: ignore[untyped-decorator]
def trunk(
    first: tl.tensor,
    count: tl.tensor,
    x: tl.tensor,
    lower: tl.tensor,
    lower_bias: tl.tensor,
    lower_out: tl.tensor,
    upper: tl.tensor,
    upper_bias: tl.tensor,
    upper_out: tl.tensor,
    fan: tl.tensor,
    out: tl.tensor,
    capacity: tl.tensor,
    inputs: tl.tensor,
    lower_width: tl.tensor,
    upper_width: tl.tensor,
    width: tl.tensor,
    of_lower: tl.tensor,
    of_lower_bias: tl.tensor,
    of_upper: tl.tensor,
    of_upper_bias: tl.tensor,
    of_fan: tl.tensor,
    rows: tl.constexpr,
    columns: tl.constexpr,
    depth: tl.constexpr,
) -> None:
    """Write the values of two layers, one on the other, and the products with the `fan`.

    Weights and biases of the next group stand `of_lower` and so on further.
    """
    g = tl.program_id(0).to(tl.int64)
    begin = tl.program_id(1) * rows
    there = tl.load(count + g)
    if begin >= there:
        return
    row, inside = rows_of(first, g, begin, there, capacity, rows)
    whole_layer(
        x, row, inside, lower + g * of_lower, lower_bias + g * of_lower_bias, lower_out, inputs,
        lower_width, True, rows, columns, depth,
    )  # fmt: skip
    whole_layer(
        lower_out, row, inside, upper + g * of_upper, upper_bias + g * of_upper_bias, upper_out,
        lower_width, upper_width, True, rows, columns, depth,
    )  # fmt: skip
    whole_layer(
        upper_out, row, inside, fan + g * of_fan, upper_bias, out, upper_width, width, False,
        rows, columns, depth,
    )  # fmt: skip
