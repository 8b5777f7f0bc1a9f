"""Layers: products of whole numbers in halves, a matrix a group where it learns.

Operands have at most eleven bits, which halves hold, and sums stay below 2**24: the cores for
matrices give what singles do, on GPUs without TF32, too. A model's self-test would tell otherwise.
"""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.arithmetic import activate, times
from idfzip.device.fused.rows import rows_of

ROWS, COLUMNS, DEPTH = 32, 64, 32
"""Of a program, and the inputs of each of its turns.

Three layers of 92 tiles of 256 rows took 46 us on an H100, of 64 rows 78, of 128 56 (in TF32).
"""


@triton.jit  # type: ignore[untyped-decorator]
def product(
    x: tl.tensor,
    row: tl.tensor,
    inside: tl.tensor,
    weight: tl.tensor,
    down: tl.tensor,
    across: tl.tensor,
    size: tl.tensor,
    column: tl.tensor,
    width: tl.tensor,
    rows: tl.constexpr,
    columns: tl.constexpr,
    depth: tl.constexpr,
) -> tl.tensor:
    """Return rows of `x` (.., size) times columns of a matrix (size, width), (rows, columns).

    Its entries stand `down` and `across` apart.
    """
    total = tl.zeros([rows, columns], tl.float32)
    for start in range(0, size, depth):
        i = start + tl.arange(0, depth)
        at = x + (row * size)[:, None] + i[None, :]
        left = tl.load(at, inside[:, None] & (i < size)[None, :], 0.0)
        at = weight + (i * down)[:, None] + (column * across)[None, :]
        right = tl.load(at, (i < size)[:, None] & (column < width)[None, :], 0.0)
        total = times(left, right, total)
    return total


@triton.jit  # type: ignore[untyped-decorator]
def layer(
    x: tl.tensor,
    row: tl.tensor,
    inside: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    inputs: tl.tensor,
    outputs: tl.tensor,
    o: tl.tensor,
    active: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    depth: tl.constexpr,
) -> None:
    """Write columns `o` of a layer's values (rows, outputs), or the products alone unless `active`.

    `weight` (inputs, outputs) and `bias` are of its group.
    """
    total = product(x, row, inside, weight, outputs, 1, inputs, o, outputs, rows, columns, depth)
    if active:
        total += tl.load(bias + o, o < outputs, 0.0)[None, :]
        total = activate(total)
    known = inside[:, None] & (o < outputs)[None, :]
    tl.store(out + (row * outputs)[:, None] + o[None, :], total, known)


@triton.jit  # type: ignore[untyped-decorator]
def dense(
    first: tl.tensor,
    count: tl.tensor,
    x: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    capacity: tl.tensor,
    inputs: tl.tensor,
    outputs: tl.tensor,
    of_weight: tl.tensor,
    of_bias: tl.tensor,
    active: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    depth: tl.constexpr,
) -> None:
    """Write a layer, as `layer`: a program so many rows and columns of it.

    Weights and biases of the next group stand `of_weight` and `of_bias` further.
    """
    g = tl.program_id(0).to(tl.int64)
    begin = tl.program_id(1) * rows
    there = tl.load(count + g)
    if begin >= there:
        return
    row, inside = rows_of(first, g, begin, there, capacity, rows)
    o = tl.program_id(2) * columns + tl.arange(0, columns)
    layer(
        x, row, inside, weight + g * of_weight, bias + g * of_bias, out, inputs, outputs, o,
        active, rows, columns, depth,
    )  # fmt: skip
