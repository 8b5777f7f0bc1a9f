"""Discrete flows on Z_K: y = (mu + sigma x) mod K, for values that are categories.

Tran et al. 2019, arXiv:1905.10347, equation 5. `sigma` is coprime to K, which makes the map a
permutation of the K values for any K; its inverse is found by the extended Euclidean algorithm.
For K = 2 the only scale is 1, and the map is XOR (their equation 3). mu and sigma come from a
network that sees other dimensions: those before, of an *autoregressive* flow, or those of the other
parity, which a *bipartite* layer leaves as they are.

>>> transform(np.arange(6), 1, 5, 6).tolist()
[1, 0, 5, 4, 3, 2]
>>> restore(transform(np.arange(6), 1, 5, 6), 1, 5, 6).tolist()
[0, 1, 2, 3, 4, 5]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd

import numpy as np
import numpy.typing as npt

from idfzip.errors import ModelError
from idfzip.integer import grid
from idfzip.integer.dense import Layer

Values = npt.NDArray[np.int64]


def units(alphabet: int) -> Values:
    """Return the scales that have an inverse modulo K: those coprime to it, from 1 up."""
    return np.array([s for s in range(1, max(alphabet, 2)) if gcd(s, alphabet) == 1], np.int64)


def reciprocal(scale: int, alphabet: int) -> int:
    """Return the r with r * scale = 1 modulo K, by the extended Euclidean algorithm.

    Raises ModelError where `scale` and K have a common divisor.
    """
    r, s = alphabet, scale % alphabet
    before, found = 0, 1
    while s:
        before, found, r, s = found, before - r // s * found, s, r % s
    if r != 1:
        raise ModelError(f"scale {scale} has no inverse modulo {alphabet}")
    return before % alphabet


def transform(x: npt.ArrayLike, mu: npt.ArrayLike, sigma: npt.ArrayLike, alphabet: int) -> Values:
    """Return (mu + sigma x) mod K, elementwise."""
    return np.asarray((np.asarray(mu) + np.asarray(sigma) * np.asarray(x)) % alphabet, np.int64)


def restore(y: npt.ArrayLike, mu: npt.ArrayLike, sigma: npt.ArrayLike, alphabet: int) -> Values:
    """Undo `transform`; raises ModelError where a scale has no inverse."""
    scales, at = np.unique(np.asarray(sigma), return_inverse=True)
    table = np.array([reciprocal(int(s), alphabet) for s in scales], np.int64)
    turned = table[at].reshape(np.shape(sigma))
    return np.asarray((np.asarray(y) - np.asarray(mu)) * turned % alphabet, np.int64)


@dataclass(frozen=True)
class Conditioner:
    """A network from categories to mu and sigma, in whole numbers.

    It sees categories as one-hot vectors of K + 1 places (the last: outside), side by side; `last`
    gives a sum for each mu and then for each of `units(K)`. The first largest of each is taken.
    """

    alphabet: int
    hidden: Layer
    last: Layer

    def __post_init__(self) -> None:
        """Raise ModelError unless the layers fit each other and float32 carries their sums."""
        rows, width = self.hidden.weight.shape
        outputs = self.alphabet + len(units(self.alphabet))
        if rows % (self.alphabet + 1) or self.last.weight.shape != (width, outputs):
            raise ModelError(f"conditioner of {rows} x {width}, {self.last.weight.shape}")

    @property
    def inputs(self) -> int:
        """Number of categories it sees."""
        return int(self.hidden.weight.shape[0]) // (self.alphabet + 1)

    @cached_property
    def _rows(self) -> Values:
        one = 1 << grid.ACTIVATION_BITS
        table = self.hidden.weight.astype(np.int64) * one
        return table.reshape(self.inputs, self.alphabet + 1, -1)

    def __call__(self, seen: Values) -> tuple[Values, Values]:
        """Return mu and sigma, (...), for categories (..., inputs) in [0, K]."""
        sums = np.zeros((*seen.shape[:-1], len(self.hidden.bias)), np.int64) + self.hidden.bias
        for i in range(self.inputs):
            sums += self._rows[i, seen[..., i]]
        whole = (sums + grid.HALF) >> grid.WEIGHT_BITS
        leaked = np.maximum(whole, whole >> grid.LEAK_SHIFT)
        values = np.clip(leaked, -grid.ACTIVATION_LIMIT, grid.ACTIVATION_LIMIT)
        # Whole numbers far below 2**53: doubles add them exactly in any order, and quickly.
        out = values.astype(np.float64) @ self.last.weight.astype(np.float64) + self.last.bias
        mu = out[..., : self.alphabet].argmax(-1)
        return mu, units(self.alphabet)[out[..., self.alphabet :].argmax(-1)]


@dataclass(frozen=True)
class Modular:
    """One layer on rows of D categories: dimension d sees the dimensions d + `offsets`.

    Autoregressive, if all offsets are negative (or all positive, from the right to the left):
    every dimension moves. Bipartite, if all are odd and `parity` is 0 or 1: dimensions of this
    parity move, the others, which are all that is seen, stay.
    """

    offsets: tuple[int, ...]
    parity: int | None
    conditioner: Conditioner

    def __post_init__(self) -> None:
        """Raise ModelError where the layer could not be undone."""
        signs = {offset > 0 for offset in self.offsets}
        if self.parity is None:
            fits = 0 not in self.offsets and len(signs) < 2
        else:
            fits = self.parity in (0, 1) and all(offset % 2 for offset in self.offsets)
        if not fits or len(self.offsets) != self.conditioner.inputs:
            raise ModelError(f"offsets {self.offsets} do not make a layer that can be undone")

    def _moves(self, values: Values, places: Sequence[int] | Values) -> tuple[Values, Values]:
        """Return mu and sigma at some places of rows (n, D)."""
        alphabet, size = self.conditioner.alphabet, values.shape[1]
        at = np.asarray(places)[:, None] + np.array(self.offsets, np.int64)
        inside = (at >= 0) & (at < size)
        return self.conditioner(np.where(inside, values[:, np.clip(at, 0, size - 1)], alphabet))

    def _moving(self, size: int) -> Values:
        return np.arange(size) if self.parity is None else np.arange(self.parity, size, 2)

    def forward(self, values: Values) -> Values:
        """Return rows (n, D) after the layer."""
        out, places = values.copy(), self._moving(values.shape[1])
        mu, sigma = self._moves(values, places)
        out[:, places] = transform(values[:, places], mu, sigma, self.conditioner.alphabet)
        return out

    def inverse(self, values: Values) -> Values:
        """Undo `forward`: at once if bipartite, else dimension by dimension."""
        out = values.copy()
        for places in self._steps(values.shape[1]):
            mu, sigma = self._moves(out, places)
            out[:, places] = restore(out[:, places], mu, sigma, self.conditioner.alphabet)
        return out

    def _steps(self, size: int) -> list[Values]:
        places = self._moving(size)
        if self.parity is not None:
            return [places]
        ordered = places if all(offset < 0 for offset in self.offsets) else places[::-1]
        return [ordered[i : i + 1] for i in range(size)]


def forward(layers: Sequence[Modular], values: Values) -> Values:
    """Return rows (n, D), categories in [0, K), after all layers."""
    for layer in layers:
        values = layer.forward(values)
    return values


def inverse(layers: Sequence[Modular], values: Values) -> Values:
    """Undo `forward`."""
    for layer in reversed(layers):
        values = layer.inverse(values)
    return values
