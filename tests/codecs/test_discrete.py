from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.codecs import discrete
from idfzip.codecs.discrete import Discrete
from idfzip.errors import ModelError
from idfzip.flows.modular import Conditioner, Modular, units
from idfzip.integer.dense import Layer
from idfzip.priors.categorical import Categorical, frequencies


def model(alphabet, size, seed, autoregressive=False):
    rng = np.random.default_rng(seed)
    outputs = alphabet + len(units(alphabet))
    hidden = Layer(
        rng.integers(-400, 401, (alphabet + 1, 4)).astype(np.int16), np.zeros(4, np.int32)
    )
    last = Layer(
        rng.integers(-400, 401, (4, outputs)).astype(np.int16), np.zeros(outputs, np.int32)
    )
    shape = (1, alphabet + 1, alphabet) if autoregressive else (size, 1, alphabet)
    base = Categorical(frequencies(rng.random(shape) ** 3 + 1e-9))
    return Discrete((Modular((-1,), None, Conditioner(alphabet, hidden, last)),), base)


@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 20), st.booleans())
@settings(deadline=None, max_examples=30)
def test_rows_come_back_and_take_the_ideal_length(alphabet, size, rows, autoregressive):
    coder = model(alphabet, size, alphabet + rows, autoregressive)
    values = np.random.default_rng(rows).integers(0, alphabet, (rows, size))
    stream = discrete.encode(coder, values)
    np.testing.assert_array_equal(discrete.decode(coder, stream, rows, size), values)
    assert 8 * len(stream) <= coder.bits(values) + 64


def test_categories_beyond_the_alphabet_are_refused():
    with pytest.raises(ModelError, match="0 to 4"):
        discrete.encode(model(5, 2, 0), np.array([[0, 5]]))


def test_parts_of_different_alphabets_are_refused():
    with pytest.raises(ModelError, match="alphabets"):
        Discrete(model(4, 2, 0).layers, model(5, 2, 0).base)


def test_frequencies_are_whole_positive_and_sum_up():
    found = frequencies(np.array([[0.0, 1.0, 1e-12], [0.2, 0.3, 0.5]]))
    assert (found >= 1).all()
    assert (found.sum(1) == 1 << 24).all()
