"""Reversible colour: G, R - G, B - G.

The adaptive expert predicts the later channels from the earlier ones at the same pixel, so the
transform only has to be a fair start. R - G of a pixel lies in [-G, 255 - G], hence every coded
channel has an alphabet of 256 values whose lower end the decoder knows; so with other alphabets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def forward(pixels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
    """Return the planes, int32 (C, height, width), of integers (height, width, C), C 1 or 3."""
    p = pixels.astype(np.int32)
    if p.shape[2] == 1:
        return np.ascontiguousarray(p.transpose(2, 0, 1))
    green = p[..., 1]
    return np.stack([green, p[..., 0] - green, p[..., 2] - green])


def inverse(planes: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return the whole numbers, int32 (height, width, C), of planes (C, height, width)."""
    if planes.shape[0] == 1:
        return np.ascontiguousarray(planes.transpose(1, 2, 0))
    green = planes[0]
    return np.stack([planes[1] + green, green, planes[2] + green], axis=-1)
