"""Section 3.7 of `idfzip/FORMAT.md`, learning, in plain Python; used by `reference_decoder.py`."""

from __future__ import annotations

import math
import struct
from typing import Any

PERIOD, BLOCK, REACH, BIAS_REACH = 128, 256, 64, 1 << 14
END = 16 << 15
Mixture = list[tuple[int, int, int]]


def single(value: float) -> float:
    """Return a double rounded to IEEE single."""
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)


def clamp(value: int, low: int, high: int) -> int:
    """Return `value` within the bounds."""
    return min(max(value, low), high)


class Learner:
    """The layers of one tile as they stand; static ones where the model does not learn."""

    def __init__(
        self,
        tensors: dict[str, Any],
        channels: int,
        layers: int,
        rate: int,
        frozen: int,
        every: int,
    ) -> None:
        self.tensors, self.channels, self.layers = dict(tensors), channels, layers
        self.rate, self.frozen, self.every, self.turn = rate, frozen, every, 0
        self.sigmoid: list[int] = tensors["tables.sigmoid"]
        self.pixels: list[dict[str, Any]] = []
        self.power = 1.0
        trunk = [f"trunk.{i}" for i in range(frozen, layers)]
        own = [f"{group}.{c}" for group in ("heads", "outs") for c in range(channels)]
        self.names = [*trunk, *own] if rate else []
        self.first: dict[str, list[int]] = {}
        self.exact: dict[str, list[float]] = {}
        self.squares: dict[str, list[float]] = {}

    def place(self, value: int, mean: int, inverse: int) -> int:
        """Return where the lower edge of a value lies in a logistic."""
        return clamp(((64 * value - 32 - mean) * inverse) >> 12, -END, END - 1)

    def level(self, place: int) -> int:
        """Return the sigmoid there."""
        cell, part = (place + END) >> 10, place & 1023
        rise = self.sigmoid[cell + 1] - self.sigmoid[cell]
        return self.sigmoid[cell] + ((rise * part) >> 10)

    def slopes(self, value: int, low: int, last: int, mixture: Mixture, span: int) -> list[int]:
        """Return the slopes of a value's nats by logits, means and spreads."""
        if not self.rate:
            return []
        edges = []
        for _, mean, inverse in mixture:
            lower = -END if value == low else self.place(value, mean, inverse)
            upper = END - 1 if value == last else self.place(value + 1, mean, inverse)
            edges.append((lower, upper))
        total = 4096.0
        for (weight, _, _), (lower, upper) in zip(mixture, edges, strict=True):
            total += float(weight * (self.level(upper) - self.level(lower)))
        whole = total * 2.0**-36
        parts: list[list[float]] = [[], [], []]
        for (share, _, inverse), (lower, upper) in zip(mixture, edges, strict=True):
            above = float(self.level(upper)) * 2.0**-22
            below = float(self.level(lower)) * 2.0**-22
            steep_above, steep_below = above * (1.0 - above), below * (1.0 - below)
            part = float(share) * 2.0**-14 * (1.0 / whole)
            parts[0].append(part * (whole - (above - below)))
            units = float(span * inverse) * 2.0**-31
            parts[1].append(part * (steep_above - steep_below) * units)
            stretch = float(upper) * 2.0**-15 * steep_above
            stretch = stretch - float(lower) * 2.0**-15 * steep_below
            parts[2].append(part * stretch * 0.693147)
        return [clamp(math.floor(v * 64.0 + 0.5), -127, 127) for part in parts for v in part]

    def follow(self, group: list[dict[str, Any]]) -> None:
        """Take note of a group of coded pixels, and a step when enough have come."""
        if self.rate:
            self.pixels += group
            if len(self.pixels) >= PERIOD:
                self.turn += 1
                if self.turn % self.every == 0:
                    self.step()
                self.pixels = []

    def backwards(self, deltas: list[int], name: str, count: int) -> list[int]:
        """Return the errors at the first `count` inputs of a layer, given those at its sums."""
        rows = self.tensors[f"{name}.weight"][:count]
        return [sum(d * w for d, w in zip(deltas, row, strict=True)) for row in rows]

    def errors(self, pixel: dict[str, Any]) -> dict[str, tuple[list[int], list[int]]]:
        """Return each learning layer's inputs and errors at a pixel."""
        found = {}
        last = pixel["values"][-1]
        total = [0] * len(last)
        for c in range(self.channels):
            hidden, slopes = pixel["hidden"][c], pixel["slopes"][c]
            found[f"outs.{c}"] = (hidden, slopes)
            deltas = before(self.backwards(slopes, f"outs.{c}", len(hidden)), hidden)
            rows = len(self.tensors[f"heads.{c}.weight"])
            found[f"heads.{c}"] = ((last + pixel["seen"])[:rows], deltas)
            into = self.backwards(deltas, f"heads.{c}", len(last))
            total = [a + b for a, b in zip(total, into, strict=True)]
        for i in reversed(range(self.frozen, self.layers)):
            deltas = before(total, pixel["values"][i + 1])
            found[f"trunk.{i}"] = (pixel["values"][i], deltas)
            total = self.backwards(deltas, f"trunk.{i}", len(pixel["values"][i]))
        return found

    def step(self) -> None:
        """Move every weight and bias once."""
        self.power *= 0.99
        correction = single(1.0 / math.sqrt(1.0 - self.power))
        seen = [self.errors(pixel) for pixel in self.pixels]
        for name in self.names:
            weights = self.tensors[f"{name}.weight"]
            slopes = [0.0] * (len(weights) * len(weights[0]))
            for start in range(0, len(seen), BLOCK):
                sums = [[0] * len(weights[0]) for _ in weights]
                for inputs, deltas in (found[name] for found in seen[start : start + BLOCK]):
                    for row, value in zip(sums, inputs, strict=True):
                        for j, delta in enumerate(deltas):
                            row[j] += value * delta
                flat = [v for row in sums for v in row]
                slopes = [single(a + b) for a, b in zip(slopes, flat, strict=True)]
            flat = [w for row in weights for w in row]
            moved = self.move(f"{name}.weight", flat, slopes, correction, self.rate / 4096, False)
            width = len(weights[0])
            self.tensors[f"{name}.weight"] = [
                moved[i : i + width] for i in range(0, len(moved), width)
            ]
            bias = self.tensors[f"{name}.bias"]
            totals = [64 * sum(found[name][1][j] for found in seen) for j in range(len(bias))]
            self.tensors[f"{name}.bias"] = self.move(
                f"{name}.bias", bias, totals, correction, self.rate / 64, True
            )

    def move(
        self,
        name: str,
        values: list[int],
        slopes: list[Any],
        correction: float,
        rate: float,
        bias: bool,
    ) -> list[int]:
        """Return parameters after one step of RMSProp in singles."""
        first = self.first.setdefault(name, values)
        exact = self.exact.setdefault(name, [float(v) for v in values])
        squares = self.squares.setdefault(name, [0.0] * len(values))
        far, limit = (BIAS_REACH, 1 << 22) if bias else (REACH, 1023)
        for i, slope in enumerate(map(float, slopes)):
            rise = single(single(slope * slope) - squares[i])
            squares[i] = single(squares[i] + single(rise * single(0.01)))
            below = single(single(single(math.sqrt(squares[i])) * correction) + 1.0)
            moved = single(exact[i] - single(single(rate * slope) / below))
            low, high = max(first[i] - far, -limit), min(first[i] + far, limit)
            exact[i] = min(max(moved, float(low)), float(high))
        return [math.floor(single(v + 0.5)) for v in exact]


def before(totals: list[int], values: list[int]) -> list[int]:
    """Return errors before the activation whose results are `values`."""
    found = []
    for total, value in zip(totals, values, strict=True):
        shifted = (total + 128) >> 8 if value >= 0 else (total + 1024) >> 11
        found.append(clamp(shifted, -127, 127) if -511 < value < 511 else 0)
    return found
