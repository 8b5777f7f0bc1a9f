"""Categorical priors in whole numbers: rows of frequencies that sum to 2**24.

A base distribution of discrete flows (Tran et al. 2019, arXiv:1905.10347): one row for each
dimension, the same for all, or, autoregressive of first order, one for each value before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idfzip.coding import ans
from idfzip.errors import ModelError

Frequencies = npt.NDArray[np.int64]


def frequencies(probability: npt.NDArray[np.float64]) -> Frequencies:
    """Return rows of whole frequencies, at least 1 each, that sum to 2**24.

    The largest of a row takes what rounding leaves.
    """
    scaled = np.asarray(probability, np.float64)
    share = scaled / scaled.sum(-1, keepdims=True)
    whole: Frequencies = 1 + np.floor(share * (ans.TOTAL - share.shape[-1])).astype(np.int64)
    rest = ans.TOTAL - whole.sum(-1, keepdims=True)
    largest = whole.argmax(-1)[..., None]
    np.put_along_axis(whole, largest, np.take_along_axis(whole, largest, -1) + rest, -1)
    return whole


@dataclass(frozen=True)
class Categorical:
    """A base for rows of D categories; `table` int64 (1 or D, 1 or K + 1, K), frequencies.

    The first axis is the dimension, the second the value before it, K before the first one; an
    axis of 1 is the same for all.
    """

    table: Frequencies

    def __post_init__(self) -> None:
        """Raise ModelError unless every row sums to 2**24 and is positive."""
        if self.table.ndim != 3 or (self.table < 1).any():
            raise ModelError(f"frequencies of shape {self.table.shape}")
        if (self.table.sum(-1) != ans.TOTAL).any() or self.table.shape[1] not in (
            1,
            self.alphabet + 1,
        ):
            raise ModelError(f"frequencies of shape {self.table.shape} do not sum to {ans.TOTAL}")

    @property
    def alphabet(self) -> int:
        """Number of categories."""
        return int(self.table.shape[2])

    def _rows(self, d: int, before: npt.NDArray[np.int64]) -> Frequencies:
        """Return the frequencies, (n, K), of dimension d after values (n,)."""
        rows = self.table[d if len(self.table) > 1 else 0]
        found: Frequencies = rows[before if len(rows) > 1 else np.zeros(len(before), np.int64)]
        return found

    def intervals(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Return lower ends and frequencies, int32 (D * n, 2), of rows (n, D): columns in turn."""
        out = []
        before = np.full(len(values), self.alphabet)
        for d in range(values.shape[1]):
            rows = self._rows(d, before)
            before = values[:, d]
            end = np.take_along_axis(rows.cumsum(1), before[:, None], 1)[:, 0]
            mine = np.take_along_axis(rows, before[:, None], 1)[:, 0]
            out.append(np.stack([end - mine, mine], 1))
        return np.concatenate(out).astype(np.int32)

    def bits(self, values: npt.NDArray[np.int64]) -> float:
        """Return the ideal length of rows (n, D) in bits."""
        frequency = self.intervals(values)[:, 1].astype(np.float64)
        return float((24 - np.log2(frequency)).sum())

    def decode(self, coder: ans.Coder, count: int, size: int) -> npt.NDArray[np.int64]:
        """Return `count` rows of `size` dimensions from the coder's one stream."""
        values = np.empty((count, size), np.int64)
        before = np.full(count, self.alphabet)
        for d in range(size):
            rows = self._rows(d, before)
            ends = rows.cumsum(1)
            for i in range(count):
                value = int(np.searchsorted(ends[i], coder.peek(), side="right"))
                frequency = int(rows[i, value])
                start = int(ends[i, value]) - frequency
                coder.pop(start, frequency)
                values[i, d] = value
            before = values[:, d]
        return values
