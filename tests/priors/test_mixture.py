from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.coding.ans import TOTAL
from idfzip.flows.alphabet import alphabet
from idfzip.flows.context import SCALES
from idfzip.integer.jit import kernel
from idfzip.priors import mixture, mixtures

TABLES = mixture.tables(SCALES)


@kernel
def all_cumulative(low, values, room, sigmoid, out):
    weights, means, inverses = room.weights, room.means, room.inverses
    for i in range(values + 1):
        out[i] = mixture.cumulative(low + i, low, values, weights, means, inverses, 0, sigmoid)


@kernel
def find(quantile, low, values, room, sigmoid):
    weights, means, inverses = room.weights, room.means, room.inverses
    return mixture.search(quantile, low, values, weights, means, inverses, 0, sigmoid)


def mixed(sums, scale, mean, low, values=256):
    """Return the block that holds one mixture, in its first lane."""
    tables = mixture.deepened(TABLES, alphabet(values).deep)
    room = mixtures.mixtures(len(sums) // 3)
    room.scales[0], room.centres[0], room.lows[0] = scale, mean, low
    rows = np.array([sums], np.float32)
    mixtures.mix(rows, 0, 1, tables.exp, tables.inverse, tables.span, room)
    return room


def distribution(sums, scale, mean, low, values=256):
    out, room = np.zeros(values + 1, np.int64), mixed(sums, scale, mean, low, values)
    all_cumulative(low, values, room, TABLES.sigmoid, out)
    return out, room


whole = st.integers(-(1 << 23), 1 << 23)


@given(
    st.lists(whole, min_size=12, max_size=12),
    st.floats(0, 1),
    st.floats(-1, 2),
    st.floats(0, 1),
    st.integers(0, TOTAL - 1),
    st.sampled_from([256, 1, 2, 16, 257, 1000, 4096, 65535, 65536]),
)
@settings(deadline=None, max_examples=200)
def test_cumulative_rises_from_nothing_to_all_and_search_inverts_it(
    sums, scale, mean, low, quantile, values
):
    scale = round(scale * (SCALES - 1 + 4 * alphabet(values).deep))
    mean, low = round(mean * 64 * values), -round(low * (values - 1))
    out, room = distribution(sums, scale, mean, low, values)
    assert room.weights[:, 0].sum() == 1 << mixture.WEIGHT_BITS
    assert (room.weights[:, 0] >= 0).all()
    assert out[0] == 0
    assert out[values] == TOTAL
    assert (np.diff(out) >= 1).all()
    middle = int(out[values // 2])
    for q in (quantile, 0, TOTAL - 1, min(middle, TOTAL - 1), max(middle - 1, 0)):
        value, lower, upper = find(q, low, values, room, TABLES.sigmoid)
        assert (lower, upper) == (out[value - low], out[value - low + 1])
        assert lower <= q < upper


def test_extreme_frequencies_are_reached():
    narrow, _ = distribution([0, 0, 0, 0, 0, 0, -(1 << 20), 0, 0], 0, 100 * 64, 0)
    assert narrow.max() == TOTAL
    sharp = [1 << 20, 0, 0, 0, 0, 0, -(1 << 20), -(1 << 20), -(1 << 20)]
    out, _ = distribution(sharp, 0, 100 * 64, 0)
    frequencies = np.diff(out)
    assert frequencies.min() == 1
    assert frequencies.max() == TOTAL - 255


@pytest.mark.parametrize("scale", [0, 12, 30, 51])
def test_integers_agree_with_the_float_likelihood(scale):
    torch = pytest.importorskip("torch", reason="the float likelihood needs idfzip[train]")
    from idfzip.training import likelihood

    rng = np.random.default_rng(scale)
    for _ in range(20):
        sums = rng.normal(0, 0.8, 12)
        mean = rng.integers(0, 255 * 64)
        out, _ = distribution(np.round(sums * (1 << 14)), scale, mean, 0)
        probability = np.diff(out) / TOTAL
        values = torch.arange(256.0)
        many = values.shape
        bits = likelihood.bits(
            torch.from_numpy(np.round(sums * (1 << 14)) / (1 << 14)).float().expand(256, 12),
            torch.full(many, scale / 4 - 3),
            torch.full(many, mean / 64),
            values,
            torch.zeros(many),
        ).numpy()
        ideal = (2.0**-bits * bits).sum()
        coded = (2.0**-bits * -np.log2(probability)).sum()
        assert coded <= ideal * 1.005 + 1e-3


@pytest.mark.parametrize("scale", [4, 20, 36])
def test_slopes_are_those_of_the_float_likelihood(scale):
    torch = pytest.importorskip("torch", reason="the float likelihood needs idfzip[train]")
    from idfzip.training import likelihood

    rng = np.random.default_rng(scale)
    for value in (0, 255, *rng.integers(0, 256, 30)):
        sums = torch.tensor(rng.normal(0, 0.6, 12), dtype=torch.float64, requires_grad=True)
        steps = 2 ** (scale / 4 - 3)
        mean = int((value + np.clip(rng.normal(0, steps), -3, 3)) * 64)
        whole = np.round(sums.detach().numpy() * (1 << 14))
        room = mixed(whole, scale, mean, 0)
        room.values[0] = value
        mixtures.edges(1, 256, TABLES.sigmoid, room)
        rows = np.zeros((1, 12), np.float32)
        mixtures.slope(0, 1, room, rows)
        found = rows[0]

        def one(number):
            return torch.tensor([number], dtype=torch.float64)

        bits = likelihood.bits(
            sums[None], one(scale / 4 - 3), one(mean / 64), one(float(value)), one(0.0)
        )
        (bits.sum() * np.log(2)).backward()
        expected = (sums.grad.numpy() * 64).clip(-127, 127)
        assert np.abs(found - expected).max() < 0.7 + 0.06 * np.abs(expected).max()


def plain_mixture(sums, scale, mean):
    """Return weights, means and inverse scales as FORMAT.md defines them, in Python's integers."""
    k = len(sums) // 3
    top = max(sums[:k])
    shares = [int(TABLES.exp[min((top - s) >> 7, 2047)]) for s in sums[:k]]
    weights = [(share << mixture.WEIGHT_BITS) // sum(shares) for share in shares]
    weights[sums.index(top)] += (1 << mixture.WEIGHT_BITS) - sum(weights)
    span = int(TABLES.span[scale])
    means = [mean + ((s * span + (1 << 17)) >> 18) for s in sums[k : 2 * k]]
    spreads = [4 * scale - 64 + ((s + 512) >> 10) + mixture.LOWEST for s in sums[2 * k :]]
    inverses = [int(TABLES.inverse[min(max(s, 0), mixture.SPREADS - 1)]) for s in spreads]
    return weights, means, inverses


@given(st.integers(1, mixtures.LANES), st.integers(1, 6), st.integers(0, 1 << 32))
@settings(deadline=None, max_examples=100)
def test_every_lane_is_what_plain_integers_give(count, k, seed):
    rng = np.random.default_rng(seed)
    spread = 10 ** rng.uniform(1, 6.9)
    sums = rng.normal(0, spread, (count + 3, 3 * k)).clip(-(1 << 23), 1 << 23).astype(np.int64)
    room = mixtures.mixtures(k)
    room.scales[:count] = rng.integers(0, SCALES, count)
    room.centres[:count] = rng.integers(-16384, 16384, count)
    room.lows[:count] = rng.integers(-255, 1, count)
    room.values[:count] = room.lows[:count] + rng.integers(0, 256, count)
    rows = sums.astype(np.float32)
    mixtures.mix(rows, 3, count, TABLES.exp, TABLES.inverse, TABLES.span, room)
    mixtures.edges(count, 256, TABLES.sigmoid, room)
    mixtures.intervals(count, 256, room)
    for lane in range(count):
        row = [int(s) for s in sums[3 + lane]]
        plain = plain_mixture(row, int(room.scales[lane]), int(room.centres[lane]))
        parts = (room.weights, room.means, room.inverses)
        assert tuple(list(part[:, lane]) for part in parts) == plain
        low, value = int(room.lows[lane]), int(room.values[lane])
        arrays = [part[:, [lane]] for part in parts]
        for up in range(2):
            end = mixture.cumulative(value + up, low, 256, *arrays, 0, TABLES.sigmoid)
            assert room.ends[up, lane] == end
