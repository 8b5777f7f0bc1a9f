"""The additive coupling on integers: z_b = x_b - round(t(x_a)).

Integer Discrete Flows, Hoogeboom et al. 2019, arXiv:1905.07376, section 3. Here values are taken
modulo 256, into [-128, 127]: the coupling stays invertible, equals the published one wherever no
value leaves that range, and gives every latent one alphabet of 256 values, which bounds both the
prior's alphabet and the inputs of networks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from idfzip.integer import grid
from idfzip.integer.densenet import DenseNet, Values

VALUES = 256
LOW = -128
"""The least value; the alphabet is LOW .. LOW + 255."""

UNIT_BITS = 4
"""A network's 1 stands for 2**4 steps of t."""

SHIFT = grid.SUM_BITS - UNIT_BITS


def wrap(values: npt.NDArray[np.integer]) -> Values:
    """Return values modulo 256, in [-128, 127]."""
    return ((values - LOW) & 255).astype(np.int32) + np.int32(LOW)


def _translation(net: DenseNet, values: Values) -> Values:
    """Return round(t(x_a)): a half rounds up."""
    return (net.sums(values[..., : net.inputs]) + (1 << (SHIFT - 1))) >> SHIFT


def forward(net: DenseNet, values: Values) -> Values:
    """Return the values after the coupling: the network sees the first channels."""
    out = values.copy()
    out[..., net.inputs :] = wrap(values[..., net.inputs :] - _translation(net, values))
    return out


def inverse(net: DenseNet, values: Values) -> Values:
    """Undo `forward`."""
    out = values.copy()
    out[..., net.inputs :] = wrap(values[..., net.inputs :] + _translation(net, values))
    return out
