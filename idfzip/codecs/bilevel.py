"""Planes of two values, by nested templates of up to 60 pixels whose guesses are mixed.

The template of JBIG2's generic regions (ITU-T T.88, section 6.2) has 16 pixels and one adaptive
guess. Here eight templates, each holding the ones before it, have a counter for each of their
contexts (adaptive, hashed where they are many); two small networks mix the guesses, one chosen by
the nearest pixels, one by how well the larger contexts are known. Tries on 1,700 rows of five
scanned pages (jbig2-042, lucasta, feyn, arabic, pageseg1), bytes:

| templates | bytes |
| --- | --- |
| 8, 12, 22, 36 pixels, one network | 137,106 |
| 8, 12, 16, 22, 30, 40 | 134,655 |
| 8, 12, 16, 20, 24, 32, 44, 60 | 130,840 |
| the same, two networks | 129,072 |
| 8, 11, 14, 18, 22, 26, 32, 38, 46, 54, 62 | 128,521 |
| the 8 of rows of pixels, one counter for blank surroundings (taken) | 128,408 |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.codecs.decisions import Intervals, Port, decide
from idfzip.integer.jit import inlined, kernel
from idfzip.integer.logistic import ONE, REACH, Tables
from idfzip.priors import adaptive

TEMPLATES = (
    (2, 2, 0),
    (2, 2, 2),
    (3, 3, 2, 0),
    (3, 3, 3, 1),
    (4, 3, 3, 2, 0),
    (5, 4, 3, 3, 1, 0),
    (6, 5, 4, 4, 2, 1, 0),
    (7, 6, 5, 5, 4, 2, 1, 0),
)
"""The reach of each template in the pixel's own row, to the left, and in those above, to both
sides: 8, 12, 16, 20, 24, 32, 44 and 60 pixels."""

SIZES = tuple(reach[0] + sum(2 * r + 1 for r in reach[1:]) for reach in TEMPLATES)
ROWS, COLUMNS = 8, 8
"""Rows that a window holds, the pixel's own one among them, and columns around a plane."""

INPUTS = 2 * len(SIZES) + 1
KNOWN = 5
"""Templates, the largest ones, whose knowledge chooses the second network."""

KEPT = 2
"""Templates, the smallest ones, whose counters a model carries."""

NEAR = 8
"""Bits of the context that chooses the first network and the correction."""

MOST_SIZE = 62
"""Most pixels of a template."""

MOST_BITS, LEAST_BITS = 22, 12
LIMIT = 255
RATE = 6
Array = npt.NDArray[np.int32]


def reaches() -> npt.NDArray[np.int16]:
    """Return the templates as a model has them, int16 (8, 8); -1 where a row is not seen."""
    return np.array([reach + (-1,) * (ROWS - len(reach)) for reach in TEMPLATES], np.int16)


class Learned(NamedTuple):
    """What a model knows and coding changes, int32.

    `counters` (2**8 + 2**12,), `near` (256, 17) and `known` (243, 17) weights in 2**-16,
    `corrections` (256, 33).
    """

    counters: Array
    near: Array
    known: Array
    corrections: Array


def untrained(tables: Tables) -> Learned:
    """Return what training begins with."""
    weights = np.zeros((1 << NEAR, INPUTS), np.int32)
    weights[:, : INPUTS - 1 : 2] = 16000
    return Learned(
        np.full(sum(1 << size for size in SIZES[:KEPT]), adaptive.FRESH, np.int32),
        weights,
        weights[: 3**KNOWN].copy(),
        adaptive.first_corrections(tables.squash, 1 << NEAR),
    )


@dataclass(frozen=True)
class Bilevel:
    """Tables and learned state for planes of two values; `squash` is what `tables` come from."""

    squash: npt.NDArray[np.int64]
    tables: Tables
    rates: Array
    reaches: npt.NDArray[np.int16]
    learned: Learned


def bits_of(pixels: int) -> npt.NDArray[np.int64]:
    """Return the bits of the index of each template's counters, for a plane of so many pixels."""
    most = min(max(pixels.bit_length() + 1, LEAST_BITS), MOST_BITS)
    return np.array([min(size, most) for size in SIZES], np.int64)


def walk(model: Bilevel, plane: Array, port: Port, noted: Intervals, learned: Learned) -> Learned:
    """Code a plane, int32 (height, width) of 0 and 1, or fill it where the port reads.

    `noted` has room for a row for each pixel and one more. Returns the state after the plane, a
    new one; `learned` stays.
    """
    height, width = plane.shape
    flip = decide_flip(plane, port, noted)
    wide = np.zeros((height + ROWS - 1, width + 2 * COLUMNS), np.uint8)
    inside = wide[ROWS - 1 :, COLUMNS : COLUMNS + width]
    if not port.reading[0]:
        inside[:] = plane ^ flip
    state = Learned(*(array.copy() for array in learned))
    bits = bits_of(plane.size)
    counters = np.full(int((1 << bits).sum()), adaptive.FRESH, np.int32)
    counters[: len(state.counters)] = state.counters
    reaches = model.reaches.astype(np.int64)
    _walk(wide, port, noted, counters, bits, reaches, state, model.tables, model.rates)
    state.counters[:] = counters[: len(state.counters)]
    plane[:] = inside ^ flip
    return state


def decide_flip(plane: Array, port: Port, noted: Intervals) -> int:
    """Code whether ones are the majority; then ones and zeros are exchanged."""
    return int(_flip(int(2 * int(plane.sum()) > plane.size), port, noted))


@kernel
def _flip(bit: int, port: Port, noted: Intervals) -> int:
    return decide(bit, ONE >> 1, port, noted)


@kernel
def _walk(
    wide: npt.NDArray[np.uint8],
    port: Port,
    noted: Intervals,
    counters: Array,
    bits: npt.NDArray[np.int64],
    reaches: npt.NDArray[np.int64],
    state: Learned,
    tables: Tables,
    rates: Array,
) -> None:
    squash, stretch = tables.squash, tables.stretch
    count = len(reaches)
    inputs = np.zeros(2 * count + 1, np.int64)
    inputs[2 * count] = 256
    places = np.zeros(count, np.int64)
    first = np.zeros(count, np.int64)
    sizes = np.zeros(count, np.int64)
    for t in range(count):
        first[t] = first[t - 1] + (1 << bits[t - 1]) if t else 0
        for r in range(ROWS):
            if reaches[t, r] >= 0:
                sizes[t] += 2 * reaches[t, r] + 1 if r else reaches[t, r]
    window = np.zeros(ROWS, np.int64)
    blank = adaptive.FRESH
    for y in range(ROWS - 1, wide.shape[0]):
        for r in range(ROWS):
            window[r] = 0
            for x in range(COLUMNS if r == 0 else 2 * COLUMNS):
                window[r] = window[r] << 1 | int(wide[y - r, x])
        for x in range(COLUMNS, wide.shape[1] - COLUMNS):
            # Bit 0 of a row's window is the pixel to the left or, above, COLUMNS - 1 to the right.
            seen = 0
            for r in range(ROWS):
                seen |= window[r]
            if seen == 0:
                chance = adaptive.kept(adaptive.chance(blank))
                bit = decide(int(wide[y, x]), chance, port, noted)
                blank = adaptive.moved(blank, bit, rates, adaptive.MOVES - 1)
                wide[y, x] = bit
                _slide(window, wide, y, x)
                continue
            knowledge = 0
            around = 0
            for t in range(count):
                context = window[0] & ((1 << reaches[t, 0]) - 1)
                for r in range(1, ROWS):
                    reach = reaches[t, r]
                    if reach >= 0:
                        part = (window[r] >> (COLUMNS - 1 - reach)) & ((2 << (2 * reach)) - 1)
                        context = context << (2 * reach + 1) | part
                if sizes[t] > bits[t]:
                    turned = np.uint64(context) * np.uint64(adaptive.HASH)
                    context = np.int64(turned >> np.uint64(64 - bits[t]))
                if t == 0:
                    around = context
                places[t] = first[t] + context
                counter = int(counters[places[t]])
                chance = adaptive.chance(counter)
                moves = counter & 1023
                inputs[2 * t] = stretch[chance]
                inputs[2 * t + 1] = ((chance - 32768) * min(moves, 32)) >> 10
                if t >= count - KNOWN:
                    knowledge = 3 * knowledge + min(moves, 2)
            one, other, row = state.near[around], state.known[knowledge], state.corrections[around]
            logit, rest = adaptive.mixed(inputs, one), adaptive.mixed(inputs, other)
            both = (logit + rest) >> 1
            mean = (int(squash[both + REACH]) + adaptive.corrected(both, row)) >> 1
            bit = decide(int(wide[y, x]), adaptive.kept(mean), port, noted)
            adaptive.learn(inputs, one, ((bit << 16) - int(squash[logit + REACH])) * RATE)
            adaptive.learn(inputs, other, ((bit << 16) - int(squash[rest + REACH])) * RATE)
            adaptive.correct(both, row, bit)
            for t in range(count):
                counters[places[t]] = adaptive.moved(int(counters[places[t]]), bit, rates, LIMIT)
            wide[y, x] = bit
            _slide(window, wide, y, x)


@inlined
def _slide(window: npt.NDArray[np.int64], wide: npt.NDArray[np.uint8], y: int, x: int) -> None:
    """Move the window one pixel to the right."""
    mask = (1 << (2 * COLUMNS)) - 1
    window[0] = (window[0] << 1 | int(wide[y, x])) & ((1 << COLUMNS) - 1)
    for r in range(1, ROWS):
        window[r] = (window[r] << 1 | int(wide[y - r, x + COLUMNS])) & mask
