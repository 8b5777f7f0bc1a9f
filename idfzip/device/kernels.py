"""Taking symbols from streams in one kernel: the twin of `coder.take_by_operators`.

A symbol is known only when the one before it in its stream is, so this is the one part of a step
whose length grows with a tile's rows. In operators each symbol takes about thirty launches; here a
program walks along its stream, and only the values between which it chooses lie side by side.
Sums are whole numbers, so there is nothing that a compiler could fuse into other bits.
Triton reads annotations, too, and knows no names but its own.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from idfzip.coding.ans import PRECISION, TOTAL
from idfzip.device.coder import WAYS, Coder
from idfzip.device.mixture import Mixtures
from idfzip.priors.mixture import END, SIGMOID_BITS, WEIGHT_BITS

WARPS = 4
"""Of a program: 64 lanes and two reductions across them, or 256 and four. [Not measured.]"""


@triton.jit  # type: ignore[untyped-decorator]
def _take(
    words: tl.tensor,
    place: tl.tensor,
    end: tl.tensor,
    state: tl.tensor,
    counts: tl.tensor,
    weights: tl.tensor,
    means: tl.tensor,
    inverses: tl.tensor,
    lows: tl.tensor,
    sigmoid: tl.tensor,
    values: tl.tensor,
    tiles: tl.tensor,
    slots: tl.tensor,
    alphabet: tl.tensor,
    components: tl.constexpr,
    rounds: tl.constexpr,
    ways: tl.constexpr,
    total: tl.constexpr,
    precision: tl.constexpr,
    reach: tl.constexpr,
    down: tl.constexpr,
) -> None:
    """Walk along stream `program_id`."""
    stream = tl.program_id(0).to(tl.int64)
    s = tl.load(state + stream)
    at = tl.load(place + stream)
    last = tl.load(end + stream)
    lanes = tl.arange(0, ways).to(tl.int64)
    for k in range(tiles):
        count = tl.load(counts + stream * tiles + k)
        first = (stream * tiles + k) * slots
        for i in range(count):
            row = first + i
            low = tl.load(lows + row)
            quantile = s & (total - 1)
            below = low
            lower = quantile * 0
            upper = lower + total
            for r in tl.static_range(rounds):
                stride = ways if r + 1 < rounds else 1
                probes = tl.minimum(below + lanes * stride, low + alphabet)
                mass = lanes * 0
                for j in tl.static_range(components):
                    mean = tl.load(means + row * components + j)
                    inverse = tl.load(inverses + row * components + j)
                    weight = tl.load(weights + row * components + j)
                    u = ((64 * probes - 32 - mean) * inverse) >> 12
                    u = tl.minimum(tl.maximum(u, -reach), reach - 1) + reach
                    cell = u >> 10
                    left = tl.load(sigmoid + cell)
                    right = tl.load(sigmoid + cell + 1)
                    mass += weight * (left + (((right - left) * (u & 1023)) >> 10))
                step = probes - low
                found = ((mass * (total - alphabet)) >> down) + step
                found = tl.where(step > 0, found, 0)
                found = tl.where(step < alphabet, found, total)
                taken = found <= quantile
                below += (tl.sum(taken.to(tl.int64), 0) - 1) * stride
                lower = tl.max(tl.where(taken, found, 0), 0)
                upper = tl.minimum(upper, tl.min(tl.where(taken, total, found), 0))
            tl.store(values + row, below)
            kept = (s >> precision) & ((1 << 40) - 1)
            s = kept * (upper - lower) + quantile - lower
            hungry = ((s >> 32) == 0) & (at < last)
            word = tl.load(words + at).to(tl.int64) & 0xFFFFFFFF
            s = tl.where(hungry, (s << 32) | word, s)
            at += hungry.to(tl.int64)
    tl.store(state + stream, s)
    tl.store(place + stream, at)


def take(
    coder: Coder, found: Mixtures, counts: Tensor, slots: int, alphabet: int, sigmoid: Tensor
) -> Tensor:
    """Return what `coder.take` does."""
    groups, tiles = counts.shape
    values = found.lows.clone()
    parts = (found.weights, found.means, found.inverses, found.lows)
    _take[(groups,)](
        coder.words,
        coder.place,
        coder.end,
        coder.state,
        counts.contiguous(),
        *(part.contiguous() for part in parts),
        sigmoid,
        values,
        tiles,
        slots,
        alphabet,
        components=found.weights.shape[1],
        rounds=1 if alphabet <= WAYS else 2,
        ways=WAYS,
        total=TOTAL,
        precision=PRECISION,
        reach=END,
        down=WEIGHT_BITS + SIGMOID_BITS,
        num_warps=WARPS,
        enable_fp_fusion=False,
    )
    return values
