"""Decode an `.idfz` file as `idfzip/FORMAT.md` says, in plain Python: slow, a proof of the text.

Section 3.7, learning, is in `reference_learning.py`.
Usage: `python scripts/reference_decoder.py FILE.idfz MODEL.idfm... > pixels.ppm`
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reference_learning import Learner, clamp

TOTAL = 1 << 24
Table = list[int]


class Reader:
    """Numbers from bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        self.at += count
        if self.at > len(self.data):
            raise ValueError("file is cut")
        return self.data[self.at - count : self.at]

    def little(self, count: int) -> int:
        """Return a little-endian number of `count` bytes."""
        return int.from_bytes(self.take(count), "little")

    def number(self) -> int:
        """Return a number of seven bits a byte."""
        byte = self.little(1)
        return byte if byte < 128 else byte - 128 + (self.number() << 7)


class Model:
    """Tensors of an `.idfm` file as nested lists, and its identity."""

    def __init__(self, data: bytes) -> None:
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__")
        self.tensors: dict[str, Any] = {}
        digest = hashlib.sha256()
        names = {"I16": ("h", "int16"), "I32": ("i", "int32"), "I64": ("q", "int64")}
        for name in sorted(header):
            entry = header[name]
            code, dtype = names[entry["dtype"]]
            begin, end = entry["data_offsets"]
            raw = data[8 + length + begin : 8 + length + end]
            shape = entry["shape"]
            digest.update(f"{name}\0{dtype}\0{'x'.join(map(str, shape))}\0".encode() + raw)
            flat = list(struct.unpack(f"<{math.prod(shape)}{code}", raw))
            rows = range(0, len(flat), shape[-1])
            self.tensors[name] = [flat[i : i + shape[1]] for i in rows] if shape[1:] else flat
        digest.update(metadata["decoding"].encode())
        self.hash = digest.digest()[:8]
        facts = json.loads(metadata["decoding"])
        self.channels, self.layers = facts["channels"], facts["layers"]
        self.learning = facts.get("learning", (0, 0, 1))

    def __getitem__(self, name: str) -> Any:
        return self.tensors[name]


def decayed(v: int) -> int:
    """Return 27/32 of a sum."""
    return v - (v >> 3) - (v >> 5)


def log2(value: int, table: Table) -> int:
    """Return 16 log2 of an integer."""
    v = max(value, 1)
    exponent = v.bit_length() - 1
    return 16 * exponent + table[((v << 6) >> exponent) & 63]


def bounded(value: float) -> float:
    """Return a prediction within +-512; what is not a number becomes -512."""
    return min(value if value > -512.0 else -512.0, 512.0)


class Plane:
    """A plane that answers for neighbours outside the tile."""

    def __init__(self, height: int, width: int, constant: int) -> None:
        self.width, self.constant = width, constant
        self.rows = [[constant] * width for _ in range(height)]

    def get(self, y: int, x: int) -> int:
        """Return the value at (y, x) by the rule of FORMAT.md."""
        if y < 0:
            x, y = x + 2 * y, 0
        if x < 0:
            x, y = 0, y - 1
        if y < 0:
            return self.constant
        return self.rows[y][min(x, self.width - 1)]


class Ans:
    """The decoder of one stream."""

    def __init__(self, data: bytes) -> None:
        self.words = list(struct.unpack(f"<{len(data) // 4}I", data))
        self.state = 0
        for _ in self.words[:2]:
            self.state = self.state << 32 | self.words.pop(0)

    def quantile(self) -> int:
        """Return where in 2**24 the next symbol lies."""
        return self.state % TOTAL

    def pop(self, cumulative: int, frequency: int) -> None:
        """Remove a symbol."""
        self.state = (self.state >> 24) * frequency + self.quantile() - cumulative
        if self.state < 1 << 32 and self.words:
            self.state = self.state << 32 | self.words.pop(0)


class TileDecoder:
    """One tile of the flagship codec."""

    def __init__(self, model: Model, height: int, width: int, stream: bytes) -> None:
        self.model, self.height, self.width = model, height, width
        self.channels = model.channels
        self.planes = [Plane(height, width, 0 if c else 128) for c in range(self.channels)]
        self.errors = [Plane(height, width, 0) for _ in range(self.channels)]
        self.ans = Ans(stream)
        self.learner = Learner(model.tensors, self.channels, model.layers, *model.learning)
        self.m = len(model["design.regressors"])
        self.n = self.m + self.channels
        self.terms = self.n * (self.n + 1) // 2 + 1 + self.channels
        self.zero = [0] * self.terms
        self.row_sums: dict[tuple[int, int], list[int]] = {}
        self.above_sums: dict[tuple[int, int], list[int]] = {}

    def decode(self) -> list[Plane]:
        """Return the planes."""
        for t in range(self.width + 2 * (self.height - 1)):
            first = max(0, (t - self.width + 2) >> 1)
            group = [(y, t - 2 * y) for y in range(first, min(self.height - 1, t >> 1) + 1)]
            states = [self.prepare(y, x) for y, x in group]
            for c in range(self.channels):
                for (y, x), state in zip(group, states, strict=True):
                    self.code(y, x, c, state)
            for y, x in group:
                self.learn(y, x)
            self.learner.follow(states)
        if self.ans.state or self.ans.words:
            raise ValueError("stream does not end with its pixels")
        return self.planes

    def base(self, c: int, y: int, x: int) -> int:
        """Return the mean of the four nearest neighbours."""
        get = self.planes[c].get
        return (get(y, x - 1) + get(y - 1, x) + get(y - 1, x - 1) + get(y - 1, x + 1) + 2) >> 2

    def neighbours(self, y: int, x: int) -> list[int]:
        """Return the neighbours' part of the sample."""
        return [
            clamp(self.planes[c].get(y + dy, x + dx) - self.base(c, y, x), -255, 255)
            for c, dy, dx in self.model["design.regressors"]
        ]

    def learn(self, y: int, x: int) -> None:
        """Add the pixel's sample to its row's sums."""
        f = self.neighbours(y, x)
        own = range(self.channels)
        f += [clamp(self.planes[c].get(y, x) - self.base(c, y, x), -255, 255) for c in own]
        product = [256 * f[i] * f[j] for i in range(self.n) for j in range(i + 1)] + [256]
        product += [256 * min(abs(error.get(y, x)) >> 2, 8191) for error in self.errors]
        old = self.row_sums.get((y, x - 1), self.zero)
        self.row_sums[y, x] = [decayed(a) + p for a, p in zip(old, product, strict=True)]

    def sums(self, y: int, x: int) -> Iterator[tuple[int, int]]:
        """Yield for each term the sum of row y, and of its product (0 outside the tile)."""
        if y < 0 or not 0 <= x < self.width:
            return iter([(0, 0)] * self.terms)
        now = self.row_sums[y, x]
        old = self.row_sums.get((y, x - 1), self.zero)
        return iter([(a, a - decayed(b)) for a, b in zip(now, old, strict=True)])

    def window(self, y: int, x: int) -> list[int]:
        """Return the sums of the pixel's window."""
        before = self.above_sums.get((y - 1, x), self.zero)
        three = [self.sums(y - 2, x + k) for k in range(3)]
        d = [
            f + decayed(p1 + decayed(p2)) + decayed(b)
            for (f, _), (_, p1), (_, p2), b in zip(*three, before, strict=True)
        ]
        self.above_sums[y, x] = d
        left = self.row_sums.get((y, x - 1), self.zero)
        rest = zip(left, self.sums(y - 1, x), self.sums(y - 1, x + 1), d, strict=True)
        return [a + f + decayed(p) + decayed(k) for a, (f, _), (_, p), k in rest]

    def solve(self, total: list[int], sample: list[int]) -> list[list[float]]:
        """Eliminate; return the rows, the last of which is the sample's."""
        m, n = self.m, self.n
        a = [[float(total[i * (i + 1) // 2 + j]) for j in range(i + 1)] for i in range(n)]
        ridge = float(self.model["design.ridge"][0] * 256)
        for i in range(n):
            a[i][i] = a[i][i] + (a[i][i] * 0.0078125 + ridge)
        a.append([float(v) for v in sample] + [0.0] * self.channels)
        for j in range(n):
            a[j][j] = a[j][j] if a[j][j] > 256.0 else 256.0
            inverse = 1.0 / a[j][j]
            rows = n + 1 if j < m else n
            column = [0.0] * (n + 1)
            for i in range(j + 1, rows):
                column[i] = a[i][j]
                a[i][j] = a[i][j] * inverse
            for i in range(j + 1, rows):
                for k in range(j + 1, min(i, n - 1) + 1):
                    a[i][k] = a[i][k] - a[i][j] * column[k]
        return a

    def prepare(self, y: int, x: int) -> dict[str, Any]:
        """Return what is known of a pixel before its channels: solution, scales, head's inputs."""
        model, channels, m, n = self.model, self.channels, self.m, self.n
        log = model["tables.log"]
        total = self.window(y, x)
        a = self.solve(total, self.neighbours(y, x))
        count = total[n * (n + 1) // 2] + 256
        inputs: list[int] = []
        scales = []
        for c in range(channels):
            sizes = [abs(self.errors[c].get(y + dy, x + dx)) for dy, dx in model["design.places"]]
            near = sum(size * (2 if k < 2 else 1) for k, size in enumerate(sizes))
            wide = (total[n * (n + 1) // 2 + 1 + c] << 5) // count
            scale = clamp(((log2(near + wide + 128, log) + 2) >> 2) - 28, 0, 51)
            scales.append(scale)
            gain, mean = model["tables.gain"][scale], self.base(c, y, x)
            near_by = [self.planes[c].get(y + dy, x + dx) for dy, dx in model["design.neighbours"]]
            inputs += [((v - mean) * gain + 512) >> 10 for v in near_by]
            errors = [self.errors[c].get(y + dy, x + dx) for dy, dx in model["design.places"]]
            inputs += [(e * gain + 32768) >> 16 for e in errors]
            pivot = a[m + c][m + c]
            power = int(pivot) if pivot < 1e12 else 10**12
            level = 8 * (scale - 12)
            inputs += [mean if c else mean - 128, 2 * (log2(near + 32, log) - 144) - level]
            inputs += [2 * (log2(wide + 8, log) - 144) - level]
            inputs += [log2(power, log) - log2(count, log) - level, level]
            if c == 0:
                lead = math.floor(bounded(-a[n][m]) * 64.0 + 0.5)
                inputs.append((lead * gain + 32768) >> 16)
        values = [[clamp(v, -511, 511) for v in inputs]]
        for i in range(model.layers):
            values.append(self.layer(values[-1], f"trunk.{i}", True))
        lists: dict[str, Any] = {name: [] for name in ("seen", "z", "hidden", "slopes")}
        return {"a": a, "scales": scales, "values": values, **lists}

    def layer(self, values: list[int], name: str, activate: bool) -> list[int]:
        """Return a layer's outputs."""
        sums: list[int] = self.learner.tensors[f"{name}.bias"]
        for value, weights in zip(values, self.learner.tensors[f"{name}.weight"], strict=True):
            sums = [s + value * w for s, w in zip(sums, weights, strict=True)] if value else sums
        if not activate:
            return sums
        whole = [(s + 128) >> 8 for s in sums]
        return [clamp(max(w, w >> 3), -511, 511) for w in whole]

    def code(self, y: int, x: int, c: int, state: dict[str, Any]) -> None:
        """Decode one value."""
        model, a, m, n = self.model, state["a"], self.m, self.n
        value = -a[n][m + c]
        for k in range(c):
            value = value + a[m + c][m + k] * state["z"][k]
        value = bounded(value)
        base = self.base(c, y, x)
        low = -self.planes[0].get(y, x) if c else 0
        mean = clamp(math.floor(value * 64 + 0.5) + 64 * base, 64 * low, 64 * (low + 255))
        scale = state["scales"][c]
        hidden = self.layer(state["values"][-1] + state["seen"], f"heads.{c}", True)
        mixture = self.mixture(self.layer(hidden, f"outs.{c}", False), scale, mean)
        quantile = self.ans.quantile()
        below, above = low, low + 256
        while above - below > 1:
            middle = (below + above) >> 1
            if self.cumulative(middle, low, mixture) <= quantile:
                below = middle
            else:
                above = middle
        lower = self.cumulative(below, low, mixture)
        self.ans.pop(lower, self.cumulative(above, low, mixture) - lower)
        self.planes[c].rows[y][x] = below
        slopes = self.learner.slopes(below, low, mixture, model["tables.span"][scale])
        state["hidden"].append(hidden)
        state["slopes"].append(slopes)
        error = 64 * below - mean
        self.errors[c].rows[y][x] = error
        state["z"].append(clamp(below - base, -255, 255) - value)
        gain = model["tables.gain"][scale]
        size = (abs(error) * gain + 32768) >> 16
        log = 2 * log2(size + 4, model["tables.log"]) - 160
        seen = [(error * gain + 32768) >> 16, size, log]
        state["seen"] += [clamp(v, -511, 511) for v in seen]

    def mixture(self, sums: list[int], scale: int, mean: int) -> list[tuple[int, int, int]]:
        """Return weight, mean and inverse scale of each logistic."""
        model, count = self.model, len(sums) // 3
        logits, means, spreads = sums[:count], sums[count : 2 * count], sums[2 * count :]
        top = max(logits)
        parts = [model["tables.exp"][min((top - v) >> 7, 2047)] for v in logits]
        weights = [(p << 14) // sum(parts) for p in parts]
        weights[logits.index(top)] += (1 << 14) - sum(weights)
        span, inverse = model["tables.span"][scale], model["tables.inverse"]
        return [
            (
                w,
                mean + ((u * span + (1 << 17)) >> 18),
                inverse[clamp(4 * scale + 24 + ((s + 512) >> 10), 0, 207)],
            )
            for w, u, s in zip(weights, means, spreads, strict=True)
        ]

    def cumulative(self, value: int, low: int, mixture: list[tuple[int, int, int]]) -> int:
        """Return the frequency of all values below `value`."""
        if value <= low:
            return 0
        if value >= low + 256:
            return TOTAL
        level, place = self.learner.level, self.learner.place
        mass = sum(w * level(place(value, mean, inverse)) for w, mean, inverse in mixture)
        return ((mass * (TOTAL - 256)) >> 36) + value - low


def decode(data: bytes, models: list[Model]) -> tuple[int, int, int, bytes]:
    """Return channels, height, width and pixels; for a stored file 0, 0, 0 and its bytes."""
    reader = Reader(data)
    if reader.take(5) != b"\x8aIDZ\0":
        raise ValueError("not an .idfz file of version 0")
    tag = b""
    while tag != b"I":
        start = reader.at
        tag = reader.take(1)
        section = Reader(reader.take(reader.number()))
        if zlib.crc32(data[start : reader.at]) != reader.little(4):
            raise ValueError(f"section {tag!r} is damaged")
        if tag.isupper() and tag != b"I":
            raise ValueError(f"section {tag!r} is not known")
    kind, _ = section.little(1), section.little(1)
    if kind == 0:
        stored = reader.take(section.number())
        if zlib.crc32(stored) != section.little(4):
            raise ValueError("stored file is damaged")
        return 0, 0, 0, stored
    width, height = section.number(), section.number()
    flags = section.little(1)
    columns, rows = (section.number(), section.number()) if flags & 1 else (width, height)
    hashes = [section.take(8) for _ in range(flags >> 4)]
    pixels = bytearray(width * height * kind)
    places = [(y, x) for y in range(0, height, rows) for x in range(0, width, columns)]
    for index, (top, left) in enumerate(places):
        first, _ = section.little(1), section.little(1)
        length, crc = section.number(), section.little(4)
        h, w = min(rows, height - top), min(columns, width - left)
        body = bytearray(reader.take(length))
        if first & 15:
            model = next(m for m in models if m.hash == hashes[first >> 4])
            planes = [p.rows for p in TileDecoder(model, h, w, bytes(body)).decode()]
            body = bytearray()
            for y in range(h):
                for x in range(w):
                    v = [plane[y][x] for plane in planes]
                    body += bytes(v if kind == 1 else [v[1] + v[0], v[0], v[2] + v[0]])
        if zlib.crc32(bytes(body), zlib.crc32(struct.pack("<I", index))) != crc:
            raise ValueError(f"tile {index} is damaged")
        for y in range(h):
            at = ((top + y) * width + left) * kind
            pixels[at : at + w * kind] = body[y * w * kind : (y + 1) * w * kind]
    if flags & 1 and zlib.crc32(pixels) != section.little(4):
        raise ValueError("image is damaged")
    return kind, height, width, bytes(pixels)


def main(data: bytes, models: list[Model]) -> None:
    """Decode a file with these models onto standard output."""
    channels, height, width, pixels = decode(data, models)
    head = f"P{5 if channels == 1 else 6}\n{width} {height}\n255\n" if channels else ""
    sys.stdout.buffer.write(head.encode() + pixels)


if __name__ == "__main__":
    file, *names = map(Path, sys.argv[1:])
    main(file.read_bytes(), [Model(name.read_bytes()) for name in names])
