"""What coding and decoding share of the flagship's last stage: tables, and errors as inputs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.flows import context
from idfzip.integer.jit import inlined
from idfzip.integer.log2 import log2
from idfzip.integer.panel import Floats

STEPS = 64
"""Steps that are taken before it is looked up: for progress, and for an interrupt."""


class Tables(NamedTuple):
    """All tables that the last stage reads; see `context.Tables` and `mixture.Tables`."""

    log: npt.NDArray[np.int32]
    gain: npt.NDArray[np.int64]
    exp: npt.NDArray[np.int64]
    sigmoid: npt.NDArray[np.int64]
    inverse: npt.NDArray[np.int64]
    span: npt.NDArray[np.int64]


@inlined
def see_error(
    error: int,
    gain: int,
    deep: int,
    log_table: npt.NDArray[np.int32],
    seen: Floats,
    row: int,
    column: int,
) -> None:
    """Write what later channels see of an error, in 1/64 of a step: itself, size, logarithm.

    `gain` is 2**(15 + deep) over the pixel's scale.
    """
    half, down = 32768 << deep, 16 + deep
    size = (abs(error) * gain + half) >> down
    seen[row, column] = context.limited((error * gain + half) >> down)
    seen[row, column + 1] = min(size, context.LIMIT)
    seen[row, column + 2] = context.limited(2 * log2(size + 4, log_table) - 160)


@inlined
def see_lead(lead: int, gain: int, deep: int, seen: Floats, row: int, column: int) -> None:
    """Write what a head sees of its channel's lead, in 1/64 of a step; `gain` as above."""
    seen[row, column] = context.limited((lead * gain + (32768 << deep)) >> (16 + deep))
