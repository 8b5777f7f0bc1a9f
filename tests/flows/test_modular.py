from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.errors import ModelError
from idfzip.flows import modular
from idfzip.flows.modular import Conditioner, Modular
from idfzip.integer.dense import Layer


def conditioner(alphabet, inputs, seed):
    rng = np.random.default_rng(seed)
    rows, outputs = inputs * (alphabet + 1), alphabet + len(modular.units(alphabet))
    hidden = Layer(rng.integers(-500, 501, (rows, 5)).astype(np.int16), np.zeros(5, np.int32))
    last = Layer(
        rng.integers(-500, 501, (5, outputs)).astype(np.int16), np.zeros(outputs, np.int32)
    )
    return Conditioner(alphabet, hidden, last)


def every_state(alphabet, size):
    return np.array(list(product(range(alphabet), repeat=size)), np.int64)


@pytest.mark.parametrize("alphabet", range(1, 40))
def test_every_unit_has_an_inverse_and_nothing_else_has(alphabet):
    units = modular.units(alphabet).tolist()
    for scale in range(1, alphabet):
        if scale in units:
            assert modular.reciprocal(scale, alphabet) * scale % alphabet == 1 % alphabet
        else:
            with pytest.raises(ModelError, match="no inverse"):
                modular.reciprocal(scale, alphabet)


@given(
    st.sampled_from([(2, 5), (3, 4), (4, 4), (6, 3), (9, 3), (10, 2), (91, 2)]),
    st.sampled_from(["autoregressive", "reversed", "bipartite"]),
    st.integers(1, 3),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_all_states_are_permuted_and_come_back(sizes, kind, count, seed):
    alphabet, size = sizes
    layers = []
    for i in range(count):
        if kind == "bipartite":
            layers.append(Modular((-1, 1), i % 2, conditioner(alphabet, 2, seed + i)))
        else:
            offsets = (-1, -2) if kind == "autoregressive" else (1,)
            net = conditioner(alphabet, len(offsets), seed + i)
            layers.append(Modular(offsets, None, net))
    states = every_state(alphabet, size)
    after = modular.forward(layers, states)
    assert len(np.unique(after, axis=0)) == len(states)
    np.testing.assert_array_equal(modular.inverse(layers, after), states)


def test_two_values_are_a_matter_of_xor():
    for mu, x in product((0, 1), repeat=2):
        assert modular.transform(x, mu, 1, 2) == mu ^ x
    states = every_state(2, 6)
    layer = Modular((-1, -2), None, conditioner(2, 2, 5))
    after = layer.forward(states)
    assert (after != states).any()
    seen = np.concatenate([np.full((len(states), 2), 2), states], 1)
    context = np.stack([seen[:, 1:-1], seen[:, :-2]], -1)
    mu, sigma = layer.conditioner(context)
    assert (sigma == 1).all()
    np.testing.assert_array_equal(after, mu ^ states)


def test_a_layer_sees_only_what_the_decoder_knows():
    net = conditioner(5, 2, 0)
    layer = Modular((-1, -2), None, net)
    values = np.random.default_rng(0).integers(0, 5, (50, 8))
    after = layer.forward(values)
    for d in range(8):
        changed = values.copy()
        changed[:, d] = (changed[:, d] + 1) % 5
        np.testing.assert_array_equal(layer.forward(changed)[:, :d], after[:, :d])


@pytest.mark.parametrize(
    ("offsets", "parity"), [((0, -1), None), ((-1, 1), None), ((-1, 2), 0), ((-1, 1), 2), ((), 0)]
)
def test_layers_that_could_not_be_undone_are_refused(offsets, parity):
    with pytest.raises(ModelError):
        Modular(offsets, parity, conditioner(4, 2, 0))


def test_a_scale_without_inverse_is_refused():
    with pytest.raises(ModelError, match="scale 2"):
        modular.restore(np.arange(4), 0, np.array([1, 2, 3, 1]), 4)
