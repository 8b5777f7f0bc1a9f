from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idfzip.container import names
from idfzip.errors import FormatError

BAD = [
    "",
    "/etc/passwd",
    "../a.png",
    "a/../b.png",
    "a/..",
    "..",
    ".",
    "./a.png",
    "a//b.png",
    "a/",
    "C:a.png",
    "c:/a.png",
    "a\\b.png",
    "..\\a.png",
    "a\0b.png",
    "a\nb.png",
    "a\x1b[31m.png",
    "a\x7f.png",
    "a\udc80.png",
    "x" * 256,
    "x/" * 2100 + "a",
]


@pytest.mark.parametrize("name", BAD)
def test_names_that_are_refused(name):
    with pytest.raises(FormatError, match="the name is refused"):
        names.check(name)


@pytest.mark.parametrize("name", ["a.png", "a/b/c.png", "..a", "a..", "...", "ä/日本.png", " a "])
def test_names_that_are_not(name):
    assert names.check(name) == name


@given(st.text(max_size=40))
def test_a_name_that_passes_stays_below_its_folder(name):
    assert names.shown(name).isprintable()
    try:
        names.check(name)
    except FormatError:
        return
    found = os.path.normpath(os.path.join("/top/folder", name))
    assert found == f"/top/folder/{name}"
