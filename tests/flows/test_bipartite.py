from __future__ import annotations

import numpy as np
import pytest
from conftest import make_idf
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.errors import ModelError
from idfzip.flows import bipartite, coupling, permutation, squeeze
from idfzip.flows.bipartite import Level


def noise(height, width, channels, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, (height, width, channels)).astype(np.int32)


@given(
    st.sampled_from(permutation.KINDS),
    st.sampled_from([1, 3]),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_a_flow_is_undone(kind, channels, levels, rows, columns, seed):
    model = make_idf(channels, kind, levels, seed)
    values = noise(rows << levels, columns << levels, channels, seed)
    found = bipartite.forward(model.levels, values)
    assert sum(part.values.size for part in found) == values.size
    for part in found:
        assert part.values.min() >= -128
        assert part.values.max() <= 127

    def latents(i, given):
        np.testing.assert_array_equal(given, found[i].given)
        return found[i].values

    back = bipartite.inverse(model.levels, *values.shape[:2], latents)
    np.testing.assert_array_equal(back, values)


def test_couplings_change_what_they_should():
    net = make_idf(3).levels[0].couplings[0]
    values = noise(6, 7, 12)
    after = coupling.forward(net, values)
    np.testing.assert_array_equal(after[..., :9], values[..., :9])
    assert (after[..., 9:] != values[..., 9:]).mean() > 0.5
    np.testing.assert_array_equal(coupling.inverse(net, after), values)


def test_wrapping_keeps_the_alphabet():
    found = coupling.wrap(np.array([-385, -129, -128, 0, 127, 128, 383, 384]))
    assert found.tolist() == [127, 127, -128, 0, 127, -128, 127, -128]


def test_squeezing_puts_the_even_rows_first():
    values = np.arange(16, dtype=np.int32).reshape(4, 4, 1)
    found = squeeze.forward(values)
    assert found[0, 0].tolist() == [0, 1, 4, 5]
    assert found[1, 1].tolist() == [10, 11, 14, 15]
    np.testing.assert_array_equal(squeeze.inverse(found), values)
    two = noise(2, 2, 2)
    assert squeeze.forward(two)[0, 0].tolist() == two.reshape(-1).tolist()


def test_inverted_permutations_leave_every_channel_in_its_place():
    rng = np.random.default_rng(0)
    values = np.arange(12)
    rows = permutation.chain("inverted", 4, 12, rng)
    orders = []
    for row in rows:
        values = values[row]
        orders.append(values.tolist())
    assert orders[-1] == list(range(12))
    assert len({tuple(order) for order in orders}) == 5


def test_permutations_are_checked():
    rng = np.random.default_rng(0)
    rows = permutation.chain("random", 2, 12, rng)
    permutation.check(rows, 2, 12)
    broken = rows.copy()
    broken[1, 0] = broken[1, 1]
    with pytest.raises(ModelError, match="each channel once"):
        permutation.check(broken, 2, 12)
    with pytest.raises(ModelError, match="shape"):
        permutation.check(rows, 3, 12)
    with pytest.raises(ModelError, match="one of random"):
        permutation.chain("sorted", 2, 12, rng)


def test_a_network_of_other_channels_is_refused():
    level = make_idf(3).levels[0]
    with pytest.raises(ModelError, match="coupling 0: 9 \\+ 3 channels, 16 expected"):
        Level(permutation.chain("random", 2, 16, np.random.default_rng(0)), level.couplings)
