from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import CONTENTS, make_lattice, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.codecs import lattice
from idfzip.codecs.flagship import STATIC, Learning
from idfzip.coding import turns
from idfzip.errors import ModelError
from idfzip.flows import colour
from idfzip.flows.lattice import PHASES, PIECE

sides = st.one_of(st.integers(1, 24), st.sampled_from([1, 2, 300]))


def planes(content, height, width, channels, seed=0):
    return colour.forward(picture(content, height, width, channels, seed))


@given(
    st.sampled_from(CONTENTS),
    st.integers(1, 24),
    sides,
    st.sampled_from([1, 3]),
    st.integers(0, 1000),
    st.sampled_from([STATIC, Learning(400, 2), Learning(1 << 14, 0), Learning(900, 1, 3)]),
    st.sampled_from([6, turns.SHARE]),
)
@settings(deadline=None, max_examples=80)
def test_any_picture_comes_back(content, height, width, channels, seed, learning, share):
    model = make_lattice(channels, learning=learning)
    tile = planes(content, height, width, channels, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns, "SHARE", share)
        streams = lattice.encode(model, [tile])
    (found,) = lattice.decode(model, streams, [(height, width)])
    np.testing.assert_array_equal(found, tile)


@pytest.mark.parametrize("learning", [STATIC, Learning(400, 0)])
def test_tiles_are_independent_and_progress_is_told(learning):
    model = make_lattice(1, learning=learning)
    sizes = [(16, 20), (1, 1), (5, 40), (7, 7)]
    tiles = [planes("smooth", h, w, 1, i) for i, (h, w) in enumerate(sizes)]
    told = []
    together = lattice.encode(model, tiles, told.append)
    assert together == [lattice.encode(model, [tile])[0] for tile in tiles]
    for found, tile in zip(lattice.decode(model, together, sizes), tiles, strict=True):
        np.testing.assert_array_equal(found, tile)
    assert sum(told) == sum(h * w - 1 for h, w in sizes)  # all but the first pixels


def test_networks_that_learn_pack_better():
    tile = planes("smooth", 120, 150, 3)
    sizes = [
        len(lattice.encode(make_lattice(3, learning=how), [tile])[0])
        for how in (STATIC, Learning(4000, 2), Learning(4000, 0))
    ]
    assert sizes[1] < 0.98 * sizes[0]
    assert sizes[2] < 0.99 * sizes[1]


@pytest.mark.parametrize(("share", "held"), [(turns.SHARE, 1.2), (99, 1.7)])
def test_each_part_of_a_stream_gives_its_level(monkeypatch, share, held):
    monkeypatch.setattr(turns, "SHARE", share)
    model = make_lattice(3, learning=Learning(400, 1))
    tile = planes("smooth", 37, 50, 3)
    (parts,) = lattice.encode_levels(model, [tile])
    assert len(parts) == 6
    for count in range(1, 7):
        seen = lattice.preview(model, b"".join(parts[:count]), (37, 50), count < 6)
        step = 1 << (6 - count)
        coarse = tile[:, ::step, ::step]
        np.testing.assert_array_equal(seen.planes[:, ::step, ::step], coarse)
        assert coarse.size / tile.size <= seen.share <= 1
    # Two words of a state, which a decoder holds at once, tell of little more than was asked for.
    assert lattice.preview(model, b"".join(parts[:4]), (37, 50), True).share < held / 16


def places(height, width, channels):
    """Return channel, row and column of all values in the order of coding."""
    yield from ((c, 0, 0) for c in range(channels))
    for bits in reversed(range((max(height, width) - 1).bit_length())):
        tall, wide = -(-height >> bits), -(-width >> bits)
        for top, left in PHASES:
            for y in range(top, tall, 2):
                for x in range(left, wide, 2 * PIECE):
                    piece = range(x, min(x + 2 * PIECE, wide), 2)
                    yield from ((c, y << bits, i << bits) for c in range(channels) for i in piece)


@pytest.mark.parametrize("share", [turns.SHARE, 6])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_stream_that_is_cut_anywhere_gives_what_comes_before(monkeypatch, share, channels):
    monkeypatch.setattr(turns, "SHARE", share)
    model = make_lattice(channels, learning=Learning(900, 0, 1))
    tile = planes("smooth", 3, 300, channels)
    order = tuple(np.array(list(places(3, 300, channels))).T)
    (stream,) = lattice.encode(model, [tile])
    before = 0
    for end in range(0, len(stream) + 1, 4):
        seen = lattice.preview(model, stream[:end], (3, 300), True)
        known = round(seen.share * tile.size)
        assert known >= before
        np.testing.assert_array_equal(seen.planes[order][:known], tile[order][:known])
        before = known
    assert before >= tile.size - 8


def test_longer_parts_show_more_and_the_rest_is_near():
    model = make_lattice(1, learning=Learning(4000, 0))
    tile = planes("smooth", 64, 64, 1)
    (stream,) = lattice.encode(model, [tile])
    errors, shares = [], []
    for share in (0, 0.05, 0.2, 0.5, 1):
        cut = stream[: int(len(stream) * share) & ~3]
        seen = lattice.preview(model, cut, (64, 64), share < 1)
        errors.append(np.abs(seen.planes - tile).mean())
        shares.append(seen.share)
    assert errors == sorted(errors, reverse=True)
    assert shares == sorted(shares)
    assert (errors[-1], shares[0], shares[-1]) == (0, 0, 1)
    assert errors[2] < 6


def test_a_pixel_changes_no_context_before_its_own():
    """Values that are coded earlier are the same whatever comes later."""
    model = make_lattice(1)
    tile = planes("noise", 9, 11, 1)
    (stream,) = lattice.encode(model, [tile])
    rng = np.random.default_rng(0)
    for _ in range(40):
        y, x = rng.integers(0, 9), rng.integers(0, 11)
        other = tile.copy()
        other[0, y, x] ^= 0x55
        (changed,) = lattice.encode(model, [other])
        (found,) = lattice.decode(model, [changed], [(9, 11)])
        np.testing.assert_array_equal(found, other)
        assert changed != stream


def test_damage_is_none_or_other_planes_never_an_exception():
    model = make_lattice(3)
    tile = planes("smooth", 12, 12, 3)
    (stream,) = lattice.encode(model, [tile])
    for at in range(0, len(stream), 7):
        broken = bytearray(stream)
        broken[at] ^= 0x40
        (found,) = lattice.decode(model, [bytes(broken)], [(12, 12)])
        assert found is None or not np.array_equal(found, tile)
    (found,) = lattice.decode(model, [b""], [(12, 12)])
    assert found is None or found.shape == tile.shape


def test_parts_that_do_not_fit_are_refused():
    model, grey = make_lattice(3), make_lattice(1)
    one, two, three = model.networks
    rows = [np.zeros((12 + 4 * c, 8), np.int16) for c in range(3)]
    heads = [dataclasses.replace(h, weight=w) for h, w in zip(three.heads, rows, strict=True)]
    changes = {
        "heads with 4 values": {
            "networks": (one, two, dataclasses.replace(three, heads=tuple(heads)))
        },
        "networks of": {"networks": (one, two)},
        "inputs": {"networks": (one, two, grey.networks[0])},
        "of 2 channels": {
            "networks": (dataclasses.replace(one, heads=one.heads[:2], outs=one.outs[:2]), two, two)
        },
    }
    for message, change in changes.items():
        with pytest.raises(ModelError, match=message):
            dataclasses.replace(model, **change)
    wide = [np.full_like(layer.weight, 680) for layer in three.trunk]
    heavy = dataclasses.replace(
        three,
        trunk=tuple(
            dataclasses.replace(layer, weight=weight)
            for layer, weight in zip(three.trunk, wide, strict=True)
        ),
    )
    dataclasses.replace(model, networks=(one, two, heavy))
    with pytest.raises(ModelError, match="by learning"):
        dataclasses.replace(model, networks=(one, two, heavy), learning=Learning(400, 0))


def test_operations_are_those_of_a_pixel():
    model = make_lattice(1)
    assert model.operations == -(-sum(net.operations for net in model.networks) // 3)
