"""The recursion of the expert's window on sixteen rows side by side, stated on vectors.

Its formulas are those of `idfzip.flows.window`; what is read and written is a tile's part of the
sums, (4, terms, lanes): steps modulo 4, terms, rows. Plain loops over sixteen lanes are compiled
with a test for overlap around each; the intrinsics below say what is meant, in wrapping integers.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from idfzip.flows.alphabet import Integers
from idfzip.integer.jit import interpreted
from idfzip.integer.lanes import LANES

ONE_BITS = 8
ONE = 1 << ONE_BITS
"""The weight of one sample in the sums: 8 fractional bits."""


def _decayed(value: Any) -> Any:
    """Return 27/32 of whole numbers, each part rounded down."""
    return value - (value >> 3) - (value >> 5)


def _add_samples(sums: Integers, t: int, lane: int, samples: Integers, at: int, n: int) -> None:
    """Write F of step `t` for the rows whose sums stand from `lane` on.

    `samples` (n + extras, rows), used from `at` on: of the first n the products are added, the
    others as they are.
    """
    here, seen = slice(lane, lane + LANES), samples[:, at : at + LANES]
    row, before = sums[t & 3, :, here], sums[(t - 1) & 3, :, here]
    k = 0
    for i in range(n):
        for j in range(i + 1):
            row[k] = _decayed(before[k]) + (seen[i] << ONE_BITS) * seen[j]
            k += 1
    row[k:] = _decayed(before[k:]) + seen[n:]


def _sum_window(row: Integers, above: Integers, t: int, lane: int, total: Integers) -> None:
    """Write D of step `t` into `above`, and the windows' sums A into `total`, (terms, 16)."""

    def at(sums: Integers, back: int, up: int) -> Integers:
        return sums[(t - back) & 3, :, lane - up : lane - up + LANES]

    f0, f1, f2 = at(row, 4, 2), at(row, 3, 2), at(row, 2, 2)
    right = _decayed(f1 - _decayed(f0) + _decayed(f2 - _decayed(f1)))
    d = f0 + right + _decayed(at(above, 2, 1))
    at(above, 0, 0)[:] = d
    g0, g1 = at(row, 2, 1), at(row, 1, 1)
    total[:] = g0 + _decayed(g1 - _decayed(g0)) + _decayed(d) + at(row, 1, 0)


class _Sums:
    """Sums in generated code: an array (4, terms, lanes), read and written by vectors."""

    def __init__(
        self, context: Any, builder: Any, kind: Any, array: Any, t: Any, lane: Any
    ) -> None:
        self._builder, self._t, self._lane = builder, t, lane
        found = context.make_array(kind)(context, builder, array)
        _, self.terms, self._width = cgutils.unpack_tuple(builder, found.shape, 3)
        self._data = found.data
        self._vector = ir.VectorType(context.get_value_type(kind.dtype), LANES)
        self._index = context.get_value_type(numba.types.intp)

    def constant(self, value: int) -> Any:
        """Return a vector of one number."""
        return ir.Constant(self._vector, [value] * LANES)

    def decayed(self, value: Any) -> Any:
        """Return `_decayed` of a vector."""
        b = self._builder
        less = b.sub(value, b.ashr(value, self.constant(3)))
        return b.sub(less, b.ashr(value, self.constant(5)))

    def start(self, back: int, up: int) -> Any:
        """Return where the first term begins, so many steps back and rows up."""
        b = self._builder
        step = b.and_(b.sub(self._t, ir.Constant(self._index, back)), ir.Constant(self._index, 3))
        row = b.sub(self._lane, ir.Constant(self._index, up))
        return b.add(b.mul(b.mul(step, self.terms), self._width), row)

    def place(self, start: Any, k: Any) -> Any:
        """Return a pointer to the vector of term `k`."""
        b = self._builder
        at = b.gep(self._data, [b.add(start, b.mul(k, self._width))])
        return b.bitcast(at, self._vector.as_pointer())

    def load(self, start: Any, k: Any) -> Any:
        """Return the vector of term `k`."""
        return self._builder.load(self.place(start, k), align=4)

    def store(self, value: Any, start: Any, k: Any) -> None:
        """Write the vector of term `k`."""
        self._builder.store(value, self.place(start, k), align=4)


@intrinsic
def _vector_add_samples(
    typing_context: Any, sums: Any, t: Any, lane: Any, samples: Any, at: Any, n: Any
) -> Any:
    signature = numba.types.void(sums, t, lane, samples, at, n)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        step, rows, first, count = (
            context.cast(builder, args[i], sig.args[i], numba.types.intp) for i in (1, 2, 4, 5)
        )
        into = _Sums(context, builder, sig.args[0], args[0], step, rows)
        seen = context.make_array(sig.args[3])(context, builder, args[3])
        _, width = cgutils.unpack_tuple(builder, seen.shape, 2)
        vector = into.constant(0).type
        new, old = into.start(0, 0), into.start(1, 0)
        one = ir.Constant(step.type, 1)

        def sample(i: Any) -> Any:
            place = builder.gep(seen.data, [builder.add(first, builder.mul(i, width))])
            return builder.load(builder.bitcast(place, vector.as_pointer()), align=4)

        def add(value: Any, k: Any) -> None:
            into.store(builder.add(into.decayed(into.load(old, k)), value), new, k)

        def triangle(i: Any) -> Any:
            return builder.ashr(builder.mul(i, builder.add(i, one)), one)

        with cgutils.for_range(builder, count) as outer:
            i = outer.index
            scaled = builder.shl(sample(i), into.constant(ONE_BITS))
            start = triangle(i)
            with cgutils.for_range(builder, builder.add(i, one)) as inner:
                k = builder.add(start, inner.index)
                add(builder.mul(scaled, sample(inner.index)), k)
        start = triangle(count)
        with cgutils.for_range(builder, builder.sub(into.terms, start)) as rest:
            add(sample(builder.add(count, rest.index)), builder.add(start, rest.index))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _vector_sum_window(
    typing_context: Any, row: Any, above: Any, t: Any, lane: Any, total: Any
) -> Any:
    signature = numba.types.void(row, above, t, lane, total)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        step, rows = (context.cast(builder, args[i], sig.args[i], numba.types.intp) for i in (2, 3))
        f = _Sums(context, builder, sig.args[0], args[0], step, rows)
        d = _Sums(context, builder, sig.args[1], args[1], step, rows)
        out = context.make_array(sig.args[4])(context, builder, args[4])
        vector = f.constant(0).type
        starts = [f.start(*at) for at in ((4, 2), (3, 2), (2, 2), (2, 1), (1, 1), (1, 0))]
        before, now = d.start(2, 1), d.start(0, 0)
        total = builder.bitcast(out.data, vector.as_pointer())
        with cgutils.for_range(builder, f.terms) as loop:
            k = loop.index
            f0, f1, f2, g0, g1, left = (f.load(start, k) for start in starts)
            p1, p2 = (builder.sub(b, f.decayed(a)) for a, b in ((f0, f1), (f1, f2)))
            right = f.decayed(builder.add(p1, f.decayed(p2)))
            over = builder.add(builder.add(f0, right), f.decayed(d.load(before, k)))
            d.store(over, now, k)
            near = builder.add(g0, f.decayed(builder.sub(g1, f.decayed(g0))))
            whole = builder.add(builder.add(near, f.decayed(over)), left)
            builder.store(whole, builder.gep(total, [k]), align=4)
        return context.get_dummy_value()

    return signature, generate


add_samples: Any = _add_samples if interpreted() else _vector_add_samples
sum_window: Any = _sum_window if interpreted() else _vector_sum_window
