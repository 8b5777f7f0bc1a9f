"""Values on a stack of bits: pushed and popped under the logistics that networks gave.

Popping is decoding, pushing encoding; each undoes the other, symbol by symbol. Values are planes of
pixels or of latents, and go channel by channel, row by row, in the order of popping.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.coding import ans
from idfzip.integer.conv import Sums
from idfzip.integer.jit import inlined, kernel
from idfzip.priors import mixture, mixtures
from idfzip.priors.mixtures import LANES, Mixtures

_GOLDEN = 10368889

Values = npt.NDArray[np.int32]
"""Values, int32 (height, width, channels)."""


class Kind(NamedTuple):
    """What values are: how many of them, from which on, and the units of their sums.

    `scale` is an index of `mixture.Tables.span`; `centre` is what the first channel's means are
    counted from, in 1/64. Where `relative`, later channels lie as far lower as the first is high.
    Where `masked`, a pattern turns the state's low bits before each value is popped: what was
    pushed before, under a model that is not quite right, is not as random as drawing needs it
    (`models/cifar10-bitswap.md`: 0.35% of 200 images in one chain).
    """

    alphabet: int
    low: int
    scale: int
    centre: int
    relative: bool = False
    masked: bool = False


@kernel
def _mix(
    sums: Sums,
    values: Values,
    kind: Kind,
    c: int,
    y: int,
    x: int,
    count: int,
    tables: mixture.Tables,
    room: Mixtures,
) -> None:
    """Make the logistics of channel `c` of the places of row `y` from column `x` on."""
    k = len(room.weights)
    size = 2 if k == 1 else 3 * k  # one logistic has no weight
    taken = np.zeros((count, 3 * k), np.int32)
    line = sums[min(y, len(sums) - 1)]
    for lane in range(count):
        place = line[min(x + lane, len(line) - 1)]
        taken[lane, 3 * k - size :] = place[c * size : (c + 1) * size]
        room.scales[lane] = kind.scale
        room.centres[lane] = kind.centre if c == 0 else 0
        room.lows[lane] = kind.low
        if kind.relative and c > 0:
            room.lows[lane] -= values[y, x + lane, 0]
    mixtures.mix(taken, 0, count, tables.exp, tables.inverse, tables.span, room)


@inlined
def _pattern(values: Values, c: int, y: int, x: int) -> np.uint64:
    """Return what a state is turned by: multiples of the golden section of 2**24."""
    height, width, _ = values.shape
    place = np.int64((c * height + y) * width + x)
    return np.uint64((place * _GOLDEN) & (ans.TOTAL - 1))


@kernel
def push(
    sums: Sums,
    values: Values,
    kind: Kind,
    tables: mixture.Tables,
    room: Mixtures,
    coder: ans.Coder,
) -> None:
    """Push values, the last one first; there must be room for so many symbols.

    `sums` int32 (height, width, channels * 2 or 3 K) or more places, or (1, 1, ..) the same
    everywhere: for each channel mean and log scale of one logistic, or logits, means and scales.
    """
    words, place, state = coder.words, coder.place, coder.state
    height, width, channels = values.shape
    for c in range(channels - 1, -1, -1):
        for y in range(height - 1, -1, -1):
            for x in range((width - 1) // LANES * LANES, -1, -LANES):
                count = min(LANES, width - x)
                _mix(sums, values, kind, c, y, x, count, tables, room)
                for lane in range(count):
                    room.values[lane] = values[y, x + lane, c]
                mixtures.edges(count, kind.alphabet, tables.sigmoid, room)
                mixtures.intervals(count, kind.alphabet, room)
                for lane in range(count - 1, -1, -1):
                    lower, upper = room.ends[0, lane], room.ends[1, lane]
                    ans.push(words, place, state, 0, lower, upper - lower)
                    if kind.masked:
                        state[0] ^= _pattern(values, c, y, x + lane)


@kernel
def pop(
    sums: Sums,
    values: Values,
    kind: Kind,
    tables: mixture.Tables,
    room: Mixtures,
    coder: ans.Coder,
    safely: bool,
) -> bool:
    """Pop values into `values`; arguments are as of `push`.

    If `safely`, return False as soon as the stack has no bits for the next value.
    """
    weights, means, inverses, sigmoid = room.weights, room.means, room.inverses, tables.sigmoid
    words, place, state = coder.words, coder.place, coder.state
    height, width, channels = values.shape
    for c in range(channels):
        for y in range(height):
            for x in range(0, width, LANES):
                count = min(LANES, width - x)
                _mix(sums, values, kind, c, y, x, count, tables, room)
                for lane in range(count):
                    if safely and ans.is_starved(place, state, 0):
                        return False
                    if kind.masked:
                        state[0] ^= _pattern(values, c, y, x + lane)
                    quantile = ans.peek(state, 0)
                    value, lower, upper = mixture.search(
                        quantile,
                        room.lows[lane],
                        kind.alphabet,
                        weights,
                        means,
                        inverses,
                        lane,
                        sigmoid,
                    )
                    ans.pop(words, place, state, 0, lower, upper - lower)
                    values[y, x + lane, c] = value
    return True


@kernel
def likeliest(
    sums: Sums, values: Values, kind: Kind, tables: mixture.Tables, room: Mixtures
) -> None:
    """Write the mean of each value's logistic into `values`; arguments are as of `push`."""
    height, width, channels = values.shape
    for c in range(channels):
        for y in range(height):
            for x in range(0, width, LANES):
                count = min(LANES, width - x)
                _mix(sums, values, kind, c, y, x, count, tables, room)
                for lane in range(count):
                    low = room.lows[lane]
                    values[y, x + lane, c] = mixture.middle(
                        low, kind.alphabet, room.weights, room.means, lane
                    )


_NO = 1 << 16
"""Frequency of a flag that is not set."""


@kernel
def push_flag(flag: bool, coder: ans.Coder) -> None:
    """Push a flag that is nearly always set."""
    cumulative, frequency = (_NO, ans.TOTAL - _NO) if flag else (0, _NO)
    ans.push(coder.words, coder.place, coder.state, 0, cumulative, frequency)


@kernel
def pop_flag(coder: ans.Coder) -> bool:
    """Pop a flag."""
    flag = ans.peek(coder.state, 0) >= _NO
    cumulative, frequency = (_NO, ans.TOTAL - _NO) if flag else (0, _NO)
    ans.pop(coder.words, coder.place, coder.state, 0, cumulative, frequency)
    return flag
