"""Palettes: their bytes in order, bit by bit, by what a model has seen in other palettes.

The histories of a model, hashed by the colours before, are its dictionary: of a palette that many
images share (or of a part of it in the same order) each entry follows from the one before. For
other palettes the differences to the entry before count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.codecs.decisions import Intervals, Port, decide
from idfzip.integer.jit import inlined, kernel
from idfzip.integer.logistic import REACH, Tables
from idfzip.priors import adaptive

BITS = (10, 13, 14, 16, 13, 12, 12, 15)
"""Bits of the index of each context's histories."""

RATE, MAP_SHIFT = 6, 5
Array = npt.NDArray[np.int32]


class Learned(NamedTuple):
    """What a model knows and coding changes.

    `histories` uint8 (sum of 2**BITS,); int32 `maps` (8, 256) and `weights` (32, 9), one for each
    bit of each channel.
    """

    histories: npt.NDArray[np.uint8]
    maps: Array
    weights: Array


@dataclass(frozen=True)
class Palettes:
    """Tables and learned state for palettes."""

    tables: Tables
    histories: npt.NDArray[np.int16]
    learned: Learned


def untrained() -> Learned:
    """Return what training begins with."""
    return Learned(
        np.zeros(sum(1 << bits for bits in BITS), np.uint8),
        np.tile(adaptive.first_map(), (len(BITS), 1)),
        np.full((32, len(BITS) + 1), 20000, np.int32),
    )


def walk(
    model: Palettes, palette: npt.NDArray[np.int64], port: Port, learned: Learned
) -> tuple[Intervals, Learned]:
    """Code a palette, int64 (K, 3 or 4), or fill it where the port reads; see `categories.walk`."""
    noted = np.empty((8 * palette.size, 2), np.int32)
    state = Learned(learned.histories.copy(), learned.maps.copy(), learned.weights.copy())
    after = model.histories.astype(np.uint8)
    _walk(palette, port, noted, state, np.array(BITS, np.int64), after, model.tables)
    return noted[: port.used[0]], state


@inlined
def _joined(hashed: np.uint64, value: int) -> np.uint64:
    return ((hashed ^ (hashed >> np.uint64(32))) ^ np.uint64(value)) * np.uint64(adaptive.HASH)


@kernel
def _walk(
    palette: npt.NDArray[np.int64],
    port: Port,
    noted: Intervals,
    state: Learned,
    bits: npt.NDArray[np.int64],
    after: npt.NDArray[np.uint8],
    tables: Tables,
) -> None:
    squash, stretch = tables.squash, tables.stretch
    count = len(bits)
    channels = palette.shape[1]
    inputs = np.zeros(count + 1, np.int64)
    inputs[count] = 256
    hashes = np.zeros(count, np.uint64)
    places = np.zeros(count, np.int64)
    last = np.zeros(channels, np.int64)
    before = np.zeros(channels, np.int64)
    for k in range(len(palette)):
        for c in range(channels):
            mine = palette[k]
            step = mine[c - 1] - last[c - 1] if c else 0
            same = 1
            for i in range(c):
                same = same << 1 | int(mine[i] == last[i])
            rise = last[c] - before[c]
            for i in range(count):
                hashes[i] = _joined(np.uint64(4 * i + c + 1), 1)
            hashes[1] = _joined(_joined(hashes[1], last[c]), same)
            for i in range(c):
                hashes[2] = _joined(hashes[2], mine[i])
                hashes[3] = _joined(hashes[3], mine[i])
            for i in range(channels):
                hashes[3] = _joined(hashes[3], last[i])
            hashes[4] = _joined(_joined(hashes[4], last[c]), step + 256)
            hashes[5] = _joined(hashes[5], min(max(last[c] + step, 0), 255))
            hashes[6] = _joined(hashes[6], min(max(last[c] + rise, 0), 255))
            hashes[7] = _joined(hashes[7], k)
            prefix = 1
            for b in range(8):
                start = 0
                for i in range(count):
                    mixed = _joined(hashes[i], prefix)
                    places[i] = start + np.int64(mixed >> np.uint64(64 - bits[i]))
                    start += 1 << bits[i]
                    history = state.histories[places[i]]
                    inputs[i] = stretch[state.maps[i, history] >> 6]
                row = state.weights[8 * c + b]
                logit = adaptive.mixed(inputs, row)
                chance = adaptive.kept(int(squash[logit + REACH]))
                bit = decide((mine[c] >> (7 - b)) & 1, chance, port, noted)
                adaptive.learn(inputs, row, ((bit << 16) - int(squash[logit + REACH])) * RATE)
                for i in range(count):
                    history = state.histories[places[i]]
                    guess = int(state.maps[i, history])
                    state.maps[i, history] += ((bit << 22) - bit - guess) >> MAP_SHIFT
                    state.histories[places[i]] = after[history, bit]
                prefix = prefix << 1 | bit
            palette[k, c] = prefix & 255
        for c in range(channels):
            before[c] = last[c]
            last[c] = palette[k, c]
