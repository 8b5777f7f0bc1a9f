"""Decode an `.idfz` file of the bipartite codec as `idfzip/FORMAT.md` says, in plain Python.

All but the tiles (the container, the coder, the prior's mixture) is `reference_decoder.py`'s.

Usage: `python scripts/reference_idf.py FILE.idfz MODEL.idfm... > pixels.ppm`
"""

from __future__ import annotations

import reference_decoder
from reference_decoder import Model
from reference_learning import Learner
from reference_tile import Ans, Plane, TileDecoder

Grid = list[list[list[int]]]
"""Values by row, column and channel."""


def wrap(value: int) -> int:
    """Return a value modulo 256, in [-128, 127]."""
    return (value + 128) % 256 - 128


def inverse(order: list[int]) -> list[int]:
    """Return the permutation that undoes another."""
    return [order.index(i) for i in range(len(order))]


class IdfTileDecoder(TileDecoder):
    """One tile of the bipartite codec."""

    def __init__(self, model: Model, height: int, width: int, stream: bytes, n: int = 256) -> None:
        if n > 256:
            raise ValueError("codec 2 is for 256 values a channel")
        self.model, self.height, self.width = model, height, width
        self.alphabet, self.deep = 256, 0
        self.ans = Ans(stream)
        self.learner = Learner(model.tensors, model.channels, 0, 0, 0, 1)
        self.levels = sum(name.endswith("permutations") for name in model.tensors)

    def decode(self) -> list[Plane]:
        """Return the planes."""
        side = 1 << self.levels
        rows, columns = -(-self.height // side), -(-self.width // side)
        values: Grid = [[[] for _ in range(columns)] for _ in range(rows)]
        for level in reversed(range(self.levels)):
            values = self.unsqueezed(self.undone(level, self.joined(level, values)))
        self.ans.check_end()
        channels = self.model.channels
        planes = [Plane(self.height, self.width, 0) for _ in range(channels)]
        for y in range(self.height):
            for x in range(self.width):
                first = values[y][x][0] + 128
                planes[0].rows[y][x] = first
                for c in range(1, channels):
                    planes[c].rows[y][x] = (values[y][x][c] + first) % 256 - first
        return planes

    def joined(self, level: int, given: Grid) -> Grid:
        """Return the channels that went on, and after them the level's latents."""
        constants = self.model["constants"]
        out = [[list(place) for place in row] for row in given]
        if level == self.levels - 1:
            count, sums = len(constants), None
        else:
            count, sums = len(given[0][0]), self.network(f"conditions.{level}", given)
        size = len(constants[0])
        for c in range(count):
            for y, row in enumerate(out):
                for x, place in enumerate(row):
                    mine = sums[y][x][c * size : (c + 1) * size] if sums else constants[c]
                    place.append(self.value(mine))
        return out

    def value(self, sums: list[int]) -> int:
        """Decode one value."""
        mixture = self.mixture(sums, 28, 0)
        quantile = self.ans.quantile()
        below, above = -128, 128
        while above - below > 1:
            middle = (below + above) >> 1
            if self.cumulative(middle, -128, mixture) <= quantile:
                below = middle
            else:
                above = middle
        lower = self.cumulative(below, -128, mixture)
        self.ans.pop(lower, self.cumulative(above, -128, mixture) - lower)
        return below

    def undone(self, level: int, values: Grid) -> Grid:
        """Return the values before a level's couplings."""
        orders = self.model[f"levels.{level}.permutations"]
        for d in reversed(range(len(orders))):
            if d < len(orders) - 1:
                name = f"levels.{level}.couplings.{d}"
                seen = len(self.model[f"{name}.narrow.0.weight"])
                moves = self.network(name, [[place[:seen] for place in row] for row in values])
                for row, changes in zip(values, moves, strict=True):
                    for place, sums in zip(row, changes, strict=True):
                        for i, total in enumerate(sums):
                            place[seen + i] = wrap(place[seen + i] + ((total + 512) >> 10))
            order = inverse(orders[d])
            values = [[[place[i] for i in order] for place in row] for row in values]
        return values

    def unsqueezed(self, values: Grid) -> Grid:
        """Return four places for each one."""
        channels = len(values[0][0]) // 4
        out: Grid = []
        for row in values:
            for dy in (0, 2):
                parts = [(place, dy + dx) for place in row for dx in (0, 1)]
                out.append([p[k * channels : (k + 1) * channels] for p, k in parts])
        return out

    def network(self, name: str, values: Grid) -> Grid:
        """Return the sums of a network."""
        seen = [[[2 * v for v in place] for place in row] for row in values]
        for i in range(self.model.layers):
            hidden = self.convolution(f"{name}.narrow.{i}", seen, 0, True)
            found = self.convolution(f"{name}.wide.{i}", hidden, 1, True)
            pairs = zip(seen, found, strict=True)
            seen = [[a + b for a, b in zip(*pair, strict=True)] for pair in pairs]
        return self.convolution(f"{name}.last", seen, 1, False)

    def convolution(self, name: str, values: Grid, reach: int, activate: bool) -> Grid:
        """Return a convolution's sums or, if `activate`, its activations."""
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
                out[y].append(self.layer([v for place in inside for v in place], name, activate))
        return out


if __name__ == "__main__":
    reference_decoder.TileDecoder = IdfTileDecoder  # type: ignore[attr-defined, assignment]
    reference_decoder.main()
