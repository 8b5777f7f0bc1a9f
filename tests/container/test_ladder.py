from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.container import ladder
from idfzip.container.sections import Reader, number
from idfzip.errors import FormatError
from idfzip.flows import depth
from idfzip.flows.depth import Ladder


@given(st.sets(st.integers(0, 65535), min_size=1, max_size=300), st.sampled_from([1, 4, 257]))
@settings(deadline=None)
def test_ladders_come_back(values, step):
    one = Ladder(np.unique(np.array(sorted(values)) // step * step))
    data = ladder.pack(one)
    reader = Reader(data + b"more")
    np.testing.assert_array_equal(ladder.unpack(reader).values, one.values)
    assert reader.left == 4


@pytest.mark.parametrize("one", [(0, 255, 1), (0, 65535, 1), (96, 65520, 16), (7, 7, 1)])
def test_even_ladders_take_a_handful_of_bytes(one):
    assert len(ladder.pack(depth.even(*one))) <= 7


def packed(first, more, step, gaps=None):
    listed = b"" if gaps is None else depth.zlib.compress(b"".join(map(number, gaps)))
    return number(first) + number(more) + number(step) + number(len(listed)) + listed


@pytest.mark.parametrize(
    "data",
    [
        b"",
        number(65536) + number(0),
        packed(0, 65536, 1),
        packed(0, 10, 0),
        packed(0, 10, 65536),
        packed(65530, 10, 1),
        packed(0, 2, 1, [1, 0]),
        packed(0, 2, 1, [1]),
        packed(0, 2, 1, [1, 2, 3]),
        packed(0, 2, 1, [1, 65536]),
        packed(0, 2, 1, [1, 70000])[:-3],
        packed(0, 2, 1, [1, 2])[:-5] + b"x" * 5,
        packed(0, 2, 1)[:-1] + number(9) + b"no deflate",
        packed(0, 2, 1, [1] * 100000),
    ],
)
def test_what_is_no_ladder_is_refused(data):
    with pytest.raises(FormatError):
        ladder.unpack(Reader(data))
