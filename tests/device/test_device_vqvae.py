"""What a device paints is what the kernels paint, byte for byte and pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import check_damage, check_frees, flipped, make_vqvae, tiles_of

from idfzip.codecs import vqvae as kernels
from idfzip.container import vqvae_file

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")

from idfzip.device import vqvae as device  # noqa: E402

MODELS = [(1, (1, 2)), (3, (1, 2)), (3, (2,)), (3, (1, 1, 1))]


def check(machine, model, sizes, stages, rate, sides):
    """Paint tiles by the device and by the kernels, and read the streams; return these."""
    tiles = tiles_of(sizes, model.channels)
    made = [later() for later in device.encode_stages(machine, model, tiles, stages, rate, sides)]
    for one, tile, side in zip(made, tiles, sides, strict=True):
        parts, painted = kernels.encode_stages(model, tile, stages, rate, side)
        assert one[0] == parts
        np.testing.assert_array_equal(one[1], painted)
    streams = [b"".join(parts) for parts, _ in made]
    inner = [painted.shape[1:] for _, painted in made]
    found = device.read(machine, model, streams, inner, False, 256)
    for read, (_, painted) in zip(found, made, strict=True):
        assert read.finished
        assert read.seen.share == 1
        np.testing.assert_array_equal(read.seen.planes, painted)
    return streams, inner


@pytest.mark.parametrize("which", MODELS)
@pytest.mark.parametrize("rate", [0, 5000])
def test_any_number_of_stages(machine, which, rate):
    model = make_vqvae(*which)
    sizes = [(13, 22), (16, 21)]
    for stages in range(1, model.stages + 1):
        check(machine, model, sizes, stages, rate, [(0, 0, 0, 0)] * 2)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (25, 9)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size(machine, channels, size):
    check(machine, make_vqvae(channels), [size], 3, 0, [(0, 0, 0, 0)])


def test_memory_is_free_after_each_batch(machine):
    model = make_vqvae(3)
    check_frees(machine, lambda watched: check(watched, model, [(9, 7)], 3, 0, [(0, 0, 0, 0)]))


def test_margins_and_seven_tiles_in_a_batch(machine):
    model = make_vqvae(3)
    sides = [(0, 0, 0, 0), (1, 0, 1, 0), (0, 1, 0, 1), (1, 1, 1, 1), (1, 0, 0, 1), (0, 0, 1, 1)]
    sizes = [(24, 32)] * 5 + [(23, 30)] * 2
    streams, inner = check(machine, model, sizes, 2, 300, [*sides, (0, 0, 0, 0)])
    alike = {device.alike(model, *one, False) for one in zip(streams, inner, strict=True)}
    assert alike == {(24, 32)}


def test_streams_of_many_stages_are_one_batch(machine):
    model = make_vqvae(3)
    tiles = tiles_of([(12, 10)] * 3, 3)
    made = [kernels.encode_stages(model, tile, n) for n, tile in enumerate(tiles, 1)]
    streams = [b"".join(parts) for parts, _ in made]
    found = device.read(machine, model, streams, [(12, 10)] * 3, False, 256)
    for read, (_, painted) in zip(found, made, strict=True):
        assert read.finished
        np.testing.assert_array_equal(read.seen.planes, painted)


@pytest.mark.parametrize("share", [0, 0.3, 0.8])
def test_a_cut_stream_shows_what_the_kernels_see(machine, share):
    model = make_vqvae(3)
    sizes = [(30, 40), (29, 39)]
    streams = kernels.encode(model, tiles_of(sizes, 3))
    streams = [one[: int(share * len(one)) // 4 * 4] for one in streams]
    found = device.read(machine, model, streams, sizes, True, 256)
    for read, stream, size in zip(found, streams, sizes, strict=True):
        expected = kernels.preview(model, stream, size, True)
        assert read.seen.share == expected.share
        np.testing.assert_array_equal(read.seen.planes, expected.planes)


def test_damage_harms_only_its_own_image(machine):
    model = make_vqvae(3)
    sizes = [(20, 30)] * 4
    streams = kernels.encode(model, tiles_of(sizes, 3))
    given = [streams[0], flipped(streams[1]), streams[2][:8], streams[3]]
    assert len({device.alike(model, one, (20, 30), False) for one in given}) == 1
    found = device.read(machine, model, given, sizes, False, 256)
    painted = kernels.decode(model, streams, sizes)
    check_damage(found, kernels.decode(model, given, sizes), painted, [0, 3])


@pytest.mark.parametrize("which", MODELS)
def test_the_self_test(machine, which):
    model = make_vqvae(*which)
    inputs, sums = vqvae_file.self_test(model)
    np.testing.assert_array_equal(device.sums(machine, model, inputs), sums)


@pytest.mark.parametrize("size", [(4096, 24), (24, 4096), (4096, 4096)])
def test_the_longest_sides(machine, size):
    if min(size) > 24 and machine.device.type != "cuda":
        pytest.skip("takes a minute without a GPU")
    check(machine, make_vqvae(1, (1,)), [size], 1, 0, [(0, 0, 0, 0)])
