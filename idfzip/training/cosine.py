"""What the networks of the lossy codec begin as: a cosine transform of squares, as JPEG's.

Each network has a linear shortcut from its input to its output. The shortcuts begin as the lowest
frequencies of a discrete cosine transform of 8 x 8 pixels, of which a coarser level has the means
and a finer one what these leave; training begins with pictures, and not with noise.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

SIDE = 8
_REACH = 7.0
"""An orthonormal coefficient over this is an activation: white and black just reach its limits."""

_COLOURS = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
_CHROMA = 6
"""Squared frequencies of chroma count so many times."""


def _basis(channels: int, count: int) -> npt.NDArray[np.float64]:
    """Return the lowest frequencies, (count, 64 channels): squares row by row, then channels."""
    at = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    waves = np.cos(np.arange(SIDE)[:, None] * at) / np.sqrt(SIDE / 2)
    waves[0] /= np.sqrt(2)
    colours = _COLOURS if channels == 3 else np.ones((1, 1))
    places = itertools.product(range(channels), range(SIDE), range(SIDE))

    def order(place: tuple[int, int, int]) -> tuple[int, tuple[int, int, int]]:
        c, u, v = place
        return (u * u + v * v) * (_CHROMA if c else 1) + (c > 0), place

    lowest = sorted(places, key=order)[:count]
    rows = [np.einsum("y,x,c->yxc", waves[u], waves[v], colours[c]).ravel() for c, u, v in lowest]
    return np.stack(rows)


def _float(values: npt.NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def encoder(channels: int, size: int, width: int) -> Tensor:
    """Return the shortcut from pixels to features, (width, 64 channels)."""
    weight = np.zeros((width, SIDE * SIDE * channels))
    weight[: min(size, width)] = _basis(channels, size)[:width] / _REACH
    return _float(weight)


def coarser(size: int, width: int) -> Tensor:
    """Return the shortcut from features to those of squares of 2, (width, 4 width): means."""
    weight = np.zeros((width, 4, width))
    for d in range(min(size, width)):
        weight[d, :, d] = 0.25
    return _float(weight.reshape(width, 4 * width))


def head(size: int, width: int, context: int) -> Tensor:
    """Return the shortcut to what is quantised: features less context, (size, width + context)."""
    weight = np.zeros((size, width + context))
    for d in range(min(size, width)):
        weight[d, d] = 1
        if d < context:
            weight[d, width + d] = -1
    return _float(weight)


def finer(size: int, context: int, given: int) -> Tensor:
    """Return the shortcut to the next context: what is known so far, (4 context, given + size)."""
    weight = np.zeros((4, context, given + size))
    for d in range(min(size, context)):
        weight[:, d, given + d] = 1
        if d < given:
            weight[:, d, d] = 1
    return _float(weight.reshape(4 * context, given + size))


def painter(channels: int, size: int, context: int) -> Tensor:
    """Return the shortcut to pixels, (64 channels, context + size)."""
    basis = _basis(channels, size).T * (_REACH / 2)
    weight = np.zeros((SIDE * SIDE * channels, context + size))
    weight[:, context:] = basis
    known = min(context, size)
    weight[:, :known] = basis[:, :known]
    return _float(weight)
