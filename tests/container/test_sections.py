from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idfzip.container import sections
from idfzip.container.sections import Reader, Section
from idfzip.errors import FormatError


@given(st.integers(0, (1 << 35) - 1))
def test_numbers_come_back(value):
    reader = Reader(sections.number(value))
    assert reader.number() == value
    assert reader.left == 0


@pytest.mark.parametrize("data", [b"\x80\x00", b"\xff" * 5, b"\x80", b""])
def test_other_numbers_are_refused(data):
    with pytest.raises(FormatError):
        Reader(data).number()


def test_sections_and_streams_come_back():
    parts = [Section(b"c", b"profile"), Section(b"I", b"head")]
    data = sections.write(parts, [b"one", b"two"])
    assert sections.read(data) == (parts, b"onetwo")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n", "not an .idfz file"),
        (sections.MAGIC, "cut"),
        (sections.MAGIC + b"\x07", "version 7"),
        (sections.MAGIC + b"\x00I\xff\xff\xff\xff\x7f", "claims"),
        (sections.MAGIC + b"\x00I\x7fabc", "cut"),
    ],
)
def test_other_files_are_refused(data, message):
    with pytest.raises(FormatError, match=message):
        sections.read(data)
