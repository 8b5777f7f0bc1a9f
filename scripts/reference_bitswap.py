"""Decode an `.idfz` file of the bits-back codec as `idfzip/FORMAT.md`, section 10, says.

Plain Python. All but the chain is `reference_decoder.py`'s and, for networks, `reference_vq.py`'s;
archives are `reference_archive.py`'s work.

Usage: `python scripts/reference_bitswap.py FILE.idfz MODEL.idfm... > pixels.ppm`
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import reference_decoder
from reference_decoder import Model
from reference_learning import Learner
from reference_tile import TOTAL, Ans, Plane, TileDecoder
from reference_vq import Grid, VqTileDecoder

SIDE, ODD, GOLDEN = 32, 1 << 16, 10368889


class Stack(Ans):
    """A decoder to which symbols can be given back."""

    def push(self, cumulative: int, frequency: int) -> None:
        """Put a symbol back."""
        (state,) = self.states
        if state >> 40 >= frequency:
            self.words.insert(0, state & 0xFFFFFFFF)
            state >>= 32
        self.states = [(state // frequency << 24) + cumulative + state % frequency]


class ChainDecoder(TileDecoder):
    """One tile of the bits-back codec; the stack may be that of others, too."""

    def __init__(self, model: Model, height: int, width: int, stream: bytes, n: int = 256) -> None:
        if n > 256:
            raise ValueError("codec 7 is for 256 values a channel")
        self.model, self.height, self.width, self.channels = model, height, width, model.channels
        self.alphabet, self.deep = 256, 0
        self.ans = self.stack = Stack(stream)
        self.nets = VqTileDecoder(model, height, width, b"")
        self.learner = Learner(model.tensors, model.channels, 0, 0, 0, 1)
        self.levels = sum(name.endswith(".prior.blocks") for name in model.tensors)
        self.planes = [Plane(height, width, 0) for _ in range(self.channels)]

    def decode(self) -> list[Plane]:
        """Return the planes of a tile that has the stream for itself."""
        self.decode_squares()
        self.stack.check_end()
        return self.planes

    def decode_squares(self) -> None:
        """Decode the planes, square by square."""
        for top in range(0, self.height, SIDE):
            for left in range(0, self.width, SIDE):
                rows, columns = min(SIDE, self.height - top), min(SIDE, self.width - left)
                for y, row in enumerate(self.square(rows, columns)):
                    for x, place in enumerate(row):
                        for plane, value in zip(self.planes, place, strict=True):
                            plane.rows[top + y][left + x] = value

    def square(self, height: int, width: int) -> Grid:
        """Return the values of a square."""
        rows, columns = (-(-n >> self.levels) for n in (height, width))
        constants = self.model["constants"]
        flat = [v for row in constants for v in row]
        latents = self.popped([[flat] * columns for _ in range(rows)], len(constants), False)
        for i in reversed(range(self.levels)):
            sums = self.nets.stack(f"levels.{i}.prior", latents)
            if i:
                below = seen = self.popped(sums, len(sums[0][0]) // 2, False)
            else:
                below = self.popped([row[:width] for row in sums[:height]], self.channels, True)
                seen = self.widened(below)
            taken = self.stack.quantile() >= ODD
            self.stack.pop(ODD if taken else 0, TOTAL - ODD if taken else ODD)
            if taken:
                self.push_back(self.nets.stack(f"levels.{i}.posterior", seen), latents)
            latents = below
        return latents

    def widened(self, values: Grid) -> Grid:
        """Return what the finest posterior sees of a square's pixels."""
        side = 1 << self.levels
        out = [
            [[2 * (v - (0 if c else 128)) for c, v in enumerate(place)] for place in row]
            for row in values
        ]
        out = [row + [row[-1]] * (-len(row) % side) for row in out]
        return out + [out[-1]] * (-len(out) % side)

    @staticmethod
    def order(rows: int, columns: int, channels: int) -> Iterator[tuple[int, int, int]]:
        """Yield channel, row and column in the order of popping."""
        for c in range(channels):
            for y in range(rows):
                for x in range(columns):
                    yield c, y, x

    def logistics(self, sums: list[int], c: int, pixels: bool) -> list[tuple[int, int, int]]:
        """Return the mixture of channel `c` of a place, and set the alphabet."""
        self.alphabet = 256 if pixels else 1023
        size = len(sums) // self.channels if pixels else 2
        mine = sums[c * size : (c + 1) * size]
        mine = [0, *mine] if size == 2 else mine
        return self.mixture(mine, 28 if pixels else 36, 8192 if pixels and c == 0 else 0)

    def popped(self, sums: Grid, channels: int, pixels: bool) -> Grid:
        """Return values that are on the stack under the sums of a prior."""
        values = [[[0] * channels for _ in row] for row in sums]
        for c, y, x in self.order(len(sums), len(sums[0]), channels):
            mixture = self.logistics(sums[y][x], c, pixels)
            low = (-values[y][x][0] if c else 0) if pixels else -511
            quantile = self.stack.quantile()
            below, above = low, low + self.alphabet
            while above - below > 1:
                middle = (below + above) >> 1
                if self.cumulative(middle, low, mixture) <= quantile:
                    below = middle
                else:
                    above = middle
            lower = self.cumulative(below, low, mixture)
            self.stack.pop(lower, self.cumulative(above, low, mixture) - lower)
            values[y][x][c] = below
        return values

    def push_back(self, sums: Grid, latents: Grid) -> None:
        """Give latents back to the stack, under the sums of their posterior."""
        rows, columns, channels = len(latents), len(latents[0]), len(latents[0][0])
        for c, y, x in reversed(list(self.order(rows, columns, channels))):
            mixture, value = self.logistics(sums[y][x], c, False), latents[y][x][c]
            lower = self.cumulative(value, -511, mixture)
            self.stack.push(lower, self.cumulative(value + 1, -511, mixture) - lower)
            self.stack.states[0] ^= ((c * rows + y) * columns + x) * GOLDEN % TOTAL


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    reference_decoder.TileDecoder = ChainDecoder  # type: ignore[attr-defined, assignment]
    reference_decoder.main()
