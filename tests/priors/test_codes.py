from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from conftest import make_conv, make_vqvae

from idfzip.coding import ans
from idfzip.errors import ModelError


@pytest.fixture
def prior():
    return make_vqvae(3).levels[0].priors[0]


@pytest.fixture
def tables():
    return make_vqvae(3).tables


def coded(prior, tables, wanted, rate=0):
    known = np.zeros((*wanted.shape[:2], prior.known.inputs), np.int32)
    known[..., 0] = np.arange(known[..., 0].size).reshape(known.shape[:2]) % 300
    codes, intervals = prior.choose(known, wanted, rate, tables)
    words = ans.push_all(*np.ascontiguousarray(intervals.T))
    return known, codes, intervals, words


def test_codes_come_back(prior, tables):
    wanted = np.random.default_rng(0).integers(-400, 400, (6, 7, 5)).astype(np.int32)
    known, codes, intervals, words = coded(prior, tables, wanted)
    assert intervals[:, 1].min() >= 1
    assert (intervals.sum(1) <= ans.TOTAL).all()
    coder = ans.decoder([words])
    np.testing.assert_array_equal(prior.decode(known, coder, tables, False), codes)
    assert ans.is_finished(coder, 0)


def test_without_a_rate_the_nearest_is_taken(prior, tables):
    wanted = np.random.default_rng(1).integers(-300, 300, (5, 4, 5)).astype(np.int32)
    _, codes, _, _ = coded(prior, tables, wanted)
    gaps = wanted[:, :, None].astype(np.int64) - prior.codebook
    np.testing.assert_array_equal(codes, (gaps**2).sum(3).argmin(2))


def test_a_rate_saves_bits(prior, tables):
    wanted = np.random.default_rng(2).integers(-300, 300, (20, 20, 5)).astype(np.int32)
    lengths = [len(coded(prior, tables, wanted, rate)[3]) for rate in (0, 10**5, 10**8)]
    assert lengths[0] > lengths[1] > lengths[2]


def test_a_cut_stream_gives_none(prior, tables):
    wanted = np.random.default_rng(3).integers(-300, 300, (20, 20, 5)).astype(np.int32)
    known, _, _, words = coded(prior, tables, wanted)
    assert prior.decode(known, ans.decoder([words[:-3]]), tables, True) is None


def test_intervals_fill_the_range(prior, tables):
    """The intervals of all codes of one place lie one after the other."""
    ends = []
    for code in prior.codebook.astype(np.int32):
        _, (found,), (interval,), _ = coded(prior, tables, code[None, None])
        ends.append((found[0], *interval.tolist()))
    assert len({code for code, _, _ in ends}) == len(prior.codebook)
    ends.sort()
    assert ends[0][1] == 0
    for (_, start, count), (_, following, _) in pairwise(ends):
        assert start + count == following
    assert ends[-1][1] + ends[-1][2] == ans.TOTAL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, rng: {"near": p.near[:3]}, "weights of shape"),
        (lambda p, rng: {"codebook": p.codebook[:1]}, "1 entries"),
        (lambda p, rng: {"codebook": p.codebook * 2}, "values over"),
        (lambda p, rng: {"out": make_conv(1, 5, 9, rng)}, "output of shape"),
        (lambda p, rng: {"out": make_conv(1, 6, 8, rng)}, "8 codes"),
        (lambda p, rng: {"near": p.near + np.int16(1000)}, "over 1023"),
    ],
)
def test_what_does_not_fit_is_refused(prior, change, message):
    with pytest.raises(ModelError, match=message):
        dataclasses.replace(prior, **change(prior, np.random.default_rng(0)))


def test_sums_of_what_is_known_and_of_codes_stay_in_reach(prior):
    """Each of both is in reach alone."""
    least = int(np.abs(prior._table).max(1).sum(0).max())
    last = prior.known.blocks[-1].convs[-1]
    bias = last.bias + np.int32((1 << 30) - 1 - last.reach.max())
    assert np.abs(bias.astype(np.int64)).max() < 1 << 30
    far = dataclasses.replace(last, bias=np.where(last.bias < 0, last.bias, bias))
    assert (1 << 30) - least < far.reach.max() < 1 << 30
    *blocks, end = prior.known.blocks
    end = dataclasses.replace(end, convs=(*end.convs[:-1], far))
    known = dataclasses.replace(prior.known, blocks=(*blocks, end), shortcut=None)
    with pytest.raises(ModelError, match="sums may reach"):
        dataclasses.replace(prior, known=known)
