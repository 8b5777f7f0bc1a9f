from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idfzip.container import parts
from idfzip.container.sections import Section
from idfzip.errors import FormatError

streams = st.lists(st.lists(st.binary(max_size=9), min_size=1, max_size=5), min_size=1, max_size=5)


@given(streams, st.integers(0, 200))
def test_parts_come_back_as_far_as_a_file_goes(found, cut):
    section, ordered = parts.pack(found)
    whole = [b"".join(stream) for stream in found]
    table = parts.unpack(section, [len(stream) for stream in whole])
    assert parts.gathered(b"".join(ordered), table) == whole
    data = b"".join(ordered)[:cut]
    some = parts.gathered(data, table)
    assert all(a.startswith(b) for a, b in zip(whole, some, strict=True))
    assert sum(map(len, some)) == len(data)
    assert parts.through(table, len(table[0])) == sum(map(len, whole))


def test_the_coarse_parts_of_all_tiles_come_first():
    section, ordered = parts.pack([[b"a", b"bb", b"ccc"], [b"d", b"ee", b"f"], [b"raw"]])
    assert b"".join(ordered) == b"adbbeecccfraw"
    table = parts.unpack(section, [6, 4, 3])
    assert [parts.through(table, n) for n in (1, 2, 3)] == [2, 6, 13]
    assert parts.gathered(b"adbb", table) == [b"abb", b"d", b""]


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\2\1", b"\1\1\2", b"\1\2\2", b"\1\1\1\0", b"\xff\xff\xff\x7f\1"]
)
def test_tables_that_do_not_fit_are_refused(data):
    with pytest.raises(FormatError):
        parts.unpack(Section(parts.TAG, data), [1, 1])
