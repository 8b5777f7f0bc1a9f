from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.integer.jit import kernel
from idfzip.integer.log2 import log2, log2_table

TABLE = log2_table()


@kernel
def both(value, table):
    return log2(value, table)


@given(st.integers(1, (1 << 53) - 1))
@settings(deadline=None, max_examples=300)
def test_is_the_bit_length_and_the_table(value):
    exponent = value.bit_length() - 1
    expected = 16 * exponent + TABLE[((value << 6) >> exponent) & 63]
    assert both(value, TABLE) == expected
    assert abs(both(value, TABLE) - 16 * np.log2(value)) < 0.8


def test_nothing_and_less_count_as_one():
    assert both(0, TABLE) == both(-7, TABLE) == both(1, TABLE) == 0
