"""Sixteen singles side by side: the inner steps of an elimination, stated on vectors.

Plain loops over sixteen lanes are compiled with a test for overlap around each, which costs more
than their work: 0.8 us a system of 19 unknowns against 0.2 us (one core, AVX-512). The intrinsics
below say what is meant: products and differences, each rounded on its own, on any processor.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from idfzip.integer.jit import inlined, interpreted

LANES = 16
_LINE = 64
"""Bytes of a cache line; vectors that start on one are read at once."""

Rows = npt.NDArray[np.float32]


@inlined
def aligned(rows: int) -> Rows:
    """Return zeros, float32 (rows, 16), that start on a cache line."""
    room = np.zeros(rows * LANES + _LINE // 4, np.float32)
    skip = (-room.ctypes.data % _LINE) // 4
    return room[skip : skip + rows * LANES].reshape(rows, LANES)


def _pointers(context: Any, builder: Any, types: Any, arrays: Any) -> list[Any]:
    """Return where the data of arrays begin, as vectors of sixteen singles."""
    vector = ir.VectorType(ir.FloatType(), LANES)
    return [
        builder.bitcast(context.make_array(t)(context, builder, a).data, vector.as_pointer())
        for t, a in zip(types, arrays, strict=True)
    ]


def _scale(rows: Rows, target: int, column: Rows, index: int, factor: Rows) -> None:
    """Do column[index] = rows[target], then rows[target] *= factor[0].

    All are C-contiguous float32 (n, 16).
    """
    column[index] = rows[target]
    rows[target] = rows[target] * factor[0]


@intrinsic
def _vector_scale(
    typing_context: Any, rows: Any, target: Any, column: Any, index: Any, factor: Any
) -> Any:
    signature = numba.types.void(rows, target, column, index, factor)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        arrays = (0, 2, 4)
        into, kept, by = _pointers(
            context, builder, [sig.args[i] for i in arrays], [args[i] for i in arrays]
        )
        at, other = (context.cast(builder, args[i], sig.args[i], numba.types.intp) for i in (1, 3))
        place = builder.gep(into, [at])
        old = builder.load(place, align=4)
        builder.store(old, builder.gep(kept, [other]), align=4)
        builder.store(builder.fmul(old, builder.load(by, align=4)), place, align=4)
        return context.get_dummy_value()

    return signature, generate


def _subtract(rows: Rows, target: int, factor: int, column: Rows, index: int, count: int) -> None:
    """Do rows[target + q] -= rows[factor] * column[index + q] for q below `count`.

    Both are C-contiguous float32 (n, 16); `factor` is not among the targets.
    """
    for q in range(count):
        rows[target + q] = rows[target + q] - rows[factor] * column[index + q]


@intrinsic
def _vector_subtract(
    typing_context: Any,
    rows: Any,
    target: Any,
    factor: Any,
    column: Any,
    index: Any,
    count: Any,
) -> Any:
    signature = numba.types.void(rows, target, factor, column, index, count)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        numbers = [
            context.cast(builder, args[i], sig.args[i], numba.types.intp) for i in (1, 2, 4, 5)
        ]
        first, one, other, repeats = numbers
        into, seen = _pointers(context, builder, [sig.args[0], sig.args[3]], [args[0], args[3]])
        by = builder.load(builder.gep(into, [one]), align=4)
        with cgutils.for_range(builder, repeats) as loop:
            place = builder.gep(into, [builder.add(first, loop.index)])
            right = builder.load(builder.gep(seen, [builder.add(other, loop.index)]), align=4)
            old = builder.load(place, align=4)
            builder.store(builder.fsub(old, builder.fmul(by, right)), place, align=4)
        return context.get_dummy_value()

    return signature, generate


scale: Any = _scale if interpreted() else _vector_scale
subtract: Any = _subtract if interpreted() else _vector_subtract
