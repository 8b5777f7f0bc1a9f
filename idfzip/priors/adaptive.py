"""Adaptive probabilities of yes-or-no decisions, mixed by small networks that learn online.

As in Mahoney's PAQ (2005, "Adaptive weighing of context models for lossless data compression"):
every context has a guess, the guesses' logits are added with weights that follow the gradient of
the code length, and a last table corrects what the mix gets wrong. All is integer arithmetic.

- A *counter* is a probability in 21 bits and how often it moved in 10: it moves by 1 / (n + 3/2)
  of its error, so it begins as a mean of what was seen and becomes an exponential one.
- A *history* is two counts, of no and of yes, up to 15; a yes shrinks many noes to a few. It is
  looked up in a map from histories to probabilities, which is what is learned.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from idfzip.integer.jit import inlined
from idfzip.integer.logistic import ONE, REACH

Array = npt.NDArray[np.int32]

FRESH = 1 << 30
"""A counter at 1/2 that has not moved."""

HASH = 0x9E3779B97F4A7C15
"""A hash's index is the top bits of the product with this, modulo 2**64."""

MOVES = 1024
"""Most moves that a counter counts, and entries of the table of rates."""

MOST = 15
"""Largest count of a history."""

CELLS = 33
"""Entries of a row of corrections, at logits -3072, -2880, .. 3072."""

_WIDTH = 2 * (REACH + 1) // (CELLS - 1)
CORRECTION_RATE = 6


def rate_table() -> Array:
    """Return the table, int32 (1024,), that a model carries: 2**16 / (n + 3/2)."""
    return ((2 << 16) // (2 * np.arange(MOVES) + 3)).astype(np.int32)


def history_table() -> npt.NDArray[np.int16]:
    """Return the table, int16 (256, 2), that a model carries: histories after a no and a yes.

    A history is 16 noes + yeses. The count of what came grows by 1; of the other, a count v
    above 3 becomes (v + 4) // 3, and 3 becomes 2.
    """
    table = np.empty((256, 2), np.int16)
    for noes in range(16):
        for yeses in range(16):
            table[16 * noes + yeses, 0] = 16 * min(noes + 1, MOST) + _shrunk(yeses)
            table[16 * noes + yeses, 1] = 16 * _shrunk(noes) + min(yeses + 1, MOST)
    return table


def _shrunk(count: int) -> int:
    return (count + 4) // 3 if count > 3 else min(count, 2)


def first_map() -> Array:
    """Return a map for training to begin with, int32 (256,): probabilities in 22 bits."""
    noes, yeses = np.divmod(np.arange(256), 16)
    return ((yeses + 0.4) / (noes + yeses + 0.8) * (1 << 22)).astype(np.int32)


def first_corrections(squash: Array, rows: int) -> Array:
    """Return corrections that correct nothing, int32 (rows, 33)."""
    at = np.clip(_WIDTH * np.arange(CELLS) - 1, 0, 2 * REACH)
    return np.tile(squash[at], (rows, 1)).astype(np.int32)


@inlined
def chance(counter: int) -> int:
    """Return the probability, 0 to 2**16 - 1, of a counter (0 to 2**31 - 1)."""
    return counter >> 15


@inlined
def moved(counter: int, bit: int, rates: Array, limit: int) -> int:
    """Return a counter after a decision; it counts no further than `limit`."""
    moves = counter & 1023
    value = counter >> 10
    value += (((bit << 21) - bit - value) * int(rates[moves])) >> 16
    return value << 10 | min(moves + 1, limit)


@inlined
def mixed(inputs: npt.NDArray[np.int64], weights: Array) -> int:
    """Return the logit that weights, in 1/2**16, give for inputs (n,)."""
    total = 0
    for i in range(len(inputs)):
        total += int(inputs[i]) * int(weights[i])
    return min(max(total >> 16, -REACH), REACH)


@inlined
def learn(inputs: npt.NDArray[np.int64], weights: Array, error: int) -> None:
    """Move weights along the gradient; `error` is that of the probability times a rate.

    Weights stay within +-2**23.
    """
    for i in range(len(inputs)):
        weight = int(weights[i]) + ((int(inputs[i]) * error + (1 << 19)) >> 20)
        weights[i] = min(max(weight, -(1 << 23)), 1 << 23)


@inlined
def corrected(logit: int, row: Array) -> int:
    """Return the probability that a row of corrections has for a logit, between its cells."""
    place = logit + REACH + 1
    cell = place // _WIDTH
    part = place - cell * _WIDTH
    return (int(row[cell]) * (_WIDTH - part) + int(row[cell + 1]) * part) // _WIDTH


@inlined
def correct(logit: int, row: Array, bit: int) -> None:
    """Move the cell nearest to a logit towards what was decided."""
    place = logit + REACH + 1 + _WIDTH // 2
    cell = place // _WIDTH
    row[cell] += ((bit << 16) - int(row[cell])) >> CORRECTION_RATE


@inlined
def kept(chance: int) -> int:
    """Return a probability that can be coded: neither 0 nor 1."""
    return min(max(chance, 1), ONE - 1)
