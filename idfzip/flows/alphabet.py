"""The number of values of a channel, and what follows from it: bounds, and finer tables.

A flow counts in steps of the planes, whatever their depth: the network and the prior see everything
over the local error size, so one model serves all depths. For more than 256 values only the ends
move: differences, errors and predictions may be larger, sums are of 64 bits instead of 32, and
the tables of scales go on, by four to an octave.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.errors import ModelError

LEAST, MOST = 1, 1 << 16

Integers = npt.NDArray[np.signedinteger[Any]]
"""Planes or sums of a batch: int32, or int64 for more than 256 values; kernels are made for both,
and count in the type of the array that they are given."""


class Alphabet(NamedTuple):
    """The first channel is in [0, values), others in [-first, values - 1 - first].

    `deep` bits beyond 8; `limit` is the size to which differences are clamped in samples, so that
    the sums of their products fit (see `window`).
    """

    values: int
    deep: int
    limit: int


def alphabet(values: int) -> Alphabet:
    """Return what follows from a number of values, 1 to 65536; raises ModelError for others."""
    if not LEAST <= values <= MOST:
        raise ModelError(f"{values} values a channel: {LEAST} to {MOST} can be coded")
    deep = max(0, (values - 1).bit_length() - 8)
    return Alphabet(values, deep, (256 << deep) - 1)


def integer_type(one: Alphabet) -> type[np.signedinteger[Any]]:
    """Return the type of planes and sums."""
    return np.int64 if one.deep else np.int32


BYTES = alphabet(256)
"""The alphabet of channels of 8 bits."""
