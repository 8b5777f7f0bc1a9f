"""Multiscale structural similarity, as it was published: the figure that pictures are judged by.

Wang, Simoncelli and Bovik 2003, "Multiscale structural similarity for image quality assessment":
five scales, a Gaussian window of 11 pixels and standard deviation 1.5, K1 = 0.01, K2 = 0.03, only
where the window lies inside, halved by means of 2 x 2 pixels; exponents as in its section 3.2. Of
colour the mean over red, green and blue, as is usual for learned codecs (Ballé et al. 2018,
arXiv:1802.01436). Where contrast and structure are negative, they count as 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, the finest first."""

_SIDE, _DEVIATION = 11, 1.5
LEAST = _SIDE * 2 ** (len(WEIGHTS) - 1)
"""Shortest side of a picture: 176 pixels."""

_ROWS = 48

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]


def ms_ssim(first: Pixels, second: Pixels) -> float:
    """Return the similarity of two pictures, uint8 (height, width, C): 1 where they are equal.

    Both sides are at least 176 pixels, else ValueError.

    >>> flat = np.full((200, 180, 1), 90, np.uint8)
    >>> ms_ssim(flat, flat)
    1.0
    """
    if first.shape != second.shape or min(first.shape[:2]) < LEAST:
        raise ValueError(f"pictures of {first.shape} and {second.shape}: {LEAST} pixels or more")
    found = [_plane(first[..., c], second[..., c]) for c in range(first.shape[2])]
    return float(np.mean(found))


def _plane(first: Pixels, second: Pixels) -> float:
    a, b = first.astype(np.float64), second.astype(np.float64)
    result = 1.0
    for i, weight in enumerate(WEIGHTS):
        whole, contrast = _scale(a, b)
        part = whole if i == len(WEIGHTS) - 1 else contrast
        result *= max(part, 0.0) ** weight
        a, b = _halved(a), _halved(b)
    return result


def _scale(a: Array, b: Array) -> tuple[float, float]:
    """Return the mean similarity, and that of contrast and structure alone."""
    totals, count = np.zeros(2), 0
    for top in range(0, len(a) - _SIDE + 1, _ROWS):  # a few rows at a time stay in a cache
        rows = slice(top, min(top + _ROWS, len(a) - _SIDE + 1) + _SIDE - 1)
        found = _maps(a[rows], b[rows])
        totals += [part.sum() for part in found]
        count += found[0].size
    return float(totals[0] / count), float(totals[1] / count)


def _maps(a: Array, b: Array) -> tuple[Array, Array]:
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = _blurred(a), _blurred(b)
    va, vb = _blurred(a * a) - ma * ma, _blurred(b * b) - mb * mb
    contrast = (2 * (_blurred(a * b) - ma * mb) + c2) / (va + vb + c2)
    light = (2 * ma * mb + c1) / (ma * ma + mb * mb + c1)
    return light * contrast, contrast


def _blurred(values: Array) -> Array:
    """Return values under the Gaussian window, where it lies inside."""
    return _summed(_summed(values).T).T


def _summed(values: Array) -> Array:
    """Return the weighted sums of 11 rows each."""
    half = _SIDE // 2
    window = np.exp(-0.5 * ((np.arange(_SIDE) - half) / _DEVIATION) ** 2)
    window /= window.sum()
    count = len(values) - _SIDE + 1
    out: Array = window[half] * values[half : half + count]
    for i in range(half):
        mirror = _SIDE - 1 - i
        out += window[i] * (values[i : i + count] + values[mirror : mirror + count])
    return out


def _halved(values: Array) -> Array:
    """Return the means of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = (n // 2 * 2 for n in values.shape)
    v = values[:height, :width]
    found: Array = (v[::2, ::2] + v[1::2, ::2] + v[::2, 1::2] + v[1::2, 1::2]) / 4
    return found


def decibels(similarity: float) -> float:
    """Return a similarity as -10 log10(1 - similarity), in which differences near 1 show."""
    return float(-10 * np.log10(max(1 - similarity, 1e-10)))
