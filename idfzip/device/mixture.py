"""Mixtures of discretized logistics (see `priors.mixture`, `priors.mixtures`)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from idfzip.coding.ans import PRECISION, TOTAL
from idfzip.device.machine import Machine
from idfzip.priors import mixture
from idfzip.priors.mixture import END, LOWEST, SIGMOID_BITS, WEIGHT_BITS

Doubles = torch.float64


class Tables(NamedTuple):
    """`priors.mixture.Tables` on a device, int64."""

    exp: Tensor
    sigmoid: Tensor
    inverse: Tensor
    span: Tensor


def tables(machine: Machine, found: mixture.Tables) -> Tables:
    """Return a model's tables on a device."""
    return Tables(*(machine.tensor(getattr(found, name), torch.int64) for name in Tables._fields))


def pairs(sigmoid: Tensor) -> Tensor:
    """Return a table's values and, 32 bits up, their rises to the next: a load each for kernels."""
    return sigmoid[:-1] + ((sigmoid[1:] - sigmoid[:-1]) << 32)


class Mixtures(NamedTuple):
    """Mixtures, int64 (N, K), of alphabets that begin at `lows`, (N,); `spans` (N,): scales."""

    weights: Tensor
    means: Tensor
    inverses: Tensor
    lows: Tensor
    spans: Tensor


class Edges(NamedTuple):
    """Where values' edges lie in each logistic, in 2**-15, and the sigmoid there: (N, K)."""

    places: Tensor
    levels: Tensor


def mix(sums: Tensor, scales: Tensor, centres: Tensor, lows: Tensor, tables: Tables) -> Mixtures:
    """Turn a head's sums, (N, 3 K) whole numbers, into mixtures; scales are indices (N,)."""
    logits, shifts, logs = sums.to(torch.int64).chunk(3, 1)
    k = logits.shape[1]
    best = logits.argmax(1, keepdim=True)  # the first of the largest
    top = logits.gather(1, best)
    parts = tables.exp[((top - logits) >> 7).clamp(max=len(tables.exp) - 1)]
    weights = (parts << WEIGHT_BITS) // parts.sum(1, keepdim=True)
    rest = (1 << WEIGHT_BITS) - weights.sum(1, keepdim=True)
    chosen = torch.arange(k, device=sums.device) == best
    spans = tables.span[scales]
    spread = 4 * scales[:, None] - 64 + ((logs + 512) >> 10) + LOWEST
    return Mixtures(
        weights + chosen * rest,
        centres[:, None] + ((shifts * spans[:, None] + (1 << 17)) >> 18),
        tables.inverse[spread.clamp(0, len(tables.inverse) - 1)],
        lows,
        spans,
    )


def edges(values: Tensor, alphabet: int, found: Mixtures, sigmoid: Tensor) -> Edges:
    """Return the lower edges of values, int64 (N,); those of the alphabet's ends are infinite."""
    step = (values - found.lows)[:, None]
    distance = 64 * values[:, None] - 32 - found.means
    places = ((distance * found.inverses) >> 12).clamp(-END, END - 1)
    places = torch.where(step > 0, places, -END)
    places = torch.where(step < alphabet, places, END - 1)
    shifted = places + END
    cells = shifted >> 10
    left = sigmoid[cells]
    return Edges(places, left + (((sigmoid[cells + 1] - left) * (shifted & 1023)) >> 10))


def ends(values: Tensor, alphabet: int, found: Mixtures, levels: Tensor) -> Tensor:
    """Return the frequencies of all values below these, of 2**24: `mixture.cumulative`."""
    mass = (found.weights * levels).sum(1)
    step = values - found.lows
    inner = ((mass * (TOTAL - alphabet)) >> (WEIGHT_BITS + SIGMOID_BITS)) + step
    inner = torch.where(step > 0, inner, 0)
    return torch.where(step < alphabet, inner, TOTAL)


def cumulative(values: Tensor, alphabet: int, found: Mixtures, sigmoid: Tensor) -> Tensor:
    """Return the frequencies of all values below these, of 2**24."""
    return ends(values, alphabet, found, edges(values, alphabet, found, sigmoid).levels)


def slopes(lower: Edges, upper: Edges, found: Mixtures) -> Tensor:
    """Return how the nats of values depend on the head's sums: `mixtures.slope`.

    float32 (N, 3 K), whole numbers, in 2**-6.
    """
    least = 1 << (WEIGHT_BITS + SIGMOID_BITS - PRECISION)
    total = (found.weights * (upper.levels - lower.levels)).sum(1, keepdim=True) + least
    whole = total.to(Doubles) * 2.0 ** -(WEIGHT_BITS + SIGMOID_BITS)
    share = torch.reciprocal(whole)
    top = upper.levels.to(Doubles) * 2.0**-SIGMOID_BITS
    bottom = lower.levels.to(Doubles) * 2.0**-SIGMOID_BITS
    weight = found.weights.to(Doubles) * 2.0**-WEIGHT_BITS * share
    rising, falling = top * (1.0 - top), bottom * (1.0 - bottom)
    units = (found.spans[:, None] * found.inverses).to(Doubles) * 2.0**-31
    far_top = upper.places.to(Doubles) * 2.0**-15
    far_bottom = lower.places.to(Doubles) * 2.0**-15
    parts = [
        weight * (whole - (top - bottom)),
        weight * (rising - falling) * units,
        weight * (far_top * rising - far_bottom * falling) * 0.693147,
    ]
    return torch.floor(torch.cat(parts, 1) * 64.0 + 0.5).clamp(-127, 127).to(torch.float32)
