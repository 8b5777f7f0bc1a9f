"""Whether a device gives the right numbers: its sums, and the bytes of a small tile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from idfzip.codecs import flagship as kernels
from idfzip.codecs.flagship import Flagship
from idfzip.device import flagship as device
from idfzip.device import network
from idfzip.device.machine import Machine

SIDE = 20


def passes(machine: Machine, flagship: Flagship, test: Mapping[str, npt.NDArray[Any]]) -> bool:
    """Return whether a device gives a model's stored sums, and codes a tile as the kernels do."""
    inputs = machine.tensor(test["test.inputs"].astype(np.float32))
    with torch.inference_mode():
        fan = network.run_trunk(inputs, network.weights(flagship.network, machine)).fan
        sums = fan.to(torch.int32).cpu().numpy()
    if not np.array_equal(sums, test["test.sums"]):
        return False
    tile = any_tile(flagship.channels, SIDE)
    streams = kernels.encode(flagship, [tile])
    if device.encode(machine, flagship, [tile]) != streams:
        return False
    (found,) = device.decode(machine, flagship, streams, [tile.shape[1:]])
    return found is not None and np.array_equal(found, tile)


def any_tile(channels: int, side: int) -> npt.NDArray[np.int32]:
    """Return planes, int32 (C, side, side), half smooth and half noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    first = (100 + 60 * np.sin(x / 7) + 40 * np.cos(y / 5)).astype(np.int32)
    first[side // 2 :] = rng.integers(0, 256, (side - side // 2, side))
    others = [np.clip(rng.integers(-9, 9, first.shape), -first, 255 - first) for _ in range(2)]
    return np.stack([first, *others])[:channels].astype(np.int32)
