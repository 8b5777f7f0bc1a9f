"""Reversible colour: G, R - G, B - G.

The adaptive expert predicts the later channels from the earlier ones at the same pixel, so the
transform only has to be a fair start. R - G of a pixel lies in [-G, 255 - G], hence every coded
channel has an alphabet of 256 values whose lower end the decoder knows; so with other alphabets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from idfzip.flows.alphabet import Integers
from idfzip.flows.depth import Samples
from idfzip.integer.jit import inlined, kernel


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


def to_planes(samples: Samples, numbers: npt.NDArray[np.uint16]) -> npt.NDArray[np.int32]:
    """Return the planes, int32 (C, height, width), of samples (height, width, C), C 1 or 3.

    `numbers` is what stands for each sample: `forward(numbers[samples])` at one go, and other
    threads go on meanwhile.
    """
    height, width, channels = samples.shape
    planes = np.empty((channels, height, width), np.int32)
    _to_planes(samples, numbers, planes)
    return planes


@kernel
def _to_planes(
    samples: Samples, numbers: npt.NDArray[np.uint16], planes: npt.NDArray[np.int32]
) -> None:
    channels, height, width = planes.shape
    for y in range(height):
        if channels == 1:
            for x in range(width):
                planes[0, y, x] = numbers[samples[y, x, 0]]
        else:
            for x in range(width):
                green = np.int32(numbers[samples[y, x, 1]])
                planes[0, y, x] = green
                planes[1, y, x] = np.int32(numbers[samples[y, x, 0]]) - green
                planes[2, y, x] = np.int32(numbers[samples[y, x, 2]]) - green


def to_samples(planes: Integers, values: Samples) -> Samples:
    """Return the samples (height, width, C), of the type of `values`, of planes.

    `values[inverse(planes)]` at one go; numbers out of range, of damaged streams, are clamped.
    """
    channels, height, width = planes.shape
    samples = np.empty((height, width, channels), values.dtype)
    _to_samples(planes, values, samples)
    return samples


@inlined
def _inside(number: Any, most: int) -> Any:
    return min(max(number, 0), most)


@kernel
def _to_samples(planes: Integers, values: Samples, samples: Samples) -> None:
    channels, height, width = planes.shape
    most = len(values) - 1
    for y in range(height):
        if channels == 1:
            for x in range(width):
                samples[y, x, 0] = values[_inside(planes[0, y, x], most)]
        else:
            for x in range(width):
                green = np.int64(planes[0, y, x])
                samples[y, x, 0] = values[_inside(planes[1, y, x] + green, most)]
                samples[y, x, 1] = values[_inside(green, most)]
                samples[y, x, 2] = values[_inside(planes[2, y, x] + green, most)]
