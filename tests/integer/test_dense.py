from __future__ import annotations

import numpy as np
import pytest

from idfzip.errors import ModelError
from idfzip.integer import grid
from idfzip.integer.dense import Layer, activate, bound, check_bound
from idfzip.integer.panel import multiply, room


def extreme_layer(inputs: int, outputs: int) -> tuple[Layer, np.ndarray]:
    """Return a layer near the bound, and inputs that reach it."""
    size = (grid.EXACT - grid.HALF - 100) // (inputs * grid.ACTIVATION_LIMIT)
    rng = np.random.default_rng(0)
    signs = rng.choice([-1, 1], (inputs, outputs))
    layer = Layer((signs * size).astype(np.int16), np.full(outputs, 99, np.int32))
    rows = np.concatenate([signs.T, -signs.T, rng.choice([-1, 0, 1], (200, inputs))])
    return layer, (rows * grid.ACTIVATION_LIMIT).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 7, 200])
def test_products_are_exact_at_the_bound(rows):
    layer, values = extreme_layer(128, 96)
    check_bound(layer, np.full(128, grid.ACTIVATION_LIMIT), "extreme")
    wide = room(rows, 128)
    wide[:rows, :128] = values[:rows]
    out = np.full((len(wide), 96), np.nan, np.float32)
    multiply(wide, rows, layer.panels, out)
    exact = values[:rows].astype(np.int64) @ layer.weight.astype(np.int64)
    np.testing.assert_array_equal(out[:rows].astype(np.int64), exact)
    assert np.isfinite(out).all()


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (33, 12), (79, 128), (16, 33)])
def test_products_of_any_shape(inputs, outputs):
    rng = np.random.default_rng(inputs)
    layer = Layer(rng.integers(-9, 10, (inputs, outputs)).astype(np.int16), np.zeros(outputs, "i4"))
    wide = room(13, inputs)
    wide[:13, :inputs] = rng.integers(-99, 100, (13, inputs))
    wide[:13, inputs:] = 1e30  # beyond the depth: never read
    out = room(13, outputs)
    multiply(wide, 13, layer.panels, out)
    np.testing.assert_array_equal(out[:13, :outputs], wide[:13, :inputs] @ layer.weight)


def test_beyond_the_bound_is_refused():
    layer, _ = extreme_layer(128, 96)
    wider = Layer(layer.weight + np.sign(layer.weight).astype(np.int16), layer.bias)
    limits = np.full(128, grid.ACTIVATION_LIMIT)
    assert bound(wider, limits) >= grid.EXACT
    with pytest.raises(ModelError, match="layer big: sums may reach"):
        check_bound(wider, limits, "big")


def test_activation_is_shift_leak_and_clamp():
    sums = np.arange(-300_000, 300_000, 7)
    values = np.repeat(sums[None].astype(np.float32), 2, 0)
    bias = np.full(values.shape[1], -13, np.float32)
    activate(values, 1, bias)
    np.testing.assert_array_equal(values[1], sums.astype(np.float32))
    whole = (sums - 13 + 128) >> 8
    expected = np.clip(np.maximum(whole, whole >> 3), -511, 511)
    np.testing.assert_array_equal(values[0].astype(np.int64), expected)
