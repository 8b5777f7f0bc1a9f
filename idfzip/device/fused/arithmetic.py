"""What kernels have in common: rounding, limits and logarithms of `device.context` and others."""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.flows import context
from idfzip.integer import grid, learner
from idfzip.integer import log2 as logarithm

LIMIT = tl.constexpr(context.LIMIT)
STEPS = tl.constexpr(logarithm.STEPS)
HALF = tl.constexpr(float(grid.HALF))
DOWN = tl.constexpr(1.0 / (1 << grid.WEIGHT_BITS))
LEAK = tl.constexpr(1.0 / (1 << grid.LEAK_SHIFT))
MOST = tl.constexpr(float(grid.ACTIVATION_LIMIT))
DELTA = tl.constexpr(float(learner.DELTA_LIMIT))


@triton.jit  # type: ignore[untyped-decorator]
def log2(value: tl.tensor, table: tl.tensor) -> tl.tensor:
    """As `expert.log2`, of int64."""
    bits = tl.maximum(value, 1).to(tl.float64).to(tl.int64, bitcast=True)
    return ((bits >> 52) - 1023) * STEPS + tl.load(table + ((bits >> 46) & 63))


@triton.jit  # type: ignore[untyped-decorator]
def columns_of(
    block: tl.tensor, lanes: tl.constexpr, levels: tl.constexpr
) -> tuple[tl.tensor, ...]:
    """Return the columns, (lanes,) each, of a block (lanes, 2**levels); levels from 1.

    Loaded one by one they would be the same, but a compiler takes a quarter of a second for each
    load in a large program.
    """
    found = (block,)
    for level in tl.static_range(levels):
        even = ()
        odd = ()
        for i in tl.static_range(2**level):
            if level + 1 == levels:
                pair = tl.reshape(found[i], [lanes, 2])
            else:
                pair = tl.reshape(found[i], [lanes, 2 ** (levels - 1 - level), 2])
            one, other = tl.split(pair)
            even = even + (one,)
            odd = odd + (other,)
        found = even + odd
    return found


@triton.jit  # type: ignore[untyped-decorator]
def limited(value: tl.tensor) -> tl.tensor:
    """As `context.limited`."""
    return tl.minimum(tl.maximum(value, -LIMIT), LIMIT)


@triton.jit  # type: ignore[untyped-decorator]
def over(value: tl.tensor, gain: tl.tensor, deep: tl.constexpr) -> tl.tensor:
    """As `context.over`."""
    return limited((value * gain + (32768 << deep)) >> (16 + deep))


@triton.jit  # type: ignore[untyped-decorator]
def see_error(
    error: tl.tensor, gain: tl.tensor, deep: tl.constexpr, table: tl.tensor
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """As `context.see_error`, its three values one by one."""
    size = (tl.abs(error) * gain + (32768 << deep)) >> (16 + deep)
    return (
        over(error, gain, deep),
        tl.minimum(size, LIMIT),
        limited(2 * log2(size + 4, table) - 160),
    )


@triton.jit  # type: ignore[untyped-decorator]
def bounded(value: tl.tensor, limit: tl.tensor) -> tl.tensor:
    """As `expert.bounded`, of doubles."""
    bound = 2.0 * (limit + 1).to(tl.float64)
    value = tl.where(value > -bound, value, -bound)
    return tl.where(value > bound, bound, value)


@triton.jit  # type: ignore[untyped-decorator]
def to_sixty_fourths(value: tl.tensor) -> tl.tensor:
    """As `expert.to_sixty_fourths`, of doubles."""
    return tl.floor(value * 64.0 + 0.5).to(tl.int64)


@triton.jit  # type: ignore[untyped-decorator]
def clamped(value: tl.tensor, limit: tl.tensor) -> tl.tensor:
    """Return whole numbers within a limit on either side."""
    return tl.minimum(tl.maximum(value, -limit), limit)


@triton.jit  # type: ignore[untyped-decorator]
def activate(sums: tl.tensor) -> tl.tensor:
    """As `network.activate`."""
    whole = tl.floor((sums + HALF) * DOWN)
    leaked = tl.floor(whole * LEAK)
    return tl.minimum(tl.maximum(tl.maximum(whole, leaked), -MOST), MOST)


@triton.jit  # type: ignore[untyped-decorator]
def times(left: tl.tensor, right: tl.tensor, total: tl.tensor) -> tl.tensor:
    """Return a total, float32, with a product of matrices of whole numbers added (`dense`)."""
    return tl.dot(left.to(tl.float16), right.to(tl.float16), total)


@triton.jit  # type: ignore[untyped-decorator]
def backwards(sums: tl.tensor, values: tl.tensor) -> tl.tensor:
    """As `learner._backwards`."""
    total = tl.where(values >= 0, sums, sums * LEAK)
    whole = tl.floor(total * DOWN + 0.5)
    whole = tl.minimum(tl.maximum(whole, -DELTA), DELTA)
    return tl.where((values < MOST) & (values > -MOST), whole, 0.0)
