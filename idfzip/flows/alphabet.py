"""The number of values of a channel, and what follows from it: bounds, and finer tables.

A flow counts in steps of the planes, whatever their depth: the network and the prior see everything
over the local error size, so one model serves all depths. For more than 256 values only the ends
move: differences, errors and predictions may be larger, sums are of 64 bits instead of 32, and
the tables of scales go on, by four to an octave.

Tries with the released models, trained on 8 bits (bits per sample: microscopy, the mean of seven
pictures of 10 to 13 bits; photographs, the means of five with blocks of 4x4 summed, 12 bits, and of
the same in linear light, 16 bits; JPEG XL with effort 9 has 6.186, 7.880, 11.349):

* all as for 8 bits 5.921, 7.280, 10.778;
* the scale that the network is told at most 2**5.5 steps 5.919, 7.263, 10.660; 2**4 5.918, 7.248,
  10.620; 2**3 5.915, 7.244, 10.603; 2**2 5.910, 7.245, 10.600; 2 5.907, 7.256, 10.610. The fourth
  is taken;
* the first channel's mean as an input: not shifted down but as the distance from either end, in
  steps, 5.925, 7.385, 10.924; nothing instead 5.918, 7.275, 10.721, and with the scale at most
  2**3 -, 7.253, 10.613;
* ridges of the expert 16 and 256 times as large 5.923, 5.944; samples over a power of two near the
  sum of their differences, so that noisy places weigh less, 5.921 to 6.017;
* rates of learning of 300, 1000, 1600 (the grey model's is 700, that of colour 1200) 5.940, 5.922,
  5.926.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.errors import ModelError

LEAST, MOST = 1, 1 << 16

LOUDEST = 64
"""The scale of 4 steps: a network trained on 8 bits codes wilder places of deep channels better if
not told how wild they are (see the module's text)."""

Integers = npt.NDArray[np.signedinteger[Any]]
"""Planes or sums of a batch: int32, or int64 for more than 256 values; kernels are made for both,
and count in the type of the array that they are given."""


class Alphabet(NamedTuple):
    """The first channel is in [0, values), others in [-first, values - 1 - first].

    `deep` bits beyond 8; `limit` is the size to which differences are clamped in samples, so that
    the sums of their products fit (see `window`); `loudest` the largest logarithm of a scale that
    the network is told, in 1/32 of an octave.
    """

    values: int
    deep: int
    limit: int
    loudest: int


def alphabet(values: int) -> Alphabet:
    """Return what follows from a number of values, 1 to 65536; raises ModelError for others."""
    if not LEAST <= values <= MOST:
        raise ModelError(f"{values} values a channel: {LEAST} to {MOST} can be coded")
    deep = max(0, (values - 1).bit_length() - 8)
    return Alphabet(values, deep, (256 << deep) - 1, LOUDEST if deep else MOST)


def integer_type(one: Alphabet) -> type[np.signedinteger[Any]]:
    """Return the type of planes and sums."""
    return np.int64 if one.deep else np.int32


BYTES = alphabet(256)
"""The alphabet of channels of 8 bits."""
