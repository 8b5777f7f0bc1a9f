"""Chains of squares come back, whatever their number, sizes, contents and models."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import CONTENTS, make_bitswap, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.codecs import bitswap
from idfzip.codecs.bins import BINS, LATENTS, LOWEST, PIXELS
from idfzip.codecs.bitswap import Chain
from idfzip.coding import ans
from idfzip.errors import FormatError, ModelError
from idfzip.flows import colour, context
from idfzip.priors import mixture

EMPTY = np.zeros(0, np.uint32)

MODELS = {
    (channels, levels, k): make_bitswap(channels, (4, 6, 5)[:levels], k)
    for channels in (1, 3)
    for levels in (1, 2, 3)
    for k in (1, 2)
}


def tile(content, height, width, channels, seed=0):
    return colour.forward(picture(content, height, width, channels, seed))


def there_and_back(model, tiles):
    coded = bitswap.encode_chain(model, tiles)
    found, whole = bitswap.decode_chain(model, coded.stream, [t.shape[1:] for t in tiles])
    assert whole
    for one, other in zip(found, tiles, strict=True):
        np.testing.assert_array_equal(one, other)
    return coded


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(MODELS)),
    st.lists(
        st.tuples(st.sampled_from(CONTENTS), st.integers(1, 40), st.integers(1, 40)),
        min_size=1,
        max_size=5,
    ),
)
def test_chains_come_back(which, images):
    tiles = [tile(*image, which[0], i) for i, image in enumerate(images)]
    coded = there_and_back(MODELS[which], tiles)
    assert len(coded.bits) == len(tiles)
    assert 0 <= 8 * len(coded.stream) - sum(coded.bits) < 33


@pytest.mark.parametrize("content", CONTENTS)
def test_many_squares_of_a_tile(content):
    there_and_back(MODELS[3, 2, 2], [tile(content, 70, 101, 3), tile(content, 1, 1, 3)])


def test_a_chain_of_none_is_empty():
    assert bitswap.encode_chain(MODELS[1, 1, 1], []) == (b"", [])
    assert bitswap.decode_chain(MODELS[1, 1, 1], b"", []) == ([], True)


def initial(model, planes):
    """The initial bits after each square, in the order of coding."""
    chain, found = Chain(model, EMPTY), []
    for one in planes:
        chain.push(one)
        found.append(chain.initial)
    return found


def test_only_the_first_image_brings_its_latents_bits():
    squares = [tile("smooth", 32, 32, 3, i) for i in range(4)]
    found = initial(MODELS[3, 2, 2], squares)
    assert found[0] > 0
    assert found == [found[0]] * 4


def test_a_small_image_leaves_too_few_bits_for_a_large_one():
    first, second = initial(MODELS[1, 2, 1], [tile("dot", 1, 1, 1), tile("dot", 32, 32, 1)])
    assert 0 < first < second


def test_initial_bits_are_in_the_stream():
    """The first square takes what its likeliest latents and its pixels take, and a byte a flag."""
    model, square = MODELS[3, 1, 2], tile("smooth", 8, 8, 3)
    chain = Chain(model, EMPTY)
    chain.push(square)
    given = chain._seen(np.ascontiguousarray(square.transpose(1, 2, 0)))
    latents, taken = Chain(model, EMPTY)._taken(model.levels[0].posterior.sums(given))
    assert not taken
    tables, bits = model.tables, 8.0
    parts = (
        (model.constants[None, None], latents, 1),
        (model.levels[0].prior.sums(latents), square.transpose(1, 2, 0), 2),
    )
    for sums, values, k in parts:
        for y, x, c in np.ndindex(*values.shape):
            row = sums[min(y, len(sums) - 1), min(x, sums.shape[1] - 1)].reshape(
                values.shape[2], -1
            )
            low = 0 if k == 2 else LOWEST
            kind = PIXELS if k == 2 else BINS
            if k == 2 and c:
                low = -values[y, x, 0]
            ends = cumulative(row[c], kind, low, tables, kind.centre if c == 0 else 0)
            at = values[y, x, c] - low
            bits += 24 - np.log2(ends[at + 1] - ends[at])
    assert abs(chain.bits - bits) < 24  # the first symbol's place in an empty state, not its bits


def cumulative(sums, kind, low, tables, centre):
    """The ends of all values' intervals under one row of sums, in Python's integers."""
    rows = np.asarray(sums, np.int64)
    rows = np.concatenate([[0], rows]) if len(rows) == 2 else rows
    k = len(rows) // 3
    shares = [int(tables.exp[min((rows[:k].max() - r) >> 7, 2047)]) for r in rows[:k]]
    weights = [(s << 14) // sum(shares) for s in shares]
    weights[int(rows[:k].argmax())] += (1 << 14) - sum(weights)
    span = int(tables.span[kind.scale])
    means = [centre + ((int(r) * span + (1 << 17)) >> 18) for r in rows[k : 2 * k]]
    spreads = [4 * kind.scale - 64 + ((int(r) + 512) >> 10) + 88 for r in rows[2 * k :]]
    inverses = [int(tables.inverse[min(max(s, 0), 207)]) for s in spreads]
    lane = [np.array(part, np.int64)[:, None] for part in (weights, means, inverses)]
    return [
        mixture.cumulative(low + v, low, kind.alphabet, *lane, 0, tables.sigmoid)
        for v in range(kind.alphabet + 1)
    ]


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([BINS, PIXELS]),
    st.lists(st.integers(-(2**30) + 1, 2**30 - 1), min_size=2, max_size=2),
    st.integers(0, 20),
)
def test_intervals_of_priors_and_posteriors_fill_the_whole(kind, sums, shift):
    """From 0 to 2**24, at least 1 for each value, for sums of any size."""
    rows = [value >> shift for value in sums]
    tables = mixture.tables(context.SCALES)
    ends = np.array(cumulative(rows, kind, kind.low, tables, kind.centre))
    assert (ends[0], ends[-1], len(ends)) == (0, ans.TOTAL, kind.alphabet + 1)
    assert np.diff(ends).min() >= 1


def test_damage_is_seen_or_harmless():
    """Streams that are cut, or whose bits are turned, give other planes or none, and no error."""
    model, planes = MODELS[3, 2, 2], tile("smooth", 20, 40, 3)
    (stream,) = bitswap.encode(model, [planes])
    assert bitswap.decode(model, [stream[:-4]], [(20, 40)]) == [None]
    assert bitswap.decode(model, [stream + b"\1\0\0\0"], [(20, 40)]) == [None]
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(stream), 10):
        worse = bytearray(stream)
        worse[place] ^= 1 << rng.integers(8)
        (found,) = bitswap.decode(model, [bytes(worse)], [(20, 40)])
        assert found is None or not np.array_equal(found, planes)
    with pytest.raises(FormatError, match="whole number"):
        bitswap.decode(model, [stream[:-1]], [(20, 40)])


def test_only_all_256_values():
    with pytest.raises(ModelError, match="a bits-back model codes 256"):
        bitswap.encode(MODELS[1, 1, 1], [tile("dot", 4, 4, 1)], alphabet=255)


def test_progress_is_told_in_pixels():
    told = []
    bitswap.encode_chain(MODELS[1, 1, 1], [tile("dot", 4, 5, 1), tile("dot", 1, 2, 1)], told.append)
    assert told == [2, 20]


def test_likeliest_latents_are_the_middles_of_bins():
    model = MODELS[1, 1, 1]
    sums = np.zeros((1, 3, 2), np.int32)
    sums[0, :, 0] = -(1 << 24), 300, 1 << 24  # 300 / 2**14 is 1.17 bins
    latents, taken = Chain(model, EMPTY)._taken(sums)
    assert not taken
    assert latents[0, :, 0].tolist() == [LOWEST, 1, LOWEST + LATENTS - 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: {"levels": ()}, "0 levels"),
        (lambda m: {"levels": m.levels[1:]}, "levels of latents"),
        (lambda m: {"levels": m.levels[:1]}, "constants of shape"),
        (lambda m: {"levels": (m.levels[0], m.levels[0])}, "level 1: channels"),
        (lambda m: {"constants": m.constants[:, :1]}, "constants of shape"),
        (lambda m: {"constants": m.constants + (1 << 30)}, "out of range"),
        (
            lambda m: {"levels": (dataclasses.replace(m.levels[0], prior=m.levels[0].posterior),)},
            "half the resolution",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message):
    model = MODELS[3, 2, 2]
    with pytest.raises(ModelError, match=message):
        dataclasses.replace(model, **change(model))
