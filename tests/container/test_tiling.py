"""Tiles that a device codes are made ready and finished by threads."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest
from conftest import make_flagship, picture

from idfzip.container import effort as efforts
from idfzip.container import groups, idfz, model_file, tiling
from idfzip.container.effort import Effort
from idfzip.container.plan import Part
from idfzip.errors import DeviceError
from idfzip.images.picture import Layout, Picture

SIZE = (8, 8)


class Shelf:
    """Keeps tiles in place of coding them: a stream is a tile's number."""

    def __init__(self):
        self.tiles = []

    def codes(self, codec):
        return True

    def encode(self, model, codec, tiles, alphabet):
        self.tiles = tiles
        return [ready([i.to_bytes(4, "little")]) for i in range(len(tiles))]

    def decode(self, model, codec, streams, sizes, alphabet):
        """Give tiles as int16, parts of rooms, the last one first."""
        found = [Future() for _ in streams]

        def work():
            for future, stream in reversed(list(zip(found, streams, strict=True))):
                tile = self.tiles[int.from_bytes(stream, "little")]
                room = np.zeros((3, 9, 9), np.int16)
                room[:, :8, :8] = tile
                future.set_result(room[:, :8, :8])

        threading.Thread(target=work).start()
        return found


class Broken(Shelf):
    def decode(self, model, codec, streams, sizes, alphabet):
        found = super().decode(model, codec, streams, sizes, alphabet)
        found[9] = Future()
        found[9].set_exception(DeviceError("out of order"))
        return found


def ready(result):
    future = Future()
    future.set_result(result)
    return future


@pytest.fixture
def model():
    return model_file.load(model_file.dump(make_flagship(3), "small"), "test")


@pytest.fixture
def names(monkeypatch):
    """Return the threads that sums of tiles were made in."""
    seen = set()
    checksum = tiling.checksum

    def watched(pixels, index):
        seen.add(threading.current_thread().name)
        return checksum(pixels, index)

    monkeypatch.setattr(tiling, "checksum", watched)
    return seen


def coded(model, shelf, threads):
    pixels = picture("smooth", 64, 40, 3)
    parts = [Part(groups.of(Picture(pixels, "PNG").kind)[0], groups.full(8), (model,))]
    found = tiling.encode(pixels, parts, Effort(threads, device=shelf), size=SIZE)
    data = idfz.assemble(Picture(pixels, "PNG", layout=Layout.RGB), found, parts, embed=True)
    return pixels, idfz.parse(data)


@pytest.mark.parametrize("threads", [1, 3])
def test_tiles_come_back_from_threads(model, names, threads):
    shelf = Shelf()
    pixels, file = coded(model, shelf, threads)
    _, alike = coded(model, shelf, 1)
    assert (file.streams, file.head.tiles) == (alike.streams, alike.head.tiles)
    counts = []
    names.clear()
    found = tiling.decode(
        file.head, file.streams, [model], Effort(threads, device=shelf), counts.append
    )
    np.testing.assert_array_equal(found.pixels, pixels)
    assert found.failed == []
    assert counts == [64] * 40
    main = threading.current_thread().name
    assert names == {main} if threads == 1 else main not in names


def test_few_tiles_need_no_threads(names):
    caller = threading.current_thread().name
    found = efforts.each(lambda _: threading.current_thread().name, range(7), 7, 16)
    assert found == [caller] * 7


@pytest.mark.parametrize("threads", [1, 4])
def test_tiles_that_fail_are_listed_in_order(model, threads):
    shelf = Shelf()
    pixels, file = coded(model, shelf, threads)
    for i in (30, 2, 17):
        shelf.tiles[i] = shelf.tiles[i] + 1
    cut = replace(file, streams=file.streams[:-4])
    found = tiling.decode(cut.head, cut.streams, [model], Effort(threads, device=shelf))
    assert found.failed == [2, 17, 30, 39]
    wrong = (found.pixels != pixels).any(2).reshape(8, 8, 5, 8).any((1, 3)).ravel()
    assert set(np.flatnonzero(wrong)) <= {2, 17, 30, 39}


@pytest.mark.parametrize("threads", [1, 4])
def test_a_device_that_fails_is_heard_of(model, threads):
    shelf = Broken()
    _, file = coded(model, shelf, threads)
    with pytest.raises(DeviceError, match="out of order"):
        tiling.decode(file.head, file.streams, [model], Effort(threads, device=shelf))
