"""Layers: products of whole numbers in singles, a matrix a group where it learns.

Operands have at most eleven bits, which TF32 holds, and sums stay below 2**24: the cores for
matrices give what singles do. A model's self-test would tell otherwise.
"""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.arithmetic import activate, backwards

ROWS, COLUMNS, DEPTH = 64, 64, 32
"""Of a program, and the inputs of each of its turns. [Not measured.]"""

PRECISION = "tf32"


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
    precision: tl.constexpr,
) -> None:
    """Write a layer's values (rows, outputs), or the products alone unless `active`.

    Weights (inputs, outputs) and biases of the next group stand `of_weight` and `of_bias` further.
    """
    g = tl.program_id(0).to(tl.int64)
    begin = tl.program_id(1) * rows
    there = tl.load(count + g)
    if begin >= there:
        return
    number = begin + tl.arange(0, rows)
    inside = (number < there)[:, None]
    row = (g * capacity + tl.load(first + g) + number)[:, None]
    o = tl.program_id(2) * columns + tl.arange(0, columns)[None, :]
    total = tl.zeros([rows, columns], tl.float32)
    for start in range(0, inputs, depth):
        i = start + tl.arange(0, depth)
        left = tl.load(x + row * inputs + i[None, :], inside & (i < inputs)[None, :], 0.0)
        at = weight + g * of_weight + i[:, None] * outputs + o
        right = tl.load(at, (i < inputs)[:, None] & (o < outputs), 0.0)
        total = tl.dot(left, right, total, input_precision=precision)
    if active:
        total += tl.load(bias + g * of_bias + o, o < outputs, 0.0)
        total = activate(total)
    tl.store(out + row * outputs + o, total, inside & (o < outputs))


@triton.jit  # type: ignore[untyped-decorator]
def back(
    first: tl.tensor,
    count: tl.tensor,
    deltas: tl.tensor,
    weight: tl.tensor,
    values: tl.tensor,
    out: tl.tensor,
    capacity: tl.tensor,
    inputs: tl.tensor,
    outputs: tl.tensor,
    of_weight: tl.tensor,
    of_out: tl.tensor,
    rows: tl.constexpr,
    columns: tl.constexpr,
    depth: tl.constexpr,
    precision: tl.constexpr,
) -> None:
    """Write the errors before an activation, (rows, inputs), of those (rows, outputs) after it.

    `values` (rows, inputs) are the activation's; rows of `out` stand `of_out` apart.
    """
    g = tl.program_id(0).to(tl.int64)
    begin = tl.program_id(1) * rows
    there = tl.load(count + g)
    if begin >= there:
        return
    number = begin + tl.arange(0, rows)
    inside = (number < there)[:, None]
    row = (g * capacity + tl.load(first + g) + number)[:, None]
    i = tl.program_id(2) * columns + tl.arange(0, columns)[None, :]
    total = tl.zeros([rows, columns], tl.float32)
    for start in range(0, outputs, depth):
        o = start + tl.arange(0, depth)
        left = tl.load(deltas + row * outputs + o[None, :], inside & (o < outputs)[None, :], 0.0)
        at = weight + g * of_weight + i * outputs + o[:, None]
        right = tl.load(at, (o < outputs)[:, None] & (i < inputs), 0.0)
        total = tl.dot(left, right, total, input_precision=precision)
    known = inside & (i < inputs)
    mine = tl.load(values + row * inputs + i, known, 0.0)
    tl.store(out + row * of_out + i, backwards(total, mine), known)
