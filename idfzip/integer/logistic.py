"""The logistic function and its inverse in whole numbers, for the mixing of probabilities.

A probability is p / 2**16 with 1 <= p < 2**16; its logit is s / 256 with |s| <= 3071, about 12.
A model carries `squash` at every 16th logit; what lies between is found on a straight line, and
the inverse is the least logit whose probability is not below.

>>> tables = expand(squash_table())
>>> int(tables.squash[REACH]), int(tables.stretch[1 << 15])
(32768, 0)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

REACH = 3071
"""Largest size of a logit."""

STEP = 16
ENTRIES = 385
"""A table's entries stand for the logits -3072, -3056, .. 3072."""

ONE = 1 << 16


class Tables(NamedTuple):
    """`squash` int32 (6143,): probability of logit i - 3071; `stretch` int16 (2**16,)."""

    squash: npt.NDArray[np.int32]
    stretch: npt.NDArray[np.int16]


def squash_table() -> npt.NDArray[np.int64]:
    """Return the table, int64 (385,), that a model carries: 2**32 times the probabilities."""
    logits = np.arange(-REACH - 1, REACH + 2, STEP) / 256
    return np.round((1 << 32) / (1 + np.exp(-logits))).astype(np.int64)


def expand(table: npt.NDArray[np.int64]) -> Tables:
    """Return the tables for coding; `table` rises from 0 or more to at most 2**32."""
    place = np.arange(1, 2 * REACH + 2)
    low, part = place // STEP, place % STEP
    between = table[low] * (STEP - part) + table[np.minimum(low + 1, ENTRIES - 1)] * part
    squash = np.clip((between + (1 << 19)) >> 20, 1, ONE - 1).astype(np.int32)
    stretch = np.minimum(np.searchsorted(squash, np.arange(ONE)), 2 * REACH) - REACH
    return Tables(squash, stretch.astype(np.int16))
