from __future__ import annotations

import numpy as np
import pytest

from idfzip.errors import ModelError
from idfzip.integer import grid
from idfzip.integer.dense import Blas, Layer, Plain, activate, bound, check_bound


def extreme_layer(inputs: int, outputs: int) -> tuple[Layer, np.ndarray]:
    """Return a layer near the bound, and inputs that reach it."""
    size = (grid.EXACT - grid.HALF - 100) // (inputs * grid.ACTIVATION_LIMIT)
    rng = np.random.default_rng(0)
    signs = rng.choice([-1, 1], (inputs, outputs))
    layer = Layer((signs * size).astype(np.int16), np.full(outputs, 99, np.int32))
    rows = np.concatenate([signs.T, -signs.T, rng.choice([-1, 0, 1], (200, inputs))])
    return layer, (rows * grid.ACTIVATION_LIMIT).astype(np.float32)


@pytest.mark.parametrize("product", [Blas(), Plain()])
@pytest.mark.parametrize("rows", [1, 7, 200])
def test_products_are_exact_at_the_bound(product, rows):
    layer, values = extreme_layer(128, 96)
    check_bound(layer, np.full(128, grid.ACTIVATION_LIMIT), "extreme")
    values = np.ascontiguousarray(values[:rows])
    out = np.full((rows, 96), np.nan, np.float32)
    product.multiply(values, layer, out)
    exact = values.astype(np.int64) @ layer.weight.astype(np.int64)
    np.testing.assert_array_equal(out.astype(np.int64), exact)


def test_beyond_the_bound_is_refused():
    layer, _ = extreme_layer(128, 96)
    wider = Layer(layer.weight + np.sign(layer.weight).astype(np.int16), layer.bias)
    limits = np.full(128, grid.ACTIVATION_LIMIT)
    assert bound(wider, limits) >= grid.EXACT
    with pytest.raises(ModelError, match="layer big: sums may reach"):
        check_bound(wider, limits, "big")


def test_activation_is_shift_leak_and_clamp():
    sums = np.arange(-300_000, 300_000, 7)
    values = sums[None].astype(np.float32)
    bias = np.full(values.shape[1], -13, np.float32)
    activate(values, bias)
    whole = (sums - 13 + 128) >> 8
    expected = np.clip(np.maximum(whole, whole >> 3), -511, 511)
    np.testing.assert_array_equal(values[0].astype(np.int64), expected)
