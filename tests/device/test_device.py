"""Streams of a device are those of the kernels, byte for byte, and decode crosswise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from conftest import (
    CONTENTS,
    check_damage,
    check_frees,
    flipped,
    make_flagship,
    numbers,
    picture,
    tiles_of,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idfzip.codecs import block
from idfzip.codecs import flagship as kernels
from idfzip.codecs.flagship import STATIC, Learning
from idfzip.coding import turns
from idfzip.flows import colour

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")

from idfzip.device import flagship as device  # noqa: E402
from idfzip.device import graph  # noqa: E402
from idfzip.device import machine as machines  # noqa: E402
from idfzip.device.schedule import Group  # noqa: E402

HOW = [STATIC, Learning(400, 2), Learning(1 << 14, 0), Learning(900, 1, 3)]
SIZES = [(12, 16), (1, 1), (16, 12), (5, 30), (12, 16), (30, 2), (1, 30)]


pytestmark = pytest.mark.usefixtures("several_states")


def encoded(machine, model, tiles, values=256):
    """Return the streams that a device makes of tiles."""
    return [b"".join(later()) for later in device.encode(machine, model, tiles, values)]


def decoded(machine, model, streams, sizes, values=256):
    """Return the planes that a device makes of streams, None for those that are damaged."""
    found = device.read(machine, model, streams, sizes, False, values)
    return [read.seen.planes if read.finished else None for read in found]


def same(found, tiles):
    assert len(found) == len(tiles)
    for one, tile in zip(found, tiles, strict=True):
        assert one is not None
        assert one.dtype in (np.int16, np.int32)
        np.testing.assert_array_equal(one, tile)


@pytest.mark.parametrize(("count", "most"), [(1, 64), (7, 1), (7, 8)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("how", HOW)
def test_a_batch_is_the_same_bytes(machine, monkeypatch, how, channels, count, most):
    monkeypatch.setattr(turns, "MOST", most)
    model = make_flagship(channels, learning=how)
    tiles = tiles_of(SIZES[:count], channels)
    streams = kernels.encode(model, tiles)
    assert encoded(machine, model, tiles) == streams
    same(decoded(machine, model, streams, SIZES[:count]), tiles)


def test_five_hundred_images_in_a_batch(machine):
    model = make_flagship(3, learning=Learning(900, 1, 3))
    sizes = [(1 + i % 3, 1 + i % 4) for i in range(500)]
    tiles = tiles_of(sizes, 3)
    streams = kernels.encode(model, tiles)
    assert encoded(machine, model, tiles) == streams
    same(decoded(machine, model, streams, sizes), tiles)


@pytest.mark.parametrize("values", [1, 2, 100, 257, 65536])
def test_any_depth(machine, values):
    sizes = [(9, 12), (2, 5)]
    for channels, how in ((1, Learning(900, 1, 3)), (3, STATIC)):
        model = make_flagship(channels, learning=how)
        tiles = tiles_of(sizes, channels, values)
        streams = kernels.encode(model, tiles, alphabet=values)
        assert encoded(machine, model, tiles, values) == streams
        same(decoded(machine, model, streams, sizes, values), tiles)


@given(
    st.sampled_from(CONTENTS),
    st.integers(1, 14),
    st.integers(1, 14),
    st.sampled_from([1, 3]),
    st.sampled_from([2, 256, 5000]),
    st.sampled_from(HOW),
)
@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_picture(machine, content, height, width, channels, values, how):
    model = make_flagship(channels, learning=how)
    tile = colour.forward(numbers(content, height, width, channels, values))
    streams = kernels.encode(model, [tile], alphabet=values)
    assert encoded(machine, model, [tile], values) == streams
    same(decoded(machine, model, streams, [(height, width)], values), [tile])


@pytest.mark.parametrize("name", ["photo", "photo-max", "grey"])
def test_released_models(machine, name):
    from pathlib import Path

    from PIL import Image

    from idfzip.container import models

    model = models.by_name(name).flagship
    with Image.open(Path(__file__).parent.parent / "data" / "parrots.png") as image:
        pixels = np.asarray(image)[60:92, 60:100, : model.channels]
    tile = colour.forward(pixels)
    streams = kernels.encode(model, [tile])
    assert encoded(machine, model, [tile]) == streams
    small = np.ascontiguousarray(tile[:, :12, :14])
    streams = kernels.encode(model, [small])
    same(decoded(machine, model, streams, [(12, 14)]), [small])


@pytest.mark.parametrize("how", HOW)
def test_blocks_of_tiles(machine, how):
    model = make_flagship(3, learning=how)
    sizes = [(4, 5), (6, 6), (1, 1), (3, 9), (8, 3), (5, 5), (2, 7)]
    tiles = tiles_of(sizes, 3)
    blocks = [(tiles, 3), (tiles[:2], 2), (tiles[2:], 1)]
    expected = [block.encode(model, *one) for one in blocks]
    noted = device.encode_blocks(machine, model, blocks)
    assert [one() for one in noted] == expected
    groups = [Group(tuple(t.shape[1:] for t in mine), step) for mine, step in blocks]
    streams = [one.stream for one in expected]
    found = device.decode_blocks(machine, model, streams, groups)
    for one, (mine, _) in zip(found, blocks, strict=True):
        same(one, mine)


@pytest.mark.parametrize("how", HOW)
def test_steps_taken_before_a_graph_is_captured_leave_no_trace(machine, monkeypatch, how):
    """On a GPU a step is run before it is captured; here it is run only."""

    def try_out(self, work):
        work()

    if machine.device.type != "cuda":
        monkeypatch.setattr(graph.Replayed, "try_out", try_out)
    model = make_flagship(3, learning=how)
    tiles = tiles_of(SIZES, 3)
    same(decoded(machine, model, kernels.encode(model, tiles), SIZES), tiles)
    many = tiles_of([(2, 3)] * 140, 1)
    model = make_flagship(1, learning=how)
    coded = block.encode(model, many, 140)
    group = Group(((2, 3),) * 140, 140)
    (found,) = device.decode_blocks(machine, model, [coded.stream], [group])
    same(found, many)


def test_memory_is_free_after_each_batch(machine):
    model = make_flagship(3, learning=Learning(900, 1, 3))
    tiles = tiles_of(SIZES[:3], 3)
    streams = kernels.encode(model, tiles)
    check_frees(machine, lambda watched: encoded(watched, model, tiles))
    check_frees(machine, lambda watched: decoded(watched, model, streams, SIZES[:3]))


@pytest.mark.parametrize("how", [STATIC, Learning(900, 1, 3)])
def test_a_cut_stream_shows_what_the_kernels_see(machine, how):
    model = make_flagship(3, learning=how)
    sizes = [(7, 9), (3, 12), (7, 9)]
    (one, other, last) = kernels.encode(model, tiles_of(sizes, 3))
    streams = [one[:8], other[: len(other) // 8 * 4], last]
    for found, stream, size in zip(
        device.read(machine, model, streams, sizes, True, 256), streams, sizes, strict=True
    ):
        expected = kernels.preview(model, stream, size, True)
        assert found.seen.share == expected.share
        np.testing.assert_array_equal(found.seen.known, expected.known)
        planes = (one.planes[:, expected.known] for one in (found.seen, expected))
        np.testing.assert_array_equal(*planes)


@pytest.mark.parametrize("how", [STATIC, Learning(900, 1, 3)])
def test_damage_harms_only_its_own_image(machine, how):
    model = make_flagship(3, learning=how)
    sizes = [(7, 9)] * 4
    tiles = tiles_of(sizes, 3)
    streams = kernels.encode(model, tiles)
    given = [streams[0], flipped(streams[1]), b"", streams[3]]
    found = device.read(machine, model, given, sizes, False, 256)
    check_damage(found, kernels.decode(model, given, sizes), tiles, [0, 3])


def test_a_tile_of_the_largest_size(machine):
    if machine.device.type != "cuda":
        pytest.skip("takes minutes without a GPU")
    from idfzip.container import models

    model = models.by_name("photo-fast").flagship
    tile = colour.forward(picture("smooth", 4096, 4096, 3))
    cut = [
        np.ascontiguousarray(tile[:, y : y + 256, x : x + 1024])
        for y in range(0, 4096, 256)
        for x in range(0, 4096, 1024)
    ]
    streams = kernels.encode(model, cut)
    assert encoded(machine, model, cut) == streams
    same(decoded(machine, model, streams, [(256, 1024)] * len(cut)), cut)


@pytest.mark.parametrize("kind", [torch.int16, torch.int32])
def test_the_host_gets_what_is_there_piece_by_piece(machine, monkeypatch, kind):
    monkeypatch.setattr(machines, "PIECE", 100)
    room = torch.arange(3 * 5 * 77, dtype=kind).view(3, 5, 77)
    with ThreadPoolExecutor(3) as hands:
        for one in (machine, replace(machine, hands=hands)):
            found = one.host(room.to(machine.device)[:, 1:, 2:])
            np.testing.assert_array_equal(found, room[:, 1:, 2:].numpy())
