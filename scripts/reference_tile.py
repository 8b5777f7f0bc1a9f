"""Section 3 of `idfzip/FORMAT.md`, a tile of the flagship, in plain Python.

Section 3.7, learning, is in `reference_learning.py`; used by `reference_decoder.py`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any, Protocol

from reference_learning import Learner, clamp, single

TOTAL = 1 << 24
Table = list[int]


class Model(Protocol):
    """A model's tensors by name, and the facts beside them."""

    tensors: dict[str, Any]
    channels: int
    layers: int
    learning: tuple[int, int, int]

    def __getitem__(self, name: str) -> Any:
        """Return a tensor as nested lists."""


def decayed(v: int) -> int:
    """Return 27/32 of a sum."""
    return v - (v >> 3) - (v >> 5)


def log2(value: int, table: Table) -> int:
    """Return 16 log2 of an integer."""
    v = max(value, 1)
    exponent = v.bit_length() - 1
    return 16 * exponent + table[((v << 6) >> exponent) & 63]


def bounded(value: float, bound: float) -> float:
    """Return a prediction within +-`bound`; what is not a number becomes -`bound`."""
    return min(value if value > -bound else -bound, bound)


def continued(table: Table, entry: int, octave: int, doubling: bool) -> int:
    """Return an entry of a table of scales that goes on by octaves beyond its end."""
    past = max(0, (entry - len(table) + octave) // octave)
    found = table[entry - octave * past]
    return found << past if doubling else found >> past


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
        self.states = [self.start()]
        self.turn = 0

    def start(self) -> int:
        """Return a state at its beginning."""
        state = 0
        for _ in self.words[:2]:
            state = state << 32 | self.words.pop(0)
        return state

    def take_turns(self) -> None:
        """Decode how many states there are, and begin the others."""
        rest = TOTAL - 6 * 4096
        which = self.quantile() - rest
        if which < 0:
            self.pop(0, rest)
            return
        self.pop(rest + which // 4096 * 4096, 4096)
        self.states += [self.start() for _ in range((2 << which // 4096) - 1)]
        self.turn = 0

    def quantile(self) -> int:
        """Return where in 2**24 the next symbol lies."""
        return self.states[self.turn] % TOTAL

    def pop(self, cumulative: int, frequency: int) -> None:
        """Remove a symbol; the next one is of another state, if there are several."""
        state = (self.states[self.turn] >> 24) * frequency + self.quantile() - cumulative
        if state < 1 << 32 and self.words:
            state = state << 32 | self.words.pop(0)
        self.states[self.turn] = state
        self.turn = (self.turn + 1) % len(self.states)

    def check_end(self) -> None:
        """Raise ValueError unless the stream ends here."""
        last = 0 if len(self.states) == 1 else 1 << 32
        if self.words or any(state != last for state in self.states):
            raise ValueError("stream does not end with its values")


class TileDecoder:
    """One tile of the flagship codec."""

    leads = True
    """Whether heads see how far the expert is from the base."""

    def __init__(self, model: Model, height: int, width: int, stream: bytes, n: int = 256) -> None:
        self.alphabet, self.deep = n, max(0, (n - 1).bit_length() - 8)
        self.limit = (256 << self.deep) - 1
        self.model, self.height, self.width = model, height, width
        self.channels = model.channels
        self.planes = [Plane(height, width, 0 if c else n >> 1) for c in range(self.channels)]
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
        self.ans.take_turns()
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
        self.ans.check_end()
        return self.planes

    def base(self, c: int, y: int, x: int) -> int:
        """Return the mean of the four nearest neighbours."""
        get = self.planes[c].get
        return (get(y, x - 1) + get(y - 1, x) + get(y - 1, x - 1) + get(y - 1, x + 1) + 2) >> 2

    def limited(self, difference: int) -> int:
        """Return a difference as samples have it."""
        return clamp(difference, -self.limit, self.limit)

    def neighbours(self, y: int, x: int) -> list[int]:
        """Return the neighbours' part of the sample."""
        return [
            self.limited(self.planes[c].get(y + dy, x + dx) - self.base(c, y, x))
            for c, dy, dx in self.model["design.regressors"]
        ]

    def learn(self, y: int, x: int) -> None:
        """Add the pixel's sample to its row's sums."""
        f = self.neighbours(y, x)
        own = range(self.channels)
        f += [self.limited(self.planes[c].get(y, x) - self.base(c, y, x)) for c in own]
        most = 32 * (self.limit + 1) - 1
        product = [256 * f[i] * f[j] for i in range(self.n) for j in range(i + 1)] + [256]
        product += [256 * min(abs(error.get(y, x)) >> 2, most) for error in self.errors]
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
        a = [[single(total[i * (i + 1) // 2 + j]) for j in range(i + 1)] for i in range(n)]
        ridge = float(self.model["design.ridge"][0] * 256)
        for i in range(n):
            a[i][i] = single(a[i][i] + single(single(a[i][i] * 0.0078125) + ridge))
        a.append([float(v) for v in sample] + [0.0] * self.channels)
        for j in range(n):
            a[j][j] = a[j][j] if a[j][j] > 256.0 else 256.0
            inverse = single(1.0 / a[j][j])
            rows = n + 1 if j < m else n
            column = [0.0] * (n + 1)
            for i in range(j + 1, rows):
                column[i] = a[i][j]
                a[i][j] = single(a[i][j] * inverse)
            for i in range(j + 1, rows):
                for k in range(j + 1, min(i, n - 1) + 1):
                    a[i][k] = single(a[i][k] - single(a[i][j] * column[k]))
        return a

    def prepare(self, y: int, x: int) -> dict[str, Any]:
        """Return what is known of a pixel before its channels: solution, scales, head's inputs."""
        model, channels, m, n = self.model, self.channels, self.m, self.n
        deep, bound = self.deep, 2.0 * (self.limit + 1)
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
            scale = clamp(((log2(near + wide + 128, log) + 2) >> 2) - 28, 0, 51 + 4 * deep)
            scales.append(scale)
            gain, mean = self.gain(scale), self.base(c, y, x)
            near_by = [self.planes[c].get(y + dy, x + dx) for dy, dx in model["design.neighbours"]]
            inputs += [((v - mean) * gain + (512 << deep)) >> (10 + deep) for v in near_by]
            errors = [self.errors[c].get(y + dy, x + dx) for dy, dx in model["design.places"]]
            inputs += [self.scaled(e, gain) for e in errors]
            pivot = a[m + c][m + c]
            power = int(pivot) if pivot < 2.0**50 else 2**50
            level = 8 * (scale - 12)
            place = mean >> deep
            inputs += [place if c else place - 128, 2 * (log2(near + 32, log) - 144) - level]
            inputs += [2 * (log2(wide + 8, log) - 144) - level]
            inputs += [log2(power, log) - log2(count, log) - level]
            inputs += [min(level, 64) if deep else level]
            if c == 0:
                lead = math.floor(bounded(-a[n][m], bound) * 64.0 + 0.5)
                inputs.append(self.scaled(lead, gain))
        inputs += self.more_inputs(y, x, scales, len(inputs))
        values = [[clamp(v, -511, 511) for v in inputs]]
        for i in range(model.layers):
            values.append(self.layer(values[-1], f"trunk.{i}", True))
        lists: dict[str, Any] = {name: [] for name in ("seen", "z", "hidden", "slopes")}
        return {"a": a, "scales": scales, "values": values, **lists}

    def more_inputs(self, y: int, x: int, scales: list[int], count: int) -> list[int]:
        """Return inputs beyond these `count`: none, where there is no picture to look at."""
        return []

    def gain(self, scale: int) -> int:
        """Return 2**(15 + deep) over a scale."""
        past = max(0, (scale - 48) >> 2)
        return int(self.model["tables.gain"][scale - 4 * past]) << (self.deep - past)

    def span(self, scale: int) -> int:
        """Return a scale in 1/1024 of a step."""
        return continued(self.model["tables.span"], scale, 4, True)

    def scaled(self, error: int, gain: int) -> int:
        """Return an error over the scale."""
        return (error * gain + (32768 << self.deep)) >> (16 + self.deep)

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
        value = bounded(value, 2.0 * (self.limit + 1))
        base = self.base(c, y, x)
        low = -self.planes[0].get(y, x) if c else 0
        last = low + self.alphabet - 1
        mean = clamp(math.floor(value * 64 + 0.5) + 64 * base, 64 * low, 64 * last)
        scale = state["scales"][c]
        if c and self.leads:
            lead = self.scaled(mean - 64 * base, self.gain(scale))
            state["seen"].append(clamp(lead, -511, 511))
        hidden = self.layer(state["values"][-1] + state["seen"], f"heads.{c}", True)
        mixture = self.mixture(self.layer(hidden, f"outs.{c}", False), scale, mean)
        quantile = self.ans.quantile()
        below, above = low, last + 1
        while above - below > 1:
            middle = (below + above) >> 1
            if self.cumulative(middle, low, mixture) <= quantile:
                below = middle
            else:
                above = middle
        lower = self.cumulative(below, low, mixture)
        self.ans.pop(lower, self.cumulative(above, low, mixture) - lower)
        self.planes[c].rows[y][x] = below
        slopes = self.learner.slopes(below, low, last, mixture, self.span(scale))
        state["hidden"].append(hidden)
        state["slopes"].append(slopes)
        error = 64 * below - mean
        self.errors[c].rows[y][x] = error
        state["z"].append(self.limited(below - base) - value)
        gain = self.gain(scale)
        size = self.scaled(abs(error), gain)
        log = 2 * log2(size + 4, model["tables.log"]) - 160
        seen = [self.scaled(error, gain), size, log]
        state["seen"] += [clamp(v, -511, 511) for v in seen]

    def mixture(self, sums: list[int], scale: int, mean: int) -> list[tuple[int, int, int]]:
        """Return weight, mean and inverse scale of each logistic."""
        model, count = self.model, len(sums) // 3
        logits, means, spreads = sums[:count], sums[count : 2 * count], sums[2 * count :]
        top = max(logits)
        parts = [model["tables.exp"][min((top - v) >> 7, 2047)] for v in logits]
        weights = [(p << 14) // sum(parts) for p in parts]
        weights[logits.index(top)] += (1 << 14) - sum(weights)
        span, inverse, last = self.span(scale), model["tables.inverse"], 207 + 16 * self.deep
        return [
            (
                w,
                mean + ((u * span + (1 << 17)) >> 18),
                continued(inverse, clamp(4 * scale + 24 + ((s + 512) >> 10), 0, last), 16, False),
            )
            for w, u, s in zip(weights, means, spreads, strict=True)
        ]

    def cumulative(self, value: int, low: int, mixture: list[tuple[int, int, int]]) -> int:
        """Return the frequency of all values below `value`."""
        if value <= low:
            return 0
        if value >= low + self.alphabet:
            return TOTAL
        level, place = self.learner.level, self.learner.place
        mass = sum(w * level(place(value, mean, inverse)) for w, mean, inverse in mixture)
        return ((mass * (TOTAL - self.alphabet)) >> 36) + value - low
