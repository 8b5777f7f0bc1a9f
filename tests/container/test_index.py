from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.container import index
from idfzip.container.header import FLAGSHIP, ModelName
from idfzip.container.index import Block, Entry, Index, Small, Whole
from idfzip.container.sections import number
from idfzip.errors import FormatError

ENTRIES = st.builds(
    Entry,
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    st.integers(0, (1 << 35) - 1),
    st.integers(0, 0o777),
)
SMALL = st.builds(
    Small,
    ENTRIES,
    st.sampled_from(["PNG", "TIFF"]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, (1 << 32) - 1),
)


def make_block(channels, lockstep, rate, length, members):
    lockstep = min(lockstep, len(members))
    return Block(channels, FLAGSHIP, 0, lockstep, rate, length, length ^ 5, tuple(members))


BLOCKS = st.builds(
    make_block,
    st.sampled_from([1, 3]),
    st.integers(1, 20),
    st.integers(0, 1 << 14),
    st.integers(0, 1 << 30),
    st.lists(SMALL, min_size=1, max_size=5),
)
INDICES = st.builds(
    Index,
    st.just((ModelName(b"01234567", "photo"), ModelName(b"abcdefgh", "grey"))),
    st.lists(BLOCKS, max_size=4).map(tuple),
    st.lists(st.builds(Whole, ENTRIES, st.integers(0, (1 << 35) - 1)), max_size=4).map(tuple),
)


@given(INDICES)
def test_an_index_comes_back(found):
    assert index.unpack(index.pack(found)) == found


@given(INDICES, st.data())
@settings(max_examples=300)
def test_a_damaged_index_raises_an_error_or_is_another_index(found, data):
    plain = bytearray(zlib.decompress(index.pack(found)))
    at = data.draw(st.integers(0, len(plain) - 1))
    plain[at] ^= data.draw(st.integers(1, 255))
    try:
        other = index.unpack(zlib.compress(bytes(plain)))
    except FormatError:
        return
    assert other != found
    assert index.unpack(index.pack(other)) == other


def row(channels=3, codec=FLAGSHIP, members=1, lockstep=1, rate=0):
    start = number(1) + b"01234567" + number(5) + b"photo" + number(1) + bytes([channels, codec])
    return start + b"".join(map(number, (members, lockstep, rate, 9))) + b"crc!"


@pytest.mark.parametrize(("channels", "form"), [(1, "BMP"), (1, "JPEG"), (3, "")])
def test_a_format_that_does_not_hold_the_kind_is_refused(channels, form):
    members = [Small(Entry("a"), form, 1, 1, 0)]
    block = make_block(channels, 1, 0, 9, members)
    found = Index((ModelName(b"01234567", "photo"),), (block,), ())
    with pytest.raises(FormatError, match=f"in a file of format {form or 'unknown'}"):
        index.unpack(index.pack(found))


def rest(height=4, width=4, members=1):
    names = b"".join(b"%d\0" % i for i in range(members))
    times = number(0) * 2 * members
    sizes = number(height) * members + number(width) * members
    return number(0) + names + times + b"\1" * members + sizes + b"crc!" * members


def test_the_parts_of_the_tests_below_make_a_whole():
    assert index.unpack(zlib.compress(row() + rest())).blocks[0].sizes == [(4, 4)]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (row(channels=2) + rest(), "kind of image 2"),
        (row(codec=2) + rest(), "codec 2 of a block"),
        (row(codec=FLAGSHIP | 16) + rest(), "block of model 1"),
        (row(lockstep=2) + rest(), "2 in lockstep"),
        (row(lockstep=0) + rest(), "0 in lockstep"),
        (row(members=0, lockstep=0) + rest(), "0 in lockstep"),
        (row(rate=(1 << 14) + 1) + rest(), "rate of 16385"),
        (row(members=1 << 34) + rest(), "do not fit"),
        (row() + rest(height=0), "no pixels"),
        (row() + rest(height=1025), "over the limit"),
        (row(members=3, lockstep=3) + rest(height=512, members=3), "over the limit"),
        (row() + rest(width=1 << 19), "over the limit"),
        (row(members=512, lockstep=512) + rest(1, 1024, 512), "over the limit"),
        (row(members=9) + rest(height=1000, width=1000, members=9), "pixels are over"),
        (row() + rest() + b"x", "bytes follow the index"),
        (row() + rest()[:-1], "cut"),
        (number(17) + b"", "17 models"),
        (number(0) * 2 + number(1 << 30), "do not fit"),
        (number(0) * 3 + number(1 << 30), "do not fit"),
    ],
)
def test_what_is_refused_before_memory_is_taken(data, text):
    with pytest.raises(FormatError, match=text):
        index.unpack(zlib.compress(data))


def test_an_index_that_is_cut_or_has_a_tail_or_is_huge():
    whole = zlib.compress(row() + rest())
    for data in (whole[:-1], whole + b"x", b"", b"x" * 20):
        with pytest.raises(FormatError, match="index is"):
            index.unpack(data)
    bomb = zlib.compress(bytes(index.MAX_INDEX + 1), 1)
    with pytest.raises(FormatError, match="cut or over"):
        index.unpack(bomb)
