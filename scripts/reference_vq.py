"""Decode a lossy `.idfz` file as `idfzip/FORMAT.md`, section 8, says, in plain Python.

All but the tiles (the container and the coder) is `reference_decoder.py`'s.

Usage: `python scripts/reference_vq.py FILE.idfz MODEL.idfm... > pixels.ppm`
"""

from __future__ import annotations

import sys
from itertools import accumulate
from math import prod

import reference_decoder
from reference_decoder import Model
from reference_tile import Ans, Plane

Grid = list[list[list[int]]]
"""Values by row, column and channel."""


def clamp(value: int, low: int, high: int) -> int:
    """Return a value within limits."""
    return max(low, min(high, value))


def rounded(total: int) -> int:
    """Return a sum as an activation without leak."""
    return clamp((total + 128) >> 8, -511, 511)


def activation(total: int) -> int:
    """Return the activation of a sum."""
    whole = (total + 128) >> 8
    return clamp(max(whole, whole >> 3), -511, 511)


def squeezed(values: Grid, side: int) -> Grid:
    """Return squares of places as one place each."""
    return [
        [
            [v for dy in range(side) for dx in range(side) for v in values[y + dy][x + dx]]
            for x in range(0, len(values[0]), side)
        ]
        for y in range(0, len(values), side)
    ]


def spread(values: Grid, side: int) -> Grid:
    """Return squares of places for one place each."""
    size = len(values[0][0]) // side**2
    out: Grid = []
    for row in values:
        for dy in range(side):
            parts = [(place, dy * side + dx) for place in row for dx in range(side)]
            out.append([p[k * size : (k + 1) * size] for p, k in parts])
    return out


def together(first: Grid, second: Grid) -> Grid:
    """Return the channels of two grids at each place."""
    rows = zip(first, second, strict=True)
    return [[a + b for a, b in zip(*pair, strict=True)] for pair in rows]


class VqTileDecoder:
    """One tile of the lossy codec."""

    def __init__(self, model: Model, height: int, width: int, stream: bytes, n: int = 256) -> None:
        if n > 256:
            raise ValueError("codec 5 is for 256 values a channel")
        self.model, self.height, self.width = model, height, width
        self.ans = Ans(stream)
        names = model.tensors
        self.levels = sum(name.endswith(".lift.blocks") for name in names)
        self.stages = [
            sum(n.startswith(f"levels.{i}.priors.") and n.endswith(".codebook") for n in names)
            for i in range(self.levels)
        ]

    def decode(self) -> list[Plane]:
        """Return the planes."""
        planes = self.paint()
        self.ans.check_end()
        return planes

    def paint(self) -> list[Plane]:
        """Return the planes that the codes paint."""
        total = sum(self.stages)
        left = min(self.ans.quantile() >> 16, total)
        rest = total << 16
        self.ans.pop(
            left << 16 if left < total else rest, 1 << 16 if left < total else 2**24 - rest
        )
        flags = self.ans.quantile() >> 20
        self.ans.pop(flags << 20, 1 << 20)
        sides = [flags >> 3 & 1, flags >> 2 & 1, flags >> 1 & 1, flags & 1]
        blocks = [b for i in range(self.levels) for b in self.model[f"levels.{i}.encoder.blocks"]]
        side = prod(squeeze for _, squeeze, _, _ in blocks)
        rows = -(-(self.height + side * (sides[0] + sides[2])) // side)
        columns = -(-(self.width + side * (sides[1] + sides[3])) // side)
        context: Grid = [[[] for _ in range(columns)] for _ in range(rows)]
        for i, stages in enumerate(self.stages):
            found = self.level(i, context, min(left, stages))
            left -= min(left, stages)
            sums = self.stack(f"levels.{i}.lift", together(context, found))
            context = [[[rounded(v) for v in place] for place in row] for row in sums]
        return self.planes([row[side * sides[1] :] for row in context[side * sides[0] :]])

    def planes(self, painted: Grid) -> list[Plane]:
        """Return the planes of what was painted."""
        channels = len(painted[0][0])
        planes = [Plane(self.height, self.width, 0) for _ in range(channels)]
        for y in range(self.height):
            for x in range(self.width):
                pixel = [clamp(v + 128, 0, 255) for v in painted[y][x]]
                if channels == 3:
                    pixel = [pixel[1], pixel[0] - pixel[1], pixel[2] - pixel[1]]
                for plane, value in zip(planes, pixel, strict=True):
                    plane.rows[y][x] = value
        return planes

    def level(self, i: int, context: Grid, stages: int) -> Grid:
        """Return what a level's first codebooks stand for, added and clamped."""
        size = len(self.model[f"levels.{i}.priors.0.codebook"][0])
        found = [[[0] * size for _ in row] for row in context]
        for s in range(stages):
            name = f"levels.{i}.priors.{s}"
            limited = [[[clamp(v, -511, 511) for v in p] for p in row] for row in found]
            sums = self.stack(f"{name}.known", together(context, limited))
            codes = self.codes(name, sums)
            book = self.model[f"{name}.codebook"]
            for row, chosen in zip(found, codes, strict=True):
                for place, code in zip(row, chosen, strict=True):
                    place[:] = [a + b for a, b in zip(place, book[code], strict=True)]
        return [[[clamp(v, -511, 511) for v in p] for p in row] for row in found]

    def codes(self, name: str, base: Grid) -> list[list[int]]:
        """Return the codes of one codebook."""
        book, near = self.model[f"{name}.codebook"], self.model[f"{name}.near"]
        size = len(book[0])
        codes: list[list[int]] = []
        for y, row in enumerate(base):
            codes.append([])
            for x, sums in enumerate(row):
                hidden = list(sums)
                for t, (dy, dx) in enumerate(((-1, -1), (-1, 0), (-1, 1), (0, -1))):
                    if y + dy >= 0 and 0 <= x + dx < len(row):
                        for d, value in enumerate(book[codes[y + dy][x + dx]]):
                            for h, weight in enumerate(near[t * size + d]):
                                hidden[h] += value * weight
                codes[y].append(self.code(name, [activation(v) for v in hidden]))
        return codes

    def code(self, name: str, hidden: list[int]) -> int:
        """Decode one code."""
        logits = self.product(f"{name}.out", hidden)
        exp, top = self.model["tables.exp"], max(logits)
        parts = [exp[min((top - g) >> 7, 2047)] for g in logits]
        sums = list(accumulate(parts, initial=0))
        ends = [s * (2**24 - len(parts)) // sums[-1] + k for k, s in enumerate(sums)]
        quantile = self.ans.quantile()
        code = max(k for k in range(len(parts)) if ends[k] <= quantile)
        self.ans.pop(ends[code], ends[code + 1] - ends[code])
        return code

    def product(self, name: str, values: list[int]) -> list[int]:
        """Return the sums of a layer with bias."""
        sums = list(self.model[f"{name}.bias"])
        for value, row in zip(values, self.model[f"{name}.weight"], strict=True):
            if value:
                for j, weight in enumerate(row):
                    sums[j] += value * weight
        return sums

    def stack(self, name: str, values: Grid) -> Grid:
        """Return the last sums of a network."""
        blocks, layer, start = self.model[f"{name}.blocks"], 0, values
        last = sum(count for count, _, _, _ in blocks) - 1
        for count, squeeze, wider, residual in blocks:
            kept = values = squeezed(values, squeeze)
            for _ in range(count):
                values = self.convolution(f"{name}.{layer}", values, layer != last)
                layer += 1
            if residual:
                values = [
                    [[clamp(a + b, -511, 511) for a, b in zip(*p, strict=True)] for p in pair]
                    for pair in (zip(*r, strict=True) for r in zip(values, kept, strict=True))
                ]
            values = spread(values, wider)
        if f"{name}.shortcut.weight" in self.model.tensors:
            inner = prod(squeeze for _, squeeze, _, _ in blocks)
            direct = self.convolution(f"{name}.shortcut", squeezed(start, inner), False)
            direct = spread(direct, prod(wider for _, _, wider, _ in blocks))
            values = [
                [[a + b for a, b in zip(*p, strict=True)] for p in zip(*rows, strict=True)]
                for rows in zip(values, direct, strict=True)
            ]
        return values

    def convolution(self, name: str, values: Grid, activate: bool) -> Grid:
        """Return a convolution's sums or, if `activate`, its activations."""
        reach = self.model[f"{name}.taps"][0] // 9
        height, width, zeros = len(values), len(values[0]), [0] * len(values[0][0])
        steps = range(-reach, reach + 1)
        out: Grid = []
        for y in range(height):
            out.append([])
            for x in range(width):
                inside = [
                    values[y + dy][x + dx]
                    if 0 <= y + dy < height and 0 <= x + dx < width
                    else zeros
                    for dy in steps
                    for dx in steps
                ]
                sums = self.product(name, [v for place in inside for v in place])
                out[y].append([activation(v) for v in sums] if activate else sums)
        return out


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    reference_decoder.TileDecoder = VqTileDecoder  # type: ignore[attr-defined, assignment]
    reference_decoder.main()
