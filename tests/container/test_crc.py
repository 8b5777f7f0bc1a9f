from __future__ import annotations

import zlib

import numpy as np
import pytest

from idfzip.container import crc


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("length", [0, 1, 99, 100, 101, 255, 256, 1000])
def test_pieces_are_joined(monkeypatch, threads, length):
    monkeypatch.setattr(crc, "PIECE", 10)
    data = np.random.default_rng(length).bytes(length)
    assert crc.crc32(memoryview(data), threads) == zlib.crc32(data)
