"""Whether a device gives the right numbers: its sums, and the bytes of a small tile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from idfzip.coding import turns
from idfzip.device import engine
from idfzip.device.machine import Machine

SIDE, VALUES = 20, 256


def passes(machine: Machine, codec: Any, *tests: Mapping[str, npt.NDArray[Any]]) -> bool:
    """Return whether a device gives stored sums, and codes a tile as the kernels do.

    Of a lossy-first codec the sums are those of the model of the rest, then those of the painter.
    """
    one = engine.of(codec)
    with machine.in_use():
        if not engine.counts(machine, codec, tests):
            return False
        tile = any_tile(codec.channels, SIDE)
        parts = engine.encode_here(codec, tile, VALUES)
        (later,) = one.encode(machine, codec, [tile], VALUES)
        if later() != parts:
            return False
        streams = [b"".join(parts)]
        if engine.takes_turns(codec):  # short streams have one state only
            streams.append(b"".join(engine.encode_here(codec, tile, VALUES, turns.MOST)))
        return all(_reads(machine, codec, stream) for stream in streams)


def _reads(machine: Machine, codec: Any, stream: bytes) -> bool:
    """Return whether a device decodes what the processor does."""
    size = SIDE, SIDE
    (found,) = engine.of(codec).read(machine, codec, [stream], [size], False, VALUES)
    (expected,) = engine.here(codec).decode(codec, [stream], [size])
    return expected is not None and found.finished and np.array_equal(found.seen.planes, expected)


def any_tile(channels: int, side: int) -> npt.NDArray[np.int32]:
    """Return planes, int32 (C, side, side), half smooth and half noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    first = (100 + 60 * np.sin(x / 7) + 40 * np.cos(y / 5)).astype(np.int32)
    first[side // 2 :] = rng.integers(0, 256, (side - side // 2, side))
    others = [np.clip(rng.integers(-9, 9, first.shape), -first, 255 - first) for _ in range(2)]
    return np.stack([first, *others])[:channels].astype(np.int32)
