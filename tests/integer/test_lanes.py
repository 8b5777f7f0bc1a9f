from __future__ import annotations

import numpy as np

from idfzip.integer.jit import kernel
from idfzip.integer.lanes import LANES, _scale, _subtract, aligned, scale, subtract


@kernel
def run(rows, column):
    subtract(rows, 3, 1, column, 2, 4)


@kernel
def run_scale(rows, column, factor):
    scale(rows, 3, column, 2, factor)


@kernel
def room(rows):
    return aligned(rows)


def singles(rng, rows):
    return rng.normal(size=(rows, LANES)).astype(np.float32)


def test_vectors_give_the_bits_of_plain_numbers():
    rng = np.random.default_rng(0)
    rows, column = singles(rng, 9), singles(rng, 7) * np.float32(1e9)
    expected = rows.copy()
    _subtract(expected, 3, 1, column, 2, 4)
    run(rows, column)
    np.testing.assert_array_equal(rows.view(np.int32), expected.view(np.int32))


def test_room_starts_on_a_cache_line():
    found = room(5)
    assert found.shape == (5, LANES)
    assert found.ctypes.data % 64 == 0
    assert not found.any()


def test_scaling_gives_the_bits_of_plain_numbers():
    rng = np.random.default_rng(1)
    rows, column, factor = (singles(rng, n) for n in (9, 7, 1))
    expected, kept = rows.copy(), column.copy()
    _scale(expected, 3, kept, 2, factor)
    run_scale(rows, column, factor)
    np.testing.assert_array_equal(rows.view(np.int32), expected.view(np.int32))
    np.testing.assert_array_equal(column.view(np.int32), kept.view(np.int32))
