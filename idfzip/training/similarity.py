"""How far pictures lie apart: squared error, and a structural similarity of several scales.

After Wang et al. 2003, "Multiscale structural similarity for image quality assessment", with square
windows in place of Gaussian ones, which cost a processor a tenth: for training only, figures are
those of `idfzip.bench.similarity`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, the finest first."""

_WINDOW = 8
_C1, _C2 = 0.01**2, 0.03**2


def dissimilarity(first: Tensor, second: Tensor) -> Tensor:
    """Return 1 less the mean similarity of pictures, (N, C, H, W) in [0, 1]; a scalar.

    As many scales as windows of 8 pixels fit into.
    """
    factors = []
    weights = WEIGHTS[: max(1, min(first.shape[2:]).bit_length() - 3)]
    for i, weight in enumerate(weights):
        if i:
            first, second = avg_pool2d(first, 2), avg_pool2d(second, 2)
        light, contrast = _parts(first, second)
        part = contrast * light if i == len(weights) - 1 else contrast
        factors.append(part.mean((2, 3)).clamp(min=1e-3) ** (weight / sum(weights)))
    return 1 - torch.stack(factors).prod(0).mean()


def _parts(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return luminance, and contrast with structure, of each window."""
    n = len(first)
    both = torch.cat([first, second, first.square(), second.square(), first * second])
    means = avg_pool2d(both, _WINDOW, 2 if min(first.shape[2:]) > _WINDOW else 1)
    a, b, aa, bb, ab = (means[i * n : (i + 1) * n] for i in range(5))
    light = (2 * a * b + _C1) / (a.square() + b.square() + _C1)
    contrast = (2 * (ab - a * b) + _C2) / (aa + bb - a.square() - b.square() + _C2)
    return light, contrast
