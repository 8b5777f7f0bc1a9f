"""Decode an `.idfz` file of the progressive codec as `idfzip/FORMAT.md` says, in plain Python.

All but the tiles and the order of their parts is `reference_decoder.py`'s.

Usage: `python scripts/reference_lattice.py FILE.idfz MODEL.idfm... > pixels.ppm`
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import reference_decoder
from reference_decoder import Model, Reader
from reference_learning import Learner, clamp
from reference_tile import Ans, Plane, TileDecoder, log2

PHASES = ((1, 1), (0, 1), (1, 0))
Rows = list[list[int]]


def mirrored(place: int, side: int) -> int:
    """Return the row or column inside of one that may be outside."""
    period = max(2 * (side - 1), 1)
    return min(place % period, period - place % period) if side > 1 else 0


class LatticeTileDecoder(TileDecoder):
    """One tile of the progressive codec; planes and errors are those of the present level."""

    leads = False

    def __init__(self, model: Model, height: int, width: int, stream: bytes, n: int = 256) -> None:
        self.alphabet, self.deep, self.limit = 256, 0, 255  # whatever `n`, as codec 4 says
        self.model, self.height, self.width = model, height, width
        self.channels, self.m, self.n = model.channels, 0, model.channels
        self.ans = Ans(stream)
        self.learners = [
            Learner(self.tensors(f"phases.{i}."), self.channels, model.layers, *model.learning)
            for i in range(len(PHASES))
        ]

    def tensors(self, prefix: str) -> dict[str, Any]:
        """Return the tensors of a network, and the tables."""
        found = self.model.tensors.items()
        return {name.removeprefix(prefix): value for name, value in found}

    def decode(self) -> list[Plane]:
        """Return the planes."""
        self.planes = [Plane(1, 1, 0) for _ in range(self.channels)]
        self.errors = [Plane(1, 1, 0) for _ in range(self.channels)]
        self.ans.take_turns()
        low = 0
        for plane in self.planes:
            plane.rows[0][0] = self.ans.quantile() // 65536 + low
            self.ans.pop(self.ans.quantile() // 65536 * 65536, 65536)
            low = -self.planes[0].rows[0][0]
        for bits in reversed(range((max(self.height, self.width) - 1).bit_length())):
            self.refine(bits)
        self.ans.check_end()
        return self.planes

    def refine(self, bits: int) -> None:
        """Decode a level."""
        self.bits = bits
        self.tall, self.wide = -(-self.height >> bits), -(-self.width >> bits)
        self.planes = [self.spread(plane) for plane in self.planes]
        self.errors = [self.spread(plane) for plane in self.errors]
        for phase, (top, left) in enumerate(PHASES):
            self.phase, self.learner = phase, self.learners[phase]
            for y in range(top, self.tall, 2):
                for x in range(left, self.wide, 256):
                    self.piece(y, range(x, min(x + 256, self.wide), 2))

    def spread(self, plane: Plane) -> Plane:
        """Return a plane of twice the sides, filled with guesses."""
        finer = Plane(self.tall, self.wide, 0)
        finer.rows = [
            [plane.rows[y >> 1][x >> 1] for x in range(self.wide)] for y in range(self.tall)
        ]
        return finer

    def piece(self, y: int, columns: range) -> None:
        """Decode a piece of a row."""
        self.seen = [[row[:] for row in plane.rows] for plane in self.planes]
        self.seen_errors = [[row[:] for row in plane.rows] for plane in self.errors]
        states = [self.prepare(y, x) for x in columns]
        for c in range(self.channels):
            for x, state in zip(columns, states, strict=True):
                self.code(y, x, c, state)
        self.learner.follow(states)

    def near(self, planes: list[Rows], c: int, y: int, x: int, name: str) -> list[int]:
        """Return the values at the offsets of a tensor, as they were before the piece."""
        offsets = self.model[f"design.{name}"]
        count = len(offsets) // len(PHASES)
        return [
            planes[c][mirrored(y + dy, self.tall)][mirrored(x + dx, self.wide)]
            for dy, dx in offsets[self.phase * count : (self.phase + 1) * count]
        ]

    def base(self, c: int, y: int, x: int) -> int:
        """Return the mean of the first four neighbours."""
        return (sum(self.near(self.seen, c, y, x, "neighbours")[:4]) + 2) >> 2

    def prepare(self, y: int, x: int) -> dict[str, Any]:
        """Return what is known of a pixel before its channels."""
        log = self.model["tables.log"]
        inputs: list[int] = []
        scales = []
        for c in range(self.channels):
            values = self.near(self.seen, c, y, x, "neighbours")
            errors = self.near(self.seen_errors, c, y, x, "places")
            base = self.base(c, y, x)
            near = sum(map(abs, errors))
            spread = 128 * sum(abs(v - base) for v in values[:4])
            scale = clamp(((log2(near + spread + 128, log) + 2) >> 2) - 28, 0, 51)
            scales.append(scale)
            gain, level = self.model["tables.gain"][scale], 8 * (scale - 12)
            inputs += [((v - base) * gain + 512) >> 10 for v in values]
            inputs += [(e * gain + 32768) >> 16 for e in errors]
            inputs += [base if c else base - 128]
            inputs += [2 * (log2(v + 32, log) - 144) - level for v in (near, spread)]
            inputs.append(level)
        inputs.append(63 * min(self.bits, 8))
        stages = [[clamp(v, -511, 511) for v in inputs]]
        for i in range(self.model.layers):
            stages.append(self.layer(stages[-1], f"trunk.{i}", True))
        # The flagship's own prediction is left out: `code` finds zeros.
        zeros = [[0.0] * self.channels for _ in range(self.channels + 1)]
        lists: dict[str, Any] = {name: [] for name in ("seen", "z", "hidden", "slopes")}
        return {"a": zeros, "scales": scales, "values": stages, **lists}


def in_order(data: bytes) -> bytes:
    """Return a file without its section `L`, the stream of each tile in one piece."""
    reader = Reader(data)
    kept, table, tag = bytearray(reader.take(5)), [[0]], b""
    while tag != b"I":
        start = reader.at
        tag = reader.take(1)
        section = Reader(reader.take(reader.number()))
        reader.take(4)
        if tag == b"L":
            count, numbers = section.number(), []
            while section.at < len(section.data):
                numbers.append(section.number())
            table = [numbers[i : i + count] for i in range(0, len(numbers), count)]
        else:
            kept += data[start : reader.at]
    streams = [bytearray() for _ in table]
    for level in range(len(table[0])):
        for stream, row in zip(streams, table, strict=True):
            stream += reader.take(row[level])
    return bytes(kept) + b"".join(streams) + data[reader.at :]


if __name__ == "__main__":
    reference_decoder.TileDecoder = LatticeTileDecoder  # type: ignore[attr-defined, assignment]
    file, *names = map(Path, sys.argv[1:])
    models = [Model(name.read_bytes()) for name in names]
    found = reference_decoder.decode(in_order(file.read_bytes()), models)
    sys.stdout.buffer.write(reference_decoder.written(found))
