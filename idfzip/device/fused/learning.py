"""How networks follow their groups: slopes of bits, and the steps of weights against them.

As `mixture.slopes`, `learner.Learner._slopes` and `learner._Parameters.step` by operators.
"""

from __future__ import annotations

import triton
import triton.language as tl

from idfzip.coding import ans
from idfzip.device.fused.arithmetic import times
from idfzip.device.fused.mixtures import level, placed
from idfzip.device.fused.rows import rows_of
from idfzip.device.fused.table import halves, singles, size
from idfzip.integer import learning
from idfzip.priors import mixture

REACH = tl.constexpr(mixture.END)
LEAST = tl.constexpr(1 << (mixture.WEIGHT_BITS + mixture.SIGMOID_BITS - ans.PRECISION))
WHOLE = tl.constexpr(2.0 ** -(mixture.WEIGHT_BITS + mixture.SIGMOID_BITS))
LEVEL = tl.constexpr(2.0**-mixture.SIGMOID_BITS)
SHARE = tl.constexpr(2.0**-mixture.WEIGHT_BITS)
NATS = tl.constexpr(0.693147)
MEMORY = tl.constexpr(float(learning._SHARE))
PERIOD = tl.constexpr(learning.PERIOD)
BLOCK = tl.constexpr(learning.BLOCK)

ROWS = 32
"""Of a program that finds slopes: 7 us of a step of 92 tiles of 256 rows on an H100."""
DOWN, ACROSS, DEPTH, WARPS = 32, 64, 32, 4
"""Of a program that moves weights: inputs, outputs, and the rows of each turn.

For 92 groups with 128 rows each 85 us on an H100, of 64 inputs 125 or more, of 8 warps 110; one
launch for each of the 16 parts took 106 together.
"""

FIELDS = tl.constexpr(12)
"""Of a part in the table that `move` reads."""


@triton.jit  # type: ignore[untyped-decorator]
def edge(
    value: tl.tensor,
    low: tl.tensor,
    alphabet: tl.tensor,
    mean: tl.tensor,
    inverse: tl.tensor,
    sigmoid: tl.tensor,
) -> tuple[tl.tensor, tl.tensor]:
    """Return place and level of values' lower edges in each logistic, int32: `mixture.edges`."""
    step = (value - low)[:, None]
    place = placed(64 * value[:, None] - 32, mean, inverse)
    place = tl.where(step > 0, place, -REACH)
    place = tl.where(step < alphabet, place, REACH - 1)
    return place, level(place, sigmoid)


@triton.jit  # type: ignore[untyped-decorator]
def whole(value: tl.tensor) -> tl.tensor:
    """Return slopes in 2**-6, rounded and limited."""
    rounded = tl.floor(value * 64.0 + 0.5)
    return tl.minimum(tl.maximum(rounded, -127.0), 127.0).to(tl.float32)


@triton.jit  # type: ignore[untyped-decorator]
def slopes(
    pending: tl.tensor,
    count: tl.tensor,
    pixels: tl.tensor,
    scales: tl.tensor,
    weights: tl.tensor,
    means: tl.tensor,
    inverses: tl.tensor,
    deltas: tl.tensor,
    sigmoid: tl.tensor,
    span_table: tl.tensor,
    capacity: tl.tensor,
    room: tl.tensor,
    alphabet: tl.tensor,
    components: tl.tensor,
    channels: tl.constexpr,
    rows: tl.constexpr,
    slots: tl.constexpr,
) -> None:
    """Write how the nats of a step's pixels depend on the heads' sums, (C, rows, 3 K)."""
    g = tl.program_id(0).to(tl.int64)
    begin = tl.program_id(1) * rows
    there = tl.load(count + g)
    if begin >= there:
        return
    row, inside = rows_of(pending, g, begin, there, capacity, rows)
    wide = tl.zeros([rows], tl.int64) + room
    k = tl.arange(0, slots)
    known = inside[:, None] & (k < components)[None, :]
    base = tl.load(pixels + row, inside, 0).to(tl.int32)
    for c in tl.static_range(channels):
        value = tl.load(pixels + c * wide + row, inside, 0).to(tl.int32)
        low = value * 0
        if c > 0:
            low -= base
        at = ((c * wide + row) * components)[:, None] + k[None, :]
        mean = tl.load(means + at, known, 0)
        inverse = tl.load(inverses + at, known, 0)
        weight = tl.load(weights + at, known, 0)
        far_bottom, lower = edge(value, low, alphabet, mean, inverse, sigmoid)
        far_top, upper = edge(value + 1, low, alphabet, mean, inverse, sigmoid)
        mass = tl.sum(weight.to(tl.int64) * (upper - lower).to(tl.int64), 1) + LEAST
        all_of_it = (mass.to(tl.float64) * WHOLE)[:, None]
        top = upper.to(tl.float64) * LEVEL
        bottom = lower.to(tl.float64) * LEVEL
        part = weight.to(tl.float64) * SHARE * (1.0 / all_of_it)
        rising = top * (1.0 - top)
        falling = bottom * (1.0 - bottom)
        span = tl.load(span_table + tl.load(scales + c * wide + row, inside, 0))
        unit = (span[:, None] * inverse).to(tl.float64) * 2.0**-31
        high = far_top.to(tl.float64) * 2.0**-15 * rising
        deep = far_bottom.to(tl.float64) * 2.0**-15 * falling
        into = deltas + ((c * wide + row) * (3 * components))[:, None] + k[None, :]
        tl.store(into, whole(part * (all_of_it - (top - bottom))), known)
        tl.store(into + components, whole(part * (rising - falling) * unit), known)
        nats = tl.full([1, 1], NATS, tl.float64)
        tl.store(into + 2 * components, whole(part * (high - deep) * nats), known)


@triton.jit  # type: ignore[untyped-decorator]
def stepped(
    at: tl.tensor,
    within: tl.tensor,
    slope: tl.tensor,
    model: tl.tensor,
    exact: tl.tensor,
    squares: tl.tensor,
    correction: tl.tensor,
    rate: tl.tensor,
    reach: tl.tensor,
    most: tl.tensor,
) -> tl.tensor:
    """Move parameters against their slopes, from the model's: `learning._step`.

    Returns them, rounded.
    """
    old = tl.load(squares + at, within, 0.0)
    square = old + (slope * slope - old) * MEMORY
    quotient = tl.div_rn(rate * slope, tl.sqrt_rn(square) * correction + 1.0)
    low = tl.maximum(model - reach, -most)
    high = tl.minimum(model + reach, most)
    moved = tl.load(exact + at, within, 0.0) - quotient
    moved = tl.minimum(tl.maximum(moved, low), high)
    tl.store(squares + at, square, within)
    tl.store(exact + at, moved, within)
    return tl.floor(moved + 0.5)


@triton.jit  # type: ignore[untyped-decorator]
def part_of(
    table: tl.tensor,
    mine: tl.tensor,
    parts: tl.tensor,
    slots: tl.constexpr,
    down: tl.constexpr,
    across: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """Return which of the parts in a table has the tile `mine`, and the number of it there.

    Parts are cut into tiles of inputs, `down`, and outputs, `across`, one after the other.
    """
    k = tl.arange(0, slots)
    there = k < parts
    inputs = tl.load(table + k * FIELDS, there, 0)
    outputs = tl.load(table + k * FIELDS + 1, there, 0)
    ends = tl.cumsum(tl.cdiv(inputs, down) * tl.cdiv(outputs, across), 0)
    before = there & (ends <= mine)
    return tl.sum(before.to(tl.int32), 0), mine - tl.max(tl.where(before, ends, 0), 0)


@triton.jit  # type: ignore[untyped-decorator]
def move(
    over: tl.tensor,
    turn: tl.tensor,
    corrections: tl.tensor,
    table: tl.tensor,
    limits: tl.tensor,
    parts: tl.tensor,
    capacity: tl.tensor,
    models: tl.constexpr,
    every: tl.constexpr,
    by: tl.constexpr,
    slots: tl.constexpr,
    down: tl.constexpr,
    across: tl.constexpr,
    depth: tl.constexpr,
) -> None:
    """Move all weights and biases of the groups whose period is `over` and counts, by tiles.

    Of each part, (inputs, outputs), `table`, int64, has these, how far those of the next group
    stand, how far the next rows of x and of errors; and addresses: of x and errors, which are
    halves, of the first of the models' parameters, exact ones, squares, which are singles, and
    values; and of how many inputs those of the models, and values, are halves: of all, or of none,
    as biases, parts of one input, which are singles. `limits`, singles: its rate, reach and limit.
    For `by`, of all but inputs and what belongs to x, see `table`.
    """
    g = tl.program_id(0).to(tl.int64)
    there = tl.load(over + g)
    now = tl.load(turn + g) - 1
    if (there == 0) | (now % every != every - 1):
        return
    which, tile = part_of(table, tl.program_id(1), parts, slots, down, across)
    mine = table + which * FIELDS
    inputs = tl.load(mine)
    outputs = size(mine + 1, by)
    apart = size(mine + 2, by)
    of_x = tl.load(mine + 3)
    of_deltas = size(mine + 4, by)
    x = halves(mine + 5, 1)
    deltas = halves(mine + 6, by)
    exact = singles(mine + 8, by)
    squares = singles(mine + 9, by)
    narrow = tl.load(mine + 11)  # inputs of halves
    beside = tl.cdiv(outputs, across)
    i = (tile // beside) * down + tl.arange(0, down)
    o = (tile % beside) * across + tl.arange(0, across)
    slope = tl.zeros([down, across], tl.float32)
    for block in range(0, there, BLOCK):
        part = tl.zeros([down, across], tl.float32)
        for start in range(block, tl.minimum(block + BLOCK, there), depth):
            number = start + tl.arange(0, depth)
            inside = number < there
            row = g * capacity + number
            at = x + (row * of_x)[None, :] + i[:, None]
            left = tl.load(at, inside[None, :] & (i < inputs)[:, None], 0.0)
            at = deltas + (row * of_deltas)[:, None] + o[None, :]
            right = tl.load(at, inside[:, None] & (o < outputs)[None, :], 0.0)
            part = times(left, right, part)
        slope += part
    within = (i < inputs)[:, None] & (o < outputs)[None, :]
    where = i[:, None] * outputs + o[None, :]
    at = (g % models) * apart + where
    in_halves = (i < narrow)[:, None] & (o < outputs)[None, :]
    in_singles = (i < inputs - narrow)[:, None] & (o < outputs)[None, :]
    model = tl.load(halves(mine + 7, by) + at, in_halves, 0.0).to(tl.float32)
    model += tl.load(singles(mine + 7, by) + at, in_singles, 0.0)
    at = g * apart + where
    moved = stepped(
        at, within, slope, model, exact, squares, tl.load(corrections + now // every),
        tl.load(limits + 3 * which), tl.load(limits + 3 * which + 1),
        tl.load(limits + 3 * which + 2),
    )  # fmt: skip
    tl.store(halves(mine + 10, by) + at, moved, in_halves)
    tl.store(singles(mine + 10, by) + at, moved, in_singles)
