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


def test_vectors_give_the_bits_of_plain_numbers():
    rng = np.random.default_rng(0)
    rows, column = rng.normal(size=(9, LANES)), rng.normal(size=(7, LANES)) * 1e9
    expected = rows.copy()
    _subtract(expected, 3, 1, column, 2, 4)
    run(rows, column)
    np.testing.assert_array_equal(rows.view(np.int64), expected.view(np.int64))


def test_room_starts_on_a_cache_line():
    found = room(5)
    assert found.shape == (5, LANES)
    assert found.ctypes.data % 64 == 0
    assert not found.any()


def test_scaling_gives_the_bits_of_plain_numbers():
    rng = np.random.default_rng(1)
    rows, column, factor = (rng.normal(size=(n, LANES)) for n in (9, 7, 1))
    expected, kept = rows.copy(), column.copy()
    _scale(expected, 3, kept, 2, factor)
    run_scale(rows, column, factor)
    np.testing.assert_array_equal(rows.view(np.int64), expected.view(np.int64))
    np.testing.assert_array_equal(column.view(np.int64), kept.view(np.int64))
