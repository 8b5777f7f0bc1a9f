"""Bipartite streams of a device are those of the kernels, byte for byte, and decode crosswise."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import check_damage, check_frees, flipped, make_idf, tiles_of

from idfzip.codecs import idf as kernels
from idfzip.container import idf_file
from idfzip.errors import ModelError

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")

from idfzip.device import idf as device  # noqa: E402


def check(machine, model, sizes):
    """Code tiles by the device and by the kernels; each decodes what the other made."""
    tiles = tiles_of(sizes, model.channels)
    parts = kernels.encode_levels(model, tiles)
    assert [later() for later in device.encode(machine, model, tiles, 256)] == parts
    streams = [b"".join(mine) for mine in parts]
    found = device.read(machine, model, streams, sizes, False, 256)
    for read, tile in zip(found, tiles, strict=True):
        assert read.finished
        assert read.seen.share == 1
        np.testing.assert_array_equal(read.seen.planes, tile)
    return tiles, streams


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (9, 14), (1, 30)])
def test_any_size(machine, channels, levels, size):
    check(machine, make_idf(channels, levels=levels), [size])


@pytest.mark.parametrize("size", [(4096, 6), (6, 4096), (4096, 4096)])
def test_the_longest_sides(machine, size):
    if min(size) > 6 and machine.device.type != "cuda":
        pytest.skip("takes minutes without a GPU")
    check(machine, make_idf(1), [size])


@pytest.mark.parametrize("channels", [1, 3])
def test_sizes_of_one_extent_are_one_batch(machine, channels):
    model = make_idf(channels)
    sizes = [(13, 17), (16, 20), (14, 18), (13, 20), (16, 17), (15, 19), (14, 20)]
    assert len({device.alike(model, b"", size, False) for size in sizes}) == 1
    check(machine, model, sizes)


def test_five_hundred_images_in_a_batch(machine):
    check(machine, make_idf(3), [(1 + i % 4, 1 + i % 3) for i in range(500)])


def test_memory_is_free_after_each_batch(machine):
    model = make_idf(3)
    check_frees(machine, lambda watched: check(watched, model, [(5, 7), (6, 8)]))


@pytest.mark.parametrize("share", [0, 0.3, 0.8])
def test_a_cut_stream_shows_what_the_kernels_see(machine, share):
    model = make_idf(3)
    sizes = [(9, 12), (12, 10)]
    streams = kernels.encode(model, tiles_of(sizes, 3))
    streams = [one[: int(share * len(one)) // 4 * 4] for one in streams]
    found = device.read(machine, model, streams, sizes, True, 256)
    for read, stream, size in zip(found, streams, sizes, strict=True):
        expected = kernels.preview(model, stream, size, True)
        assert read.seen.share == expected.share
        np.testing.assert_array_equal(read.seen.planes, expected.planes)


def test_damage_harms_only_its_own_image(machine):
    model = make_idf(3)
    sizes = [(7, 9)] * 4
    tiles, streams = check(machine, model, sizes)
    given = [streams[0], flipped(streams[1]), b"", streams[3]]
    found = device.read(machine, model, given, sizes, False, 256)
    check_damage(found, kernels.decode(model, given, sizes), tiles, [0, 3])


@pytest.mark.parametrize("channels", [1, 3])
def test_the_self_test(machine, channels):
    model = make_idf(channels)
    inputs, sums = idf_file.self_test(model)
    np.testing.assert_array_equal(device.sums(machine, model, inputs), sums)


def test_other_alphabets_are_refused(machine):
    with pytest.raises(ModelError, match="4096 values"):
        device.encode(machine, make_idf(1), [np.zeros((1, 4, 4), np.int32)], 4096)
    with pytest.raises(ModelError, match="4096 values"):
        device.read(machine, make_idf(1), [b""], [(4, 4)], False, 4096)
