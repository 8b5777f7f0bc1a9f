"""Damaged and forged files: a small run of `scripts/fuzz.py`, and what it tells of wrong things."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fuzz
import numpy as np
import pytest

from idfzip.container import idfz
from idfzip.images.picture import Metadata, Picture

SCRIPT = Path(__file__).parent.parent / "scripts" / "fuzz.py"


def test_nothing_wrong_comes_of_some_files_and_models():
    arguments = [sys.executable, SCRIPT, "--files", "400", "--models", "60", "--seed", "2"]
    result = subprocess.run(arguments, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "460 cases, 0 wrong" in result.stdout
    for kind in ("broken", "spliced", "forged", "resized", "exchanged", "twice", "member"):
        assert f"file {kind}: " in result.stdout
    assert "model forged: loads" in result.stdout
    assert "the same pixels" in result.stdout


def test_what_is_wrong_is_told(monkeypatch):
    data = idfz.store(b"a file", "")
    assert fuzz.judge(data, frozenset([b"a file"])) == "the same pixels"
    assert fuzz.judge(data[:-1], frozenset()) == "refused"
    assert fuzz.judge(data, frozenset([b"other"])) == "! other pixels"
    monkeypatch.setattr(fuzz, "opened", lambda data: [][0])
    assert fuzz.judge(data, frozenset()).startswith("! Traceback")


def test_other_pixels_written_are_told(monkeypatch):
    pixels = np.zeros((2, 3, 3), np.uint8)
    other = fuzz.writer.write(Picture(pixels + 1))
    monkeypatch.setattr(fuzz.writer, "write", lambda picture: other)
    with pytest.raises(fuzz.WrongError, match="other pixels"):
        fuzz.rewritten(Picture(pixels, "PNG", Metadata()))


def test_processes_that_hang_or_die_are_replaced(monkeypatch):
    monkeypatch.setattr(fuzz, "PATIENCE", 1.0)

    def case(kind, seed, number):
        if number == 1:
            fuzz.time.sleep(30)
        if number == 2:
            fuzz.os._exit(3)
        return "how", f"{kind} {number}"

    monkeypatch.setattr(fuzz, "case", case)
    found = [what for _, what, _ in fuzz.judged([("file", i) for i in range(4)], 0)]
    assert found == ["file 0", "! it hangs", "! the process died (3)", "file 3"]
