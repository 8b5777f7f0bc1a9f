"""Lossy-first tiles of a device are those of the kernels, byte for byte, and decode crosswise."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import check_damage, check_frees, flipped, make_flagship, make_vqvae, tiles_of

from idfzip.codecs import lossy_first as kernels
from idfzip.codecs.flagship import STATIC, Learning
from idfzip.codecs.lossy_first import LossyFirst
from idfzip.errors import ModelError

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")

from idfzip.device import flagship  # noqa: E402
from idfzip.device import lossy_first as device  # noqa: E402

NONE = (0, 0, 0, 0)
pytestmark = pytest.mark.usefixtures("several_states")
HOW = [(STATIC, True), (Learning(900, 1, 3), True), (Learning(900, 0, 1), False)]


def make(painter, channels, how, looks):
    return LossyFirst(make_vqvae(painter), make_flagship(channels, learning=how, looks=looks))


def check(machine, model, sizes, stages, rate, sides):
    """Code tiles by the device and by the kernels, and read these there; return the streams."""
    tiles = tiles_of(sizes, model.channels)
    expected = [
        kernels.encode(model, tile, stages, rate, side)
        for tile, side in zip(tiles, sides, strict=True)
    ]
    made = device.encode_stages(machine, model, tiles, stages, rate, sides)
    assert [later() for later in made] == expected
    streams = [b"".join(parts) for parts in expected]
    inner = [model.inner(tile, side) for tile, side in zip(tiles, sides, strict=True)]
    found = device.read(machine, model, streams, [one.shape[1:] for one in inner], False, 256)
    for read, tile in zip(found, inner, strict=True):
        assert read.finished
        np.testing.assert_array_equal(read.seen.planes, tile)
    return streams


@pytest.mark.parametrize(("painter", "channels"), [(1, 1), (3, 1), (3, 3)])
@pytest.mark.parametrize("how", HOW)
def test_a_batch_is_the_same_bytes(machine, painter, channels, how):
    """Margins of which the pixels that are coded have none, on different sides."""
    model = make(painter, channels, *how)
    sides = [NONE, (1, 0, 1, 0), (0, 1, 1, 1)]
    check(machine, model, [(24, 30), (23, 32), (24, 30)], 2, 300, sides)


@pytest.mark.parametrize("size", [(1, 1), (1, 19), (17, 2)])
def test_any_size(machine, size):
    model = make(3, 3, *HOW[1])
    for stages in (1, model.painter.stages):
        check(machine, model, [size], stages, 0, [NONE])


def test_a_cut_stream_shows_what_the_kernels_see(machine):
    model = make(3, 3, *HOW[1])
    size = (13, 14)
    (tile,) = tiles_of([size], 3)
    first, rest = kernels.encode(model, tile, 3)
    ends = [0, 4, len(first) // 2 // 4 * 4, len(first), len(first) + len(rest) // 8 * 4]
    streams = [(first + rest)[:end] for end in ends]
    there = []
    for stream in streams:
        (found,) = device.read(machine, model, [stream], [size], True, 256)
        expected = kernels.preview(model, stream, size, True)
        np.testing.assert_array_equal(found.seen.planes, expected.planes)
        assert found.seen.share == expected.share
        assert (found.seen.known is None) == (expected.known is None)
        there.append(found.seen.share)
    assert there[0] == 0 < there[-1] < 1


def test_damage_harms_only_its_own_image(machine):
    model = make(3, 3, *HOW[1])
    sizes = [(11, 9)] * 3
    tiles = tiles_of(sizes, 3)
    whole = [b"".join(kernels.encode(model, tile, 3)) for tile in tiles]
    given = [whole[0], flipped(whole[1], -9), whole[2]]
    reads = device.read(machine, model, given, sizes, False, 256)
    check_damage(reads, kernels.decode(model, given, sizes), tiles, [0, 2])


def test_memory_is_free_after_each_batch(machine):
    model = make(3, 3, *HOW[1])
    check_frees(machine, lambda watched: check(watched, model, [(9, 7)], 3, 0, [NONE]))


def test_a_network_that_looks_needs_a_picture(machine):
    looks = make_flagship(1, looks=True)
    with pytest.raises(ModelError, match="--lossy-first"):
        flagship.encode(machine, looks, tiles_of([(4, 4)], 1), 256)
    with pytest.raises(ModelError, match="256"):
        device.encode(machine, make(1, 1, *HOW[0]), tiles_of([(4, 4)], 1), 255)
