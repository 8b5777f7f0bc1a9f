"""Permutations of channels around the couplings of a level.

They are part of a model, one row before each coupling and one after the last; what is composed
here once costs nothing later. A row p takes values v to v[..., p].

>>> chain("reversed", 1, 4, np.random.default_rng(0)).tolist()
[[3, 2, 1, 0], [0, 1, 2, 3]]
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from idfzip.errors import ModelError

KINDS = ("random", "reversed", "inverted")
"""`random` ones as in Integer Discrete Flows; the order `reversed`; and as in IDF++ (van den Berg
et al. 2021, arXiv:2006.12459) random ones, each `inverted` after its coupling, so that couplings
that add nothing leave every channel in its place."""

Permutations = npt.NDArray[np.int16]


def chain(kind: str, couplings: int, channels: int, rng: np.random.Generator) -> Permutations:
    """Return the permutations of a level, int16 (couplings + 1, channels)."""
    if kind not in KINDS:
        raise ModelError(f"permutation {kind}: one of {', '.join(KINDS)} expected")
    rows = np.tile(np.arange(channels), (couplings + 1, 1))
    if kind == "reversed":
        rows[:-1] = rows[:-1, ::-1]
    else:
        rows[:-1] = rng.permuted(rows[:-1], axis=1)
    if kind == "inverted":
        before = rows.copy()
        for k in range(couplings):
            rows[k + 1] = inverse(before[k])[before[k + 1]]
    return rows.astype(np.int16)


def inverse(permutation: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return the permutation that undoes another."""
    return np.argsort(permutation)


def check(permutations: Permutations, couplings: int, channels: int) -> None:
    """Raise ModelError unless every row is a permutation of the channels."""
    if permutations.shape != (couplings + 1, channels):
        raise ModelError(
            f"permutations of shape {permutations.shape}, {(couplings + 1, channels)} expected"
        )
    if not (np.sort(permutations, axis=1) == np.arange(channels)).all():
        raise ModelError("a permutation does not hold each channel once")
