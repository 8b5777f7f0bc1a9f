"""A prior of codes that vector quantisation gives: categories with a distance.

For one codebook of one level, row by row. What is known of the whole plane (coarser levels, the
earlier codebooks of the same level) goes through a convolutional network once; to its sums at a
place are added those of the four codes before it (NW, N, NE, W), which are entries of a table, as
in the autoregressive priors of VQ-VAE (van den Oord et al. 2017, arXiv:1711.00937) and VQ-VAE-2
(Razavi et al. 2019, arXiv:1906.00446). A layer gives a logit for each code; a table of exp and one
division make of them frequencies that sum to 2**24.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from idfzip.coding import ans
from idfzip.errors import ModelError
from idfzip.integer import conv, grid
from idfzip.integer.conv import LIMIT, Conv, Sums
from idfzip.integer.jit import inlined, kernel
from idfzip.integer.log2 import log2
from idfzip.integer.stack import Stack, Values

Codes = npt.NDArray[np.int32]
"""Indices of a codebook's entries, int32 (height, width)."""

BEFORE = ((-1, -1), (-1, 0), (-1, 1), (0, -1))
"""Where the codes before a place lie that its prior sees."""

MOST = 4096
"""Most entries of a codebook: exp in 20 bits, summed over them and times 2**24, fits 63 bits."""


@dataclass(frozen=True)
class CodePrior:
    """The prior of one codebook; raises ModelError where parts do not fit.

    `known` makes `hidden` sums of what is known of the plane; `near` int16 (4, D, hidden) are the
    weights of the codes before, as entries; `out` makes a logit of each code.
    """

    known: Stack
    near: npt.NDArray[np.int16]
    out: Conv
    codebook: npt.NDArray[np.int16]

    def __post_init__(self) -> None:
        """Check sizes, and prove the bound of the sums."""
        entries, size = self.codebook.shape
        if not 2 <= entries <= MOST or np.abs(self.codebook.astype(np.int32)).max() > LIMIT:
            raise ModelError(f"codebook of {entries} entries, or of values over {LIMIT}")
        if self.near.shape != (len(BEFORE), size, self.known.outputs):
            raise ModelError(f"prior of codes: weights of shape {self.near.shape}")
        if (len(self.out.weight), self.out.inputs) != (1, self.known.outputs):
            raise ModelError(f"prior of codes: output of shape {self.out.weight.shape}")
        if self.out.outputs != entries:
            raise ModelError(f"prior of {self.out.outputs} codes, the codebook has {entries}")
        if np.abs(self.near.astype(np.int32)).max() > grid.WEIGHT_LIMIT:
            raise ModelError(f"a weight is over {grid.WEIGHT_LIMIT}")
        near = np.abs(self._table).max(1).sum(0)
        conv.check_reach(near + self.known.reach)

    @property
    def operations(self) -> float:
        """Products and sums for a place."""
        shares = sum(layer.weight.size * share for layer, share in self.known.shares())
        return shares + self.out.weight.size

    @cached_property
    def _table(self) -> npt.NDArray[np.int64]:
        found: npt.NDArray[np.int64] = self.codebook.astype(np.int64) @ self.near.astype(np.int64)
        return found

    @cached_property
    def table(self) -> npt.NDArray[np.int32]:
        """What each code before adds to the sums, int32 (4, K, hidden)."""
        return self._table.astype(np.int32)

    @cached_property
    def weight(self) -> npt.NDArray[np.int32]:
        """The weights of the output, int32 (hidden, K)."""
        return np.ascontiguousarray(self.out.weight[0].astype(np.int32))

    def choose(
        self, known: Values, wanted: Values, rate: int, tables: Tables
    ) -> tuple[Codes, npt.NDArray[np.int32]]:
        """Return codes for values (height, width, D), and their intervals, int32 (places, 2).

        A code is that of the least squared distance plus `rate` / 16 times its bits (entropy-
        constrained vector quantisation, Chou et al. 1989), place by place.
        """
        return self.choose_given(self.known.sums(known), wanted, rate, tables)

    def choose_given(
        self, base: Sums, wanted: Values, rate: int, tables: Tables
    ) -> tuple[Codes, npt.NDArray[np.int32]]:
        """Do as `choose`, given the sums (height, width, hidden) of what is known."""
        codes = np.empty(base.shape[:2], np.int32)
        intervals = np.empty((codes.size, 2), np.int32)
        book, log = self.codebook.astype(np.int32), tables.log
        parts = (self.table, self.weight, self.out.bias, tables.exp)
        _choose(base, *parts, np.ascontiguousarray(wanted), book, rate, log, codes, intervals)
        return codes, intervals

    def decode(self, known: Values, coder: ans.Coder, tables: Tables, cut: bool) -> Codes | None:
        """Return the codes in the coder's one stream; None if it is `cut` and ends before."""
        return self.decode_given(self.known.sums(known), coder, tables, cut)

    def decode_given(self, base: Sums, coder: ans.Coder, tables: Tables, cut: bool) -> Codes | None:
        """Do as `decode`, given the sums (height, width, hidden) of what is known."""
        codes = np.empty(base.shape[:2], np.int32)
        parts = (self.table, self.weight, self.out.bias, tables.exp)
        return codes if _decode(base, *parts, coder, codes, cut) else None


@dataclass(frozen=True)
class Tables:
    """Tables of a model: `exp` int64 (2048,), exp(-i / 128) in 2**-20; `log` of the encoder."""

    exp: npt.NDArray[np.int64]
    log: npt.NDArray[np.int32]


def exp_table() -> npt.NDArray[np.int64]:
    """Return the table of exp that a model carries."""
    return np.round(2.0**20 * np.exp(-np.arange(2048) / 128)).astype(np.int64)


@inlined
def _note(
    base: Sums,
    table: npt.NDArray[np.int32],
    weight: npt.NDArray[np.int32],
    bias: npt.NDArray[np.int32],
    exp: npt.NDArray[np.int64],
    codes: Codes,
    y: int,
    x: int,
    hidden: npt.NDArray[np.int32],
    logits: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int64],
) -> None:
    """Write the ends of all codes' intervals at a place, int64 (K + 1,); others are room."""
    width = base.shape[1]
    for h in range(len(hidden)):
        hidden[h] = base[y, x, h]
    for t in range(4):
        ny = y - 1 if t < 3 else y
        nx = x - 1 + t if t < 3 else x - 1
        if ny >= 0 and 0 <= nx < width:
            row = table[t, codes[ny, nx]]
            for h in range(len(hidden)):
                hidden[h] += row[h]
    for k in range(len(logits)):
        logits[k] = bias[k]
    for h in range(len(hidden)):
        whole = (hidden[h] + grid.HALF) >> grid.WEIGHT_BITS
        whole = max(whole, whole >> grid.LEAK_SHIFT)
        value = np.int32(min(max(whole, -LIMIT), LIMIT))
        row = weight[h]
        for k in range(len(logits)):
            logits[k] += value * row[k]
    top = logits[0]
    for k in range(len(logits)):
        top = max(top, logits[k])
    total = np.int64(0)
    for k in range(len(logits)):
        ends[k] = total
        total += exp[min((np.int64(top) - logits[k]) >> 7, 2047)]
    ends[len(logits)] = total
    free = np.int64(ans.TOTAL - len(logits))
    for k in range(len(logits) + 1):
        ends[k] = ends[k] * free // total + k


@kernel
def _choose(
    base: Sums,
    table: npt.NDArray[np.int32],
    weight: npt.NDArray[np.int32],
    bias: npt.NDArray[np.int32],
    exp: npt.NDArray[np.int64],
    wanted: Values,
    book: npt.NDArray[np.int32],
    rate: int,
    log: npt.NDArray[np.int32],
    codes: Codes,
    intervals: npt.NDArray[np.int32],
) -> None:
    height, width, size = base.shape
    count = len(book)
    hidden, logits = np.empty(size, np.int32), np.empty(count, np.int32)
    ends = np.empty(count + 1, np.int64)
    for y in range(height):
        for x in range(width):
            _note(base, table, weight, bias, exp, codes, y, x, hidden, logits, ends)
            best, least = 0, np.int64(1) << 62
            for k in range(count):
                cost = np.int64(0)
                for d in range(book.shape[1]):
                    gap = wanted[y, x, d] - book[k, d]
                    cost += gap * gap
                cost = (cost << 8) + rate * (16 * ans.PRECISION - log2(ends[k + 1] - ends[k], log))
                if cost < least:
                    best, least = k, cost
            codes[y, x] = best
            at = y * width + x
            intervals[at, 0] = ends[best]
            intervals[at, 1] = ends[best + 1] - ends[best]


@kernel
def _decode(
    base: Sums,
    table: npt.NDArray[np.int32],
    weight: npt.NDArray[np.int32],
    bias: npt.NDArray[np.int32],
    exp: npt.NDArray[np.int64],
    coder: ans.Coder,
    codes: Codes,
    cut: bool,
) -> bool:
    height, width, size = base.shape
    words, place, state = coder.words, coder.place, coder.state
    hidden, logits = np.empty(size, np.int32), np.empty(len(bias), np.int32)
    ends = np.empty(len(bias) + 1, np.int64)
    for y in range(height):
        for x in range(width):
            if cut and ans.is_starved(place, state, 0):
                return False
            _note(base, table, weight, bias, exp, codes, y, x, hidden, logits, ends)
            quantile = ans.peek(state, 0)
            low, high = 0, len(bias)
            while high - low > 1:
                middle = (low + high) >> 1
                if ends[middle] <= quantile:
                    low = middle
                else:
                    high = middle
            ans.pop(words, place, state, 0, ends[low], ends[low + 1] - ends[low])
            codes[y, x] = low
    return True
