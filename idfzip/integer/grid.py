"""The grids that everything between pixels and bits lies on.

A weight is w / 256 with |w| <= 1023, an activation a / 64 with |a| <= 511, a sum and a bias
s / 2**14. All are whole numbers, so float32 carries a layer exactly where every partial sum is
below 2**24; both sizes are exact in TF32 as well (11 significant bits).
"""

from __future__ import annotations

WEIGHT_BITS = 8
WEIGHT_LIMIT = 1023
ACTIVATION_BITS = 6
ACTIVATION_LIMIT = 511
SUM_BITS = WEIGHT_BITS + ACTIVATION_BITS
EXACT = 1 << 24
"""Whole numbers below this are exact in float32, in whatever order they are added."""

LEAK_SHIFT = 3
"""The activation is max(a, a >> 3), leaky with slope 1/8, rounded down."""

HALF = 1 << (WEIGHT_BITS - 1)
"""Added before a sum is shifted down to an activation."""
