"""Decode a lossy-first `.idfz` file as `idfzip/FORMAT.md`, section 9, says, in plain Python.

The container is `reference_decoder.py`'s, the order of parts `reference_lattice.py`'s; codes are
those of `reference_vq.py`, pixels those of `reference_tile.py`.

Usage: `python scripts/reference_lossy_first.py FILE.idfz MODEL.idfm... > pixels.ppm`
"""

from __future__ import annotations

import sys
from pathlib import Path

import reference_decoder
from reference_decoder import Model
from reference_lattice import in_order
from reference_learning import clamp
from reference_tile import TileDecoder, log2
from reference_vq import VqTileDecoder

PLACES = (
    *((0, 0), (0, 1), (0, 2), (1, -2), (1, -1), (1, 0)),
    *((1, 1), (1, 2), (2, 0), (0, -1), (-1, 0), (-1, 1)),
)


class PaintedTileDecoder(TileDecoder):
    """One tile of the lossy-first codec."""

    def __init__(self, model: Model, height: int, width: int, stream: bytes, n: int = 256) -> None:
        super().__init__(model, height, width, stream, n)
        if model.painter is None:
            raise ValueError("codec 6 needs a lossy model")
        painter = VqTileDecoder(model.painter, height, width, stream, n)
        self.picture = painter.paint()[: self.channels]
        self.ans = painter.ans

    def painted(self, c: int, y: int, x: int) -> int:
        """Return the picture at a place, or at the nearest inside the tile."""
        row = self.picture[c].rows[clamp(y, 0, self.height - 1)]
        return row[clamp(x, 0, self.width - 1)]

    def more_inputs(self, y: int, x: int, scales: list[int], count: int) -> list[int]:
        """Return what the network sees of the picture, if it takes more than `count` inputs."""
        if len(self.model["trunk.0.weight"]) == count:
            return []
        inputs = []
        near = self.model["design.neighbours"]
        for c, scale in enumerate(scales):
            gain, level = self.gain(scale), 8 * (scale - 12)
            around = [(0, -1), (-1, 0), (-1, -1), (-1, 1)]
            middle = (sum(self.painted(c, y + dy, x + dx) for dy, dx in around) + 2) >> 2
            steps = [self.painted(c, y + dy, x + dx) - middle for dy, dx in PLACES]
            gap = middle - self.base(c, y, x)
            above = sum(
                self.planes[c].get(y + dy, x + dx) - self.painted(c, y + dy, x + dx)
                for dy, dx in near
            )
            seen = [*steps, gap, gap + above // len(near)]
            inputs += [(v * gain + 512) >> 10 for v in seen]
            busy = (sum(map(abs, steps)) << 6) + 32
            inputs.append(2 * (log2(busy, self.model["tables.log"]) - 144) - level)
        return inputs


def tile_decoder(
    model: Model, height: int, width: int, stream: bytes, n: int = 256
) -> TileDecoder | PaintedTileDecoder:
    """Return the decoder of a tile; alpha is coded without a picture."""
    kind = TileDecoder if model.painter is None else PaintedTileDecoder
    return kind(model, height, width, stream, n)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    reference_decoder.TileDecoder = tile_decoder  # type: ignore[attr-defined, assignment]
    file, *names = map(Path, sys.argv[1:])
    models = [Model(name.read_bytes()) for name in names]
    found = reference_decoder.decode(in_order(file.read_bytes()), models)
    sys.stdout.buffer.write(reference_decoder.written(found))
