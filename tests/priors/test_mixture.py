from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.coding.ans import TOTAL
from idfzip.flows.alphabet import alphabet
from idfzip.flows.context import SCALES
from idfzip.integer.jit import kernel
from idfzip.priors import mixture

TABLES = mixture.tables(SCALES)


@kernel
def all_cumulative(sums, scale, mean, exp, inverse, span, sigmoid, low, values, out, mixed):
    mixture.mix(sums, scale, mean, exp, inverse, span, mixed)
    for i in range(values + 1):
        out[i] = mixture.cumulative(low + i, low, values, mixed, sigmoid)


@kernel
def find(quantile, low, values, mixed, sigmoid):
    return mixture.search(quantile, low, values, mixed, sigmoid)


@kernel
def write_slope(value, low, values, mixed, span, sigmoid, out):
    mixture.slope(value, low, values, mixed, span, sigmoid, out)


def distribution(sums, scale, mean, low, values=256):
    tables = mixture.deepened(TABLES, alphabet(values).deep)
    out, mixed = np.zeros(values + 1, np.int64), mixture.room(len(sums) // 3)
    all_cumulative(
        np.array(sums, np.float32),
        scale,
        mean,
        tables.exp,
        tables.inverse,
        tables.span[scale],
        tables.sigmoid,
        low,
        values,
        out,
        mixed,
    )
    return out, mixed


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
    out, mixed = distribution(sums, scale, mean, low, values)
    assert mixed[0].sum() == 1 << mixture.WEIGHT_BITS
    assert (mixed[0] >= 0).all()
    assert out[0] == 0
    assert out[values] == TOTAL
    assert (np.diff(out) >= 1).all()
    middle = int(out[values // 2])
    for q in (quantile, 0, TOTAL - 1, min(middle, TOTAL - 1), max(middle - 1, 0)):
        value, lower, upper = find(q, low, values, mixed, TABLES.sigmoid)
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
        _, mixed = distribution(whole, scale, mean, 0)
        found = np.zeros(12, np.float32)
        write_slope(int(value), 0, 256, mixed, TABLES.span[scale], TABLES.sigmoid, found)

        def one(number):
            return torch.tensor([number], dtype=torch.float64)

        bits = likelihood.bits(
            sums[None], one(scale / 4 - 3), one(mean / 64), one(float(value)), one(0.0)
        )
        (bits.sum() * np.log(2)).backward()
        expected = (sums.grad.numpy() * 64).clip(-127, 127)
        assert np.abs(found - expected).max() < 0.7 + 0.06 * np.abs(expected).max()
