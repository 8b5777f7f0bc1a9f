"""Squeeze: each 2x2 square becomes one place of four times the channels (space to depth).

After Real NVP (Dinh et al. 2017, arXiv:1605.08803). The channels of the upper left value come
first, then those of the upper right, the lower left and the lower right one: the first half of
the channels is the even rows, from which the odd rows are predicted where they are factored out.
"""

from __future__ import annotations

from idfzip.integer.densenet import Values


def forward(values: Values) -> Values:
    """Return (height / 2, width / 2, 4 C) of values (height, width, C), both sides even."""
    height, width, channels = values.shape
    squares = values.reshape(height // 2, 2, width // 2, 2, channels).transpose(0, 2, 1, 3, 4)
    return squares.reshape(height // 2, width // 2, 4 * channels)


def inverse(values: Values) -> Values:
    """Return (2 height, 2 width, C / 4) of values (height, width, C)."""
    height, width, channels = values.shape
    squares = values.reshape(height, width, 2, 2, channels // 4).transpose(0, 2, 1, 3, 4)
    return squares.reshape(2 * height, 2 * width, channels // 4)
