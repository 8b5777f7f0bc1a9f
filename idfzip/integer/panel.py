"""The inner step of matrix products, stated on vectors: 8 rows times 32 columns at a time.

Numba does not turn plain loops into good products (20 GMAC/s a core), and calling BLAS from Python
for every group costs a third of its time and makes threads wait for the interpreter's lock. The
intrinsics below keep 8 x 32 sums in registers: 70 to 84 GMAC/s for 128 x 128 and 48 to 240 rows,
where NumPy's OpenBLAS gives 64 to 77 (one core, AVX-512, float32). Values are whole numbers whose
sums stay below 2**24, so neither order nor fusing can change a bit.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from idfzip.integer.jit import interpreted, kernel

ROWS, COLUMNS = 8, 32

Floats = npt.NDArray[np.float32]


def padded(count: int, step: int) -> int:
    """Return `count` rounded up to a multiple of `step`."""
    return -(-count // step) * step


def room(rows: int, columns: int) -> Floats:
    """Return zeros, float32, for at least so many rows and columns, in whole panels."""
    return np.zeros((padded(rows, ROWS), padded(columns, COLUMNS)), np.float32)


def _panel(values: Floats, row: int, weight: Floats, column: int, out: Floats) -> None:
    """Write one panel of values @ weight into `out`: 8 rows from `row`, 32 columns from `column`.

    C-contiguous float32; `values` may be wider than `weight` has rows.
    """
    rows, columns = slice(row, row + ROWS), slice(column, column + COLUMNS)
    out[rows, columns] = values[rows, : len(weight)] @ weight[:, columns]


def _turned_panel(values: Floats, row: int, weight: Floats, column: int, out: Floats) -> None:
    """Write one panel of values.T @ weight into `out`, as `_panel` does.

    `values` has at least as many rows as `weight`, and 8 columns from `row` on.
    """
    rows, columns = slice(row, row + ROWS), slice(column, column + COLUMNS)
    out[rows, columns] = values[: len(weight), rows].T @ weight[:, columns]


def _generate(context: Any, builder: Any, sig: Any, args: Any, turned: bool) -> Any:
    """Generate a panel's code: 8 sums of 32 lanes, one product a row and step of the depth."""
    vector = ir.VectorType(ir.FloatType(), COLUMNS)
    index = ir.IntType(32)
    intp = numba.types.intp
    first, side = (context.cast(builder, args[i], sig.args[i], intp) for i in (1, 3))
    left, right, into = (
        context.make_array(sig.args[i])(context, builder, args[i]) for i in (0, 2, 4)
    )
    _, stride = cgutils.unpack_tuple(builder, left.shape, 2)
    depth, width = cgutils.unpack_tuple(builder, right.shape, 2)
    _, out_stride = cgutils.unpack_tuple(builder, into.shape, 2)
    numbers = [builder.add(first, context.get_constant(intp, r)) for r in range(ROWS)]
    starts = numbers if turned else [builder.mul(n, stride) for n in numbers]
    sources = [builder.gep(left.data, [at]) for at in starts]
    sums = [cgutils.alloca_once(builder, vector) for _ in range(ROWS)]
    for total in sums:
        builder.store(ir.Constant(vector, [0.0] * COLUMNS), total)
    blank = ir.Constant(vector, ir.Undefined)
    everywhere = ir.Constant(ir.VectorType(index, COLUMNS), [0] * COLUMNS)
    start = builder.gep(right.data, [side])
    with cgutils.for_range(builder, depth) as loop:
        place = builder.gep(start, [builder.mul(loop.index, width)])
        weights = builder.load(builder.bitcast(place, vector.as_pointer()), align=4)
        step = builder.mul(loop.index, stride) if turned else loop.index
        for source, total in zip(sources, sums, strict=True):
            value = builder.load(builder.gep(source, [step]))
            single = builder.insert_element(blank, value, ir.Constant(index, 0))
            spread = builder.shuffle_vector(single, blank, everywhere)
            product = builder.fmul(spread, weights, flags=("contract",))
            builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
    for number, total in zip(numbers, sums, strict=True):
        offset = builder.add(builder.mul(number, out_stride), side)
        target = builder.bitcast(builder.gep(into.data, [offset]), vector.as_pointer())
        builder.store(builder.load(total), target, align=4)
    return context.get_dummy_value()


@intrinsic
def _vector_panel(
    typing_context: Any, values: Any, row: Any, weight: Any, column: Any, out: Any
) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _generate(context, builder, sig, args, turned=False)

    return numba.types.void(values, row, weight, column, out), generate


@intrinsic
def _vector_turned_panel(
    typing_context: Any, values: Any, row: Any, weight: Any, column: Any, out: Any
) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _generate(context, builder, sig, args, turned=True)

    return numba.types.void(values, row, weight, column, out), generate


_any_panel: Any = _panel if interpreted() else _vector_panel
_any_turned_panel: Any = _turned_panel if interpreted() else _vector_turned_panel


@kernel
def multiply(values: Floats, rows: int, weight: Floats, out: Floats) -> None:
    """Write values @ weight into the first `rows` rows of `out`, rounded up to whole panels.

    C-contiguous float32 of whole numbers: `values` (>= rows in panels, >= depth), `weight`
    (depth, columns in panels), `out` (>= rows in panels, columns).
    """
    for column in range(0, weight.shape[1], COLUMNS):
        for row in range(0, rows, ROWS):
            _any_panel(values, row, weight, column, out)


@kernel
def multiply_turned(values: Floats, rows: int, weight: Floats, out: Floats) -> None:
    """Write values.T @ weight into the first `rows` rows of `out`, rounded up to whole panels.

    As `multiply`, but `values` is (>= depth, >= rows in panels).
    """
    for column in range(0, weight.shape[1], COLUMNS):
        for row in range(0, rows, ROWS):
            _any_turned_panel(values, row, weight, column, out)
