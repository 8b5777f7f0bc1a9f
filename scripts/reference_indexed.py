"""Decode an `.idfz` file of the codec of categories as `idfzip/FORMAT.md` says, in plain Python.

All but the tiles and palettes (the container, the coder) is `reference_decoder.py`'s.

Usage: `python scripts/reference_indexed.py FILE.idfz MODEL.idfm... > pixels.pam`
"""

from __future__ import annotations

import struct
from typing import Any

import reference_decoder
from reference_decoder import Model, Reader
from reference_tile import Ans, Plane, TileDecoder

TOTAL = 1 << 24
HASH, WORD = 0x9E3779B97F4A7C15, (1 << 64) - 1
NEIGHBOURS = [(0, -1), (-1, 0), (-1, 1), (-1, -1), (0, -2), (-2, 0)]
NEIGHBOURS += [(-1, 2), (-2, 1), (-1, -2), (-2, -1), (0, -3), (-3, 0)]
Row = list[int]


def joined(hashed: int, value: int) -> int:
    """Return a hash with one value more."""
    return (((hashed ^ hashed >> 32) ^ value) * HASH) & WORD


def digits(value: int, most: int) -> int:
    """Return the number of binary digits, at most `most`."""
    return min(value.bit_length(), most)


class Mixer:
    """The tables, and the parts of section 5.2."""

    def __init__(self, model: Model, stream: bytes) -> None:
        self.ans = Ans(stream)
        self.rates, self.after = model["tables.rates"], model["tables.histories"]
        t = model["tables.squash"] + [0]
        found = [
            (t[i >> 4] * (16 - (i & 15)) + t[(i >> 4) + 1] * (i & 15) + (1 << 19)) >> 20
            for i in range(1, 6144)
        ]
        self.squash = [min(max(v, 1), 65535) for v in found]
        self.stretch: Row = []
        place = 0
        for p in range(1 << 16):
            while place < 6142 and self.squash[place] < p:
                place += 1
            self.stretch.append(place - 3071)

    def decide(self, chance: int) -> int:
        """Return a decision."""
        yes = chance << 8
        bit = int(self.ans.quantile() < yes)
        self.ans.pop(*((0, yes) if bit else (yes, TOTAL - yes)))
        return bit

    def moved(self, counter: int, bit: int, limit: int) -> int:
        """Return a counter after a decision."""
        value, moves = counter >> 10, counter & 1023
        value += (((bit << 21) - bit - value) * int(self.rates[moves])) >> 16
        return value << 10 | min(moves + 1, limit)

    def mixed(self, inputs: Row, weights: Row) -> int:
        """Return a logit."""
        total = sum(a * b for a, b in zip(inputs, weights, strict=True))
        return min(max(total >> 16, -3071), 3071)

    def learn(self, inputs: Row, weights: Row, logit: int, bit: int, rate: int) -> None:
        """Move weights."""
        error = ((bit << 16) - self.squash[logit + 3071]) * rate
        for i, v in enumerate(inputs):
            moved = weights[i] + ((v * error + (1 << 19)) >> 20)
            weights[i] = min(max(moved, -(1 << 23)), 1 << 23)

    def pair(self, inputs: Row, one: Row, other: Row, row: Row, share: int) -> int:
        """Return a decision of two networks and a correction, after which all have learned."""
        a, b = self.mixed(inputs, one), self.mixed(inputs, other)
        both = (a + b) >> 1
        cell, part = divmod(both + 3072, 192)
        guess = (row[cell] * (192 - part) + row[cell + 1] * part) // 192
        mean = ((share - 1) * self.squash[both + 3071] + guess) // share
        bit = self.decide(min(max(mean, 1), 65535))
        self.learn(inputs, one, a, bit, 6)
        self.learn(inputs, other, b, bit, 6)
        near = (both + 3072 + 96) // 192
        row[near] += ((bit << 16) - row[near]) >> 6
        return bit

    def mapped(self, maps: Row, history: int, bit: int, shift: int) -> int:
        """Return a history after a decision, and move its map."""
        maps[history] += ((bit << 22) - bit - maps[history]) >> shift
        return int(self.after[history][bit])


def copied(model: Model, name: str) -> list[Any]:
    """Return a copy of a tensor."""
    return [list(row) if isinstance(row, list) else row for row in model[name]]


class IndexedTileDecoder(TileDecoder):
    """One tile of categories."""

    def __init__(self, model: Model, height: int, width: int, stream: bytes, n: int = 256) -> None:
        self.seen, self.height, self.width, self.alphabet = model, height, width, n
        self.mixer = Mixer(model, stream)

    def decode(self) -> list[Plane]:
        """Return the plane."""
        plane = Plane(self.height, self.width, 0)
        if self.alphabet == 2:
            self.bilevel(plane)
        elif self.alphabet > 2:
            self.categories(plane)
        self.mixer.ans.check_end()
        return [plane]

    def bilevel(self, plane: Plane) -> None:
        """Decode two values."""
        mixer, model = self.mixer, self.seen
        names = ("near", "known", "corrections")
        near, known, corrections = (copied(model, f"bilevel.{name}") for name in names)
        reaches = model["bilevel.reaches"]
        most = min(max((self.height * self.width).bit_length() + 1, 12), 22)
        counters: dict[tuple[int, int], int] = {}
        for i, counter in enumerate(model["bilevel.counters"]):
            counters[(0, i) if i < 256 else (1, i - 256)] = counter
        flip, blank = mixer.decide(1 << 15), 1 << 30
        at: dict[tuple[int, int], int] = {}
        for y in range(self.height):
            for x in range(self.width):

                def seen(dy: int, dx: int, y: int = y, x: int = x) -> int:
                    return at.get((y - dy, x + dx), 0)

                if not any(seen(r, d) for r in range(8) for d in range(-8, 8 if r else 0)):
                    bit = mixer.decide(min(max(blank >> 15, 1), 65535))
                    blank = mixer.moved(blank, bit, 1023)
                else:
                    inputs, places, knowledge = [], [], 0
                    for t, reach in enumerate(reaches):
                        parts = [seen(0, d) for d in range(-reach[0], 0)]
                        for r in range(1, 8):
                            parts += [seen(r, d) for d in range(-reach[r], reach[r] + 1)]
                        context = int("".join(map(str, parts)), 2)
                        if len(parts) > most:
                            context = (context * HASH & WORD) >> (64 - most)
                        places.append((t, context))
                        counter = counters.get(places[t], 1 << 30)
                        chance, moves = counter >> 15, counter & 1023
                        inputs += [mixer.stretch[chance], (chance - 32768) * min(moves, 32) >> 10]
                        if t >= 3:
                            knowledge = 3 * knowledge + min(moves, 2)
                    c = places[0][1]
                    bit = mixer.pair([*inputs, 256], near[c], known[knowledge], corrections[c], 2)
                    for place in places:
                        counters[place] = mixer.moved(counters.get(place, 1 << 30), bit, 255)
                at[y, x] = bit
                plane.rows[y][x] = bit ^ flip

    def colours(self) -> tuple[list[Row], Row]:
        """Return distances and luminances of all values and of the outside."""
        n = self.alphabet
        coded, values = self.seen.side
        entries = palette(self.seen, coded) if coded else []
        if not coded or values[-1] >= len(entries):
            return [[0 if a == b else 8 for b in range(n + 1)] for a in range(n + 1)], [0] * (n + 1)
        entries = [entries[v] for v in values]
        far = [[8] * (n + 1) for _ in range(n + 1)]
        for a, one in enumerate(entries):
            for b, other in enumerate(entries):
                v = 2 + sum(abs(i - j) for i, j in zip(one, other, strict=True))
                e = v.bit_length() - 1
                far[a][b] = min(2 * (e - 1) + int(v * v >= 2 << (2 * e)), 15)
        light = [(2 * c[0] + 5 * c[1] + c[2]) >> 3 if c[3:] != [0] else 0 for c in entries]
        return far, [*light, 128]

    def categories(self, plane: Plane) -> None:
        """Decode three values or more."""
        n, mixer, model = self.alphabet, self.mixer, self.seen
        traits, maps, stage, known, corrections = (
            copied(model, f"categories.{name}")
            for name in ("traits", "maps", "stage", "known", "corrections")
        )
        rows = model["categories.surroundings"]
        far, light = self.colours()
        bits = min(max((4 * self.height * self.width - 1).bit_length(), 10), 20)
        histories: dict[tuple[int, int], int] = {}
        memory: dict[tuple[int, int], int] = {}
        count = [0] * n

        def place(hashed: int, value: int) -> int:
            return ((((hashed ^ hashed >> 32) + value) & WORD) * HASH & WORD) >> (64 - bits)

        for y in range(self.height):
            for x in range(self.width):
                around = [
                    plane.rows[y + dy][x + dx] if y + dy >= 0 and 0 <= x + dx < self.width else n
                    for dy, dx in NEIGHBOURS
                ]
                hashes = []
                for i, row in enumerate(rows):
                    hashed = i + 1
                    for flag, v in zip(row, around, strict=False):
                        if flag:
                            hashed = joined(hashed, light[v] >> row[12] if row[12] else v)
                    hashes.append(hashed)
                w, north, ne, nw = around[:4]
                pairs = [(w, north), (w, nw), (north, nw), (north, ne), (w, around[4])]
                pairs += [(north, around[5]), (w, ne), (nw, around[8])]
                same = sum((a == b) << i for i, (a, b) in enumerate(pairs))
                low, high = sorted((light[w], light[north]))
                expected = min(max(light[w] + light[north] - light[nw], low), high)
                rough = abs(light[w] - light[nw]) + abs(light[north] - light[nw])
                rough = digits((rough + abs(light[north] - light[ne])) >> 2, 7)
                votes: dict[int, int] = {}
                named = [memory.get((i, place(hashes[i], n)), n) for i in range(4)] + around[:8]
                for i, v in enumerate(named):
                    if v < n:
                        votes[v] = votes.get(v, 0) | 1 << i
                scores = []
                for k in range(n):
                    if k not in votes:
                        near = far[k][w] + far[k][north] + ((far[k][ne] + far[k][nw]) >> 1)
                        scores.append((near - 4 * count[k].bit_length(), k))
                order = [*votes, *(k for _, k in sorted(scores))]
                value = -1
                for q, guess in enumerate(order[: len(votes) + 64]):
                    if q == n - 1:
                        value = guess
                        break
                    vote = votes.get(guess, 0)
                    turn = 0 if vote else 1 + min((q - len(votes)) >> 1, 6)
                    step = min(q, 7)
                    close = [min(far[guess][v] >> 1, 7) for v in (w, north, ne, nw)]
                    d = light[guess] - expected
                    sign = digits(d >> 1, 7) if d >= 0 else 8 + digits(-d >> 1, 7)
                    mine = [
                        vote & 1023 | min(q, 3) << 10,
                        same | step << 8,
                        close[0] | close[1] << 3 | digits(count[guess], 7) << 6 | turn << 9,
                        close[2] | close[3] << 3 | close[0] << 6 | close[1] << 9,
                        sign | rough << 4 | turn << 7,
                    ]
                    inputs = [mixer.stretch[traits[i][t] >> 15] for i, t in enumerate(mine)]
                    keys = [(i, place(h, guess)) for i, h in enumerate(hashes)]
                    past = [histories.get(key, 0) for key in keys]
                    inputs += [mixer.stretch[maps[i][h] >> 6] for i, h in enumerate(past)]
                    knowledge = sum(h > 0 for h in past[:4])
                    one = stage[8 * turn if turn else step]
                    other = known[8 * knowledge + digits(vote >> 4, 7)]
                    row = corrections[vote & 63 | min(q, 3) << 6]
                    bit = mixer.pair([*inputs, 256], one, other, row, 4)
                    for i, t in enumerate(mine):
                        traits[i][t] = mixer.moved(traits[i][t], bit, 255)
                    for key, h in zip(keys, past, strict=True):
                        histories[key] = mixer.mapped(maps[key[0]], h, bit, 7)
                    if bit:
                        value = guess
                        break
                if value < 0:
                    rest = sorted(order[len(votes) + 64 :])
                    share = TOTAL // len(rest)
                    r = min(mixer.ans.quantile() // share, len(rest) - 1)
                    last = r == len(rest) - 1
                    mixer.ans.pop(r * share, TOTAL - r * share if last else share)
                    value = rest[r]
                plane.rows[y][x] = value
                count[value] += 1
                for i in range(4):
                    memory[i, place(hashes[i], n)] = value


SIZES = (10, 13, 14, 16, 13, 12, 12, 15)


def palette(model: Model, section: bytes) -> list[Row]:
    """Return the entries of a palette."""
    reader = Reader(section)
    entries, transparent, _ = reader.number(), reader.number(), reader.number()
    if transparent:
        reader.number()
    channels = 4 if transparent else 3
    mixer = Mixer(model, section[reader.at :])
    packed = model["palettes.histories"]
    histories = list(struct.pack(f"<{len(packed)}h", *packed))
    maps, weights = copied(model, "palettes.maps"), copied(model, "palettes.weights")
    starts = [sum(1 << s for s in SIZES[:i]) for i in range(8)]
    found: list[Row] = []
    last, before = [0] * channels, [0] * channels
    for k in range(entries):
        mine: Row = []
        for c in range(channels):
            step = mine[c - 1] - last[c - 1] if c else 0
            same = int("1" + "".join(str(int(a == b)) for a, b in zip(mine, last, strict=False)), 2)
            ahead = [min(max(last[c] + d, 0), 255) for d in (step, last[c] - before[c])]
            seen = [[], [last[c], same], mine, mine + last, [last[c], step + 256]]
            hashes = []
            for i, values in enumerate([*seen, ahead[:1], ahead[1:], [k]]):
                hashed = joined(4 * i + c + 1, 1)
                for v in values:
                    hashed = joined(hashed, v)
                hashes.append(hashed)
            prefix = 1
            for b in range(8):
                places = [
                    starts[i] + (joined(h, prefix) >> (64 - SIZES[i])) for i, h in enumerate(hashes)
                ]
                past = [histories[place] for place in places]
                inputs = [mixer.stretch[maps[i][h] >> 6] for i, h in enumerate(past)] + [256]
                row = weights[8 * c + b]
                logit = mixer.mixed(inputs, row)
                bit = mixer.decide(mixer.squash[logit + 3071])
                mixer.learn(inputs, row, logit, bit, 6)
                for i, place in enumerate(places):
                    histories[place] = mixer.mapped(maps[i], past[i], bit, 5)
                prefix = prefix << 1 | bit
            mine.append(prefix & 255)
        last, before = mine, last
        found.append(mine)
    return found


if __name__ == "__main__":
    reference_decoder.TileDecoder = IndexedTileDecoder  # type: ignore[attr-defined, assignment]
    reference_decoder.main()
