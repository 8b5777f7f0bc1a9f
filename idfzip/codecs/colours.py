"""Colours of categories: what a palette tells of values that are else only equal or not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_UNKNOWN = 8
"""The distance of values without colours."""


class Colours(NamedTuple):
    """What is known of K values and, as the last, of places outside the plane.

    `distance` int64 (K + 1, K + 1), 0 to 15: 2 log2 of sums of differences; `light` int64
    (K + 1,), luminances of 0 to 255.
    """

    distance: npt.NDArray[np.int64]
    light: npt.NDArray[np.int64]


def colours(alphabet: int, palette: npt.NDArray[np.uint8] | None) -> Colours:
    """Return what a palette, (K, 3 or 4), tells of the values; without one all are alike far."""
    distance = np.full((alphabet + 1, alphabet + 1), _UNKNOWN, np.int64)
    light = np.zeros(alphabet + 1, np.int64)
    if palette is None:
        np.fill_diagonal(distance, 0)
        return Colours(distance, light)
    entries = palette.astype(np.int64)
    apart = np.abs(entries[:, None] - entries[None]).sum(2) + 2
    size = np.frompyfunc(int.bit_length, 1, 1)(apart.astype(object)).astype(np.int64) - 1
    half = apart * apart >= 2 << (2 * size)
    distance[:-1, :-1] = np.minimum(2 * (size - 1) + half, 15)
    light[:-1] = (2 * entries[:, 0] + 5 * entries[:, 1] + entries[:, 2]) >> 3
    if entries.shape[1] == 4:
        light[:-1][entries[:, 3] == 0] = 0
    light[-1] = 128
    return Colours(distance, light)
