"""The prior's float likelihood: mixture of discretized logistics (Salimans et al. 2017).

As in `idfzip.priors.mixture`, whose integers it approximates: the tails go to the end values, and
every value keeps 2**-24 of probability.
"""

from __future__ import annotations

import torch
from torch import Tensor

FLOOR = 2.0**-24
VALUES = 256
LOWEST_SCALE, HIGHEST_SCALE = -5.5, 7.4375
"""Limits of log2 of a scale, in steps: the ends of the prior's table."""


def bits(
    sums: Tensor,
    scale: Tensor,
    mean: Tensor,
    value: Tensor,
    low: Tensor,
    values: int = VALUES,
) -> Tensor:
    """Return the bits of each value, shape (rows,).

    `sums` (rows, 3 K): logits, means and log2 scales in units of `scale` (rows,), which is log2 of
    steps; `mean` (rows,) the expert's, in steps; `value` and `low`, the lower end of an alphabet of
    so many `values`.
    """
    k = sums.shape[1] // 3
    centre = mean[:, None] + sums[:, k : 2 * k] * torch.exp2(scale)[:, None]
    spread = (scale[:, None] + sums[:, 2 * k :] - 1).clamp(LOWEST_SCALE, HIGHEST_SCALE)
    inverse = torch.exp2(-spread)
    distance = value[:, None] - centre
    upper = torch.sigmoid((distance + 0.5) * inverse)
    lower = torch.sigmoid((distance - 0.5) * inverse)
    upper = torch.where((value >= low + (values - 1))[:, None], 1.0, upper)
    lower = torch.where((value <= low)[:, None], 0.0, lower)
    mass = (torch.softmax(sums[:, :k], 1) * (upper - lower)).sum(1)
    return -torch.log2(mass * (1 - values * FLOOR) + FLOOR)
