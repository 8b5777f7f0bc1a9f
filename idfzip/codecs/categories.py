"""Planes of up to 256 categories: is it this value, is it that one, each a mixed decision.

A pixel is found by a row of questions. First come the values that were last seen in the same
surroundings (four sizes of them, the largest first), then those of the neighbours, then all
others, the likeliest by frequency and nearness of colour first. What matters for an answer is
seldom which value is asked for, but what speaks for it: which neighbours and memories name it,
which neighbours are equal, how near its colour is to theirs. Such *traits* lead to counters that a
model has learned from other images; *histories* of the value in its surroundings are of this image
alone. Tries on 120 sprites of four games, bytes of streams:

| | bytes |
| --- | --- |
| nothing learned from other images | 138,380 |
| trained, the rest after 24 questions by equal chances | 128,382 |
| no limit of questions | 125,589 |
| luminance against the gradient's, more surroundings | 124,563 |
| the same without four of nine traits and two of 17 surroundings, 64 questions (taken) | 125,025 |
| the same, without colours | 130,167 |
| and the histories of all training images as well (5 MB of model) | 123,210 |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.codecs.colours import Colours
from idfzip.codecs.decisions import Intervals, Port, choose, decide, roomy
from idfzip.codecs.surroundings import MARGIN, NEIGHBOURS, hashed, place
from idfzip.integer.jit import inlined, kernel
from idfzip.integer.logistic import REACH, Tables
from idfzip.priors import adaptive

NAMED = 8
"""Neighbours, the first ones, whose values are asked for."""

MEMORIES = 4
"""Surroundings, the first ones, whose last value is remembered."""

QUESTIONS = 64
"""Most questions after those; what is left has equal chances."""

TRAITS = 5
TRAIT_BITS = 12
SELECTIONS = 64
LIMIT, MAP_SHIFT, RATE = 255, 7, 6
MOST_BITS, LEAST_BITS = 20, 10

Array = npt.NDArray[np.int32]


class Learned(NamedTuple):
    """What a model knows and coding changes, int32.

    `traits` (5, 4096) counters; `maps` (15, 256), of 22 bits, for the histories of each of the
    surroundings; `stage` and `known` (64, 21), weights in 2**-16; `corrections` (256, 33).
    """

    traits: Array
    maps: Array
    stage: Array
    known: Array
    corrections: Array


def untrained(tables: Tables, contexts: int) -> Learned:
    """Return what training begins with."""
    weights = np.full((SELECTIONS, TRAITS + contexts + 1), 14000, np.int32)
    return Learned(
        np.full((TRAITS, 1 << TRAIT_BITS), adaptive.FRESH, np.int32),
        np.tile(adaptive.first_map(), (contexts, 1)),
        weights,
        weights.copy(),
        adaptive.first_corrections(tables.squash, 1 << 8),
    )


@dataclass(frozen=True)
class Categories:
    """Tables and learned state for planes of categories."""

    tables: Tables
    rates: Array
    histories: npt.NDArray[np.int16]
    surroundings: npt.NDArray[np.int16]
    learned: Learned


def walk(
    model: Categories, plane: Array, port: Port, known: Colours, learned: Learned
) -> tuple[Intervals, Learned]:
    """Code a plane, int32 (height, width) in [0, K), or fill it where the port reads.

    Returns the intervals noted and the state after the plane; `learned` stays.
    """
    height, width = plane.shape
    alphabet = len(known.light) - 1
    wide = np.full((height + MARGIN, width + 2 * MARGIN), alphabet, np.int64)
    inside = wide[MARGIN:, MARGIN : MARGIN + width]
    if not port.reading[0]:
        inside[:] = plane
    state = Learned(*(array.copy() for array in learned))
    bits = min(max((4 * plane.size - 1).bit_length(), LEAST_BITS), MOST_BITS)
    histories = np.zeros((len(model.surroundings), 1 << bits), np.uint8)
    memory = np.full((MEMORIES, 1 << bits), alphabet, np.int16)
    noted = _walk(
        wide, port, alphabet, known, histories, memory, bits, state,
        np.array(NEIGHBOURS, np.int64), model.surroundings.astype(np.int64),
        model.histories.astype(np.uint8), model.tables, model.rates,
    )  # fmt: skip
    plane[:] = inside
    return noted[: port.used[0]], state


@inlined
def _size(value: int, most: int) -> int:
    """Return the number of binary digits of a value, 0 or more, at most `most`."""
    digits = 0
    while value > 0 and digits < most:
        value >>= 1
        digits += 1
    return digits


@inlined
def _signed(difference: int) -> int:
    """Return a class of 16 for a difference of luminances."""
    if difference >= 0:
        return _size(difference >> 1, 7)
    return 8 + _size(-difference >> 1, 7)


@kernel
def _walk(
    wide: npt.NDArray[np.int64],
    port: Port,
    alphabet: int,
    known: Colours,
    histories: npt.NDArray[np.uint8],
    memory: npt.NDArray[np.int16],
    bits: int,
    state: Learned,
    offsets: npt.NDArray[np.int64],
    surroundings: npt.NDArray[np.int64],
    after: npt.NDArray[np.uint8],
    tables: Tables,
    rates: Array,
) -> Intervals:
    distance, light = known.distance, known.light
    squash, stretch = tables.squash, tables.stretch
    contexts = len(surroundings)
    inputs = np.zeros(TRAITS + contexts + 1, np.int64)
    inputs[TRAITS + contexts] = 256
    around = np.zeros(len(offsets), np.int64)
    hashes = np.zeros(contexts, np.uint64)
    places = np.zeros(contexts, np.int64)
    traits = np.zeros(TRAITS, np.int64)
    asked = np.full(alphabet + 1, -1, np.int64)
    votes = np.zeros(alphabet + 1, np.int64)
    first = np.zeros(MEMORIES + NAMED, np.int64)
    score = np.zeros(alphabet, np.int64)
    count = np.zeros(alphabet + 1, np.int64)
    noted = np.empty((1024, 2), np.int32)
    pixel = 0
    for y in range(MARGIN, wide.shape[0]):
        for x in range(MARGIN, wide.shape[1] - MARGIN):
            for i in range(len(offsets)):
                around[i] = wide[y + offsets[i, 0], x + offsets[i, 1]]
            for i in range(contexts):
                hashes[i] = hashed(i, around, light, surroundings[i])
            west, north, east, corner = around[0], around[1], around[2], around[3]
            same = int(west == north) | int(west == corner) << 1 | int(north == corner) << 2
            same |= int(north == east) << 3 | int(west == around[4]) << 4
            same |= int(north == around[5]) << 5 | int(west == east) << 6
            same |= int(corner == around[8]) << 7
            low, high = min(light[west], light[north]), max(light[west], light[north])
            expected = min(max(light[west] + light[north] - light[corner], low), high)
            rough = abs(light[west] - light[corner]) + abs(light[north] - light[corner])
            rough = _size((rough + abs(light[north] - light[east])) >> 2, 7)
            # The values that memories and neighbours name, each once, and who names them.
            named = 0
            for i in range(MEMORIES + NAMED):
                if i < MEMORIES:
                    value = int(memory[i, place(hashes[i], alphabet, bits)])
                else:
                    value = int(around[i - MEMORIES])
                if value < alphabet:
                    if asked[value] != pixel:
                        asked[value] = pixel
                        votes[value] = 0
                        first[named] = value
                        named += 1
                    votes[value] |= 1 << i
            noted = roomy(noted, port.used[0], named + QUESTIONS + 1)
            value = int(wide[y, x])
            found = alphabet == 1
            if found:
                value = 0
            rest = alphabet - named
            questions = 0
            while not found:
                if questions < named:
                    guess = int(first[questions])
                    vote = int(votes[guess])
                    turn = 0
                else:
                    if questions == named:
                        for k in range(alphabet):
                            near = distance[k, east] + distance[k, corner]
                            near = distance[k, west] + distance[k, north] + (near >> 1)
                            score[k] = 4 * _size(count[k], 32) - near
                    if questions - named >= QUESTIONS:
                        break
                    guess = -1
                    for k in range(alphabet):
                        if asked[k] != pixel and (guess < 0 or score[k] > score[guess]):
                            guess = k
                    asked[guess] = pixel
                    rest -= 1
                    vote = 0
                    turn = 1 + min((questions - named) >> 1, 6)
                if questions == alphabet - 1:
                    value = guess
                    break
                step = min(questions, 7)
                common = _size(count[guess], 7)
                to_west = min(distance[guess, west] >> 1, 7)
                to_north = min(distance[guess, north] >> 1, 7)
                to_east = min(distance[guess, east] >> 1, 7)
                to_corner = min(distance[guess, corner] >> 1, 7)
                traits[0] = vote & 1023 | min(questions, 3) << 10
                traits[1] = same | step << 8
                traits[2] = to_west | to_north << 3 | common << 6 | turn << 9
                traits[3] = to_east | to_corner << 3 | to_west << 6 | to_north << 9
                traits[4] = _signed(light[guess] - expected) | rough << 4 | turn << 7
                for i in range(TRAITS):
                    inputs[i] = stretch[adaptive.chance(int(state.traits[i, traits[i]]))]
                knowledge = 0
                for i in range(contexts):
                    places[i] = place(hashes[i], guess, bits)
                    history = histories[i, places[i]]
                    inputs[TRAITS + i] = stretch[state.maps[i, history] >> 6]
                    if i < MEMORIES and history:
                        knowledge += 1
                one = state.stage[step if turn == 0 else 8 * turn]
                other = state.known[8 * knowledge + _size(vote >> 4, 7)]
                row = state.corrections[vote & 63 | min(questions, 3) << 6]
                logit, more = adaptive.mixed(inputs, one), adaptive.mixed(inputs, other)
                both = (logit + more) >> 1
                mean = (3 * int(squash[both + REACH]) + adaptive.corrected(both, row)) >> 2
                yes = decide(int(guess == value), adaptive.kept(mean), port, noted)
                adaptive.learn(inputs, one, ((yes << 16) - int(squash[logit + REACH])) * RATE)
                adaptive.learn(inputs, other, ((yes << 16) - int(squash[more + REACH])) * RATE)
                adaptive.correct(both, row, yes)
                for i in range(TRAITS):
                    counter = int(state.traits[i, traits[i]])
                    state.traits[i, traits[i]] = adaptive.moved(counter, yes, rates, LIMIT)
                for i in range(contexts):
                    history = histories[i, places[i]]
                    chance = int(state.maps[i, history])
                    state.maps[i, history] += ((yes << 22) - yes - chance) >> MAP_SHIFT
                    histories[i, places[i]] = after[history, yes]
                questions += 1
                if yes:
                    value = guess
                    found = True
            if not found and questions - named >= QUESTIONS:
                value = _left(value, rest, asked, pixel, port, noted)
            wide[y, x] = value
            count[value] += 1
            for i in range(MEMORIES):
                memory[i, place(hashes[i], alphabet, bits)] = value
            pixel += 1
    return noted


@inlined
def _left(value: int, rest: int, asked: npt.NDArray[np.int64], pixel: int, port: Port,
          noted: Intervals) -> int:  # fmt: skip
    """Code which of the `rest` values that were not asked for it is."""
    rank = 0
    for k in range(value):
        if asked[k] != pixel:
            rank += 1
    rank = choose(rank, rest, port, noted)
    found = 0
    for k in range(len(asked) - 1):
        if asked[k] != pixel:
            if rank == 0:
                found = k
            rank -= 1
    return found
