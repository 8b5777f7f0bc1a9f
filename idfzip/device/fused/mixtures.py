"""Mixtures of discretized logistics, from the last values of a head (`device.mixture.mix`)."""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.device.fused.arithmetic import times
from idfzip.priors import mixture

WEIGHT_BITS = tl.constexpr(mixture.WEIGHT_BITS)
ALL = tl.constexpr(1 << mixture.WEIGHT_BITS)
LOWEST = tl.constexpr(mixture.LOWEST)
NONE = tl.constexpr(-(1 << 62))
END = tl.constexpr(mixture.END)
assert mixture.END << 12 == 1 << 31, "places end where 32 bits do, before they are shifted"


@triton.jit  # type: ignore[untyped-decorator]
def placed(distance: tl.tensor, mean: tl.tensor, inverse: tl.tensor) -> tl.tensor:
    """Return where edges at a `distance` from 0, in 1/64 of a step, lie in logistics, int32.

    Means may be of 64 bits; the rest is of 32, of which GPUs multiply two in one instruction.
    """
    far = (distance.to(mean.dtype) - mean).to(tl.int64) * inverse.to(tl.int64)
    over = (far >> 31).to(mean.dtype)  # 0 or -1 where 32 bits hold it
    place = far.to(tl.int32) >> 12
    place = tl.where(over > 0, END - 1, place)
    return tl.where(over < -1, -END, place)


@triton.jit  # type: ignore[untyped-decorator]
def level(place: tl.tensor, sigmoid: tl.tensor) -> tl.tensor:
    """Return the sigmoid at places, int32; the table is of `pairs`."""
    shifted = place + END
    pair = tl.load(sigmoid + (shifted >> 10))
    rise = (pair >> 32).to(tl.int32)
    return pair.to(tl.int32) + ((rise * (shifted & 1023)) >> 10)


@triton.jit  # type: ignore[untyped-decorator]
def mix(
    row: tl.tensor,
    inside: tl.tensor,
    active: tl.tensor,
    hidden: tl.tensor,
    outs: tl.tensor,
    out_bias: tl.tensor,
    scale: tl.tensor,
    centre: tl.tensor,
    weights: tl.tensor,
    means: tl.tensor,
    inverses: tl.tensor,
    exp_table: tl.tensor,
    inverse_table: tl.tensor,
    span_table: tl.tensor,
    width: tl.tensor,
    exps: tl.tensor,
    spreads: tl.tensor,
    components: tl.tensor,
    lanes: tl.constexpr,
    columns: tl.constexpr,
    slots: tl.constexpr,
) -> None:
    """Write what a head is, `active` (lanes, columns), to `hidden`, and the mixtures, (rows, K).

    `outs` and `out_bias` are of its group; `exps` and `spreads` the lengths of tables.
    """
    h = tl.arange(0, columns)
    within = inside[:, None] & (h < width)[None, :]
    tl.store(hidden + row[:, None] * width + h[None, :], active, within)
    active = tl.where(within, active, 0.0)
    # All in one product: its columns are the logits, the shifts, the scales, and room.
    j = tl.arange(0, 4 * slots)
    out = (j // slots) * components + j % slots
    used = (j < 3 * slots) & (j % slots < components)
    at = outs + h[:, None] * (3 * components) + out[None, :]
    matrix = tl.load(at, (h < width)[:, None] & used[None, :], 0.0)
    found = times(active, matrix, tl.zeros([lanes, 4 * slots], tl.float32))
    found = (found + tl.load(out_bias + out, used, 0.0)[None, :]).to(tl.int32)
    found = tl.permute(tl.reshape(found, [lanes, 4, slots]), [0, 2, 1])
    even, odd = tl.split(tl.reshape(found, [lanes, slots, 2, 2]))
    logits, logs = tl.split(even)
    shifts, _ = tl.split(odd)
    k = tl.arange(0, slots)
    one = (k < components)[None, :]
    shifts, logs = shifts.to(tl.int64), logs.to(tl.int64)
    logits = tl.where(one, logits.to(tl.int64), NONE)
    top = tl.max(logits, 1)
    best = tl.min(tl.where(logits == top[:, None], k[None, :], slots), 1)
    falls = tl.where(one, top[:, None] - logits, 0) >> 7
    parts = tl.where(one, tl.load(exp_table + tl.minimum(falls, exps - 1)), 0)
    share = (parts << WEIGHT_BITS) // tl.sum(parts, 1)[:, None]
    rest = ALL - tl.sum(share, 1)
    share += tl.where(k[None, :] == best[:, None], rest[:, None], 0)
    span = tl.load(span_table + scale)
    spread = 4 * scale[:, None] - 64 + ((logs + 512) >> 10) + LOWEST
    spread = tl.minimum(tl.maximum(spread, 0), spreads - 1)
    into = row[:, None] * components + k[None, :]
    kept = inside[:, None] & one
    mean = centre[:, None] + ((shifts * span[:, None] + (1 << 17)) >> 18)
    tl.store(weights + into, share.to(tl.int32), kept)
    tl.store(means + into, mean.to(means.dtype.element_ty), kept)
    tl.store(inverses + into, tl.load(inverse_table + spread).to(tl.int32), kept)
