from __future__ import annotations

import numpy as np
import pytest

from idfzip.flows import wavefront, window
from idfzip.flows.alphabet import alphabet, integer_type
from idfzip.flows.wavefront import MARGIN


@pytest.mark.parametrize(("values", "bits"), [(256, 31), (65536, 46)])
def test_sums_of_the_strongest_samples_fit(values, bits):
    limit = alphabet(values).limit
    decay = 27 / 32
    row = 1 / (1 - decay)
    above = (row + decay + decay**2) / (1 - decay)
    weights = row + row + decay + decay * above
    assert weights * limit**2 * window.ONE < 2**bits
    assert weights * (window.ERROR_STEPS * (limit + 1) - 1) * window.ONE < 2**bits


def decayed(v):
    return v - (v >> 3) - (v >> 5)


@pytest.mark.parametrize("values", [256, 4096, 65536])
def test_recursion_is_that_of_the_text(values):
    height, width = 5, 7
    rng = np.random.default_rng(0)
    one = alphabet(values)
    kind, limit = integer_type(one), one.limit
    pixels = rng.integers(0, values, (1, height, width)).astype(np.int32)
    planes = np.stack([wavefront.blank(height, width, values >> 1)]).astype(kind)
    errors = np.stack([wavefront.blank(height, width, 0)]).astype(kind)
    places = np.array([(0, 0, -1), (0, -1, 0)])
    sums = window.window(1, height, 2, 1, one)
    row, above, product = {}, {}, {}
    zero = np.zeros(8, np.int64)
    total = np.zeros(sums.row.shape[3], kind)
    for t in range(wavefront.steps(height, width)):
        first, end = wavefront.first_row(t, width), wavefront.end_row(t, height)
        for y in range(first, end):
            x = t - 2 * y
            above[y, x] = decayed(above.get((y - 1, x), zero)) * (y >= 2)
            if y >= 2:
                right = product.get((y - 2, x + 2), zero)
                right = decayed(product.get((y - 2, x + 1), zero) + decayed(right))
                above[y, x] = above[y, x] + row[y - 2, x] + right
            expected = row.get((y, x - 1), zero) + decayed(above[y, x])
            if y >= 1:
                expected = expected + row[y - 1, x] + decayed(product.get((y - 1, x + 1), zero))
            window.sum_window(sums.row[0], sums.above[0], y, x, width, total)
            np.testing.assert_array_equal(total[:8], expected)
        for y in range(first, end):
            x = t - 2 * y
            wavefront.place(planes[0], y, x, height, width, pixels[0, y, x])
            wavefront.place(errors[0], y, x, height, width, 64 * int(rng.integers(-99, 99)))
        window.learn(planes, errors, places, sums, 0, t, first, end, limit)
        for y in range(first, end):
            x = t - 2 * y
            m = MARGIN
            near = [planes[0, y + m + dy, x + m + dx] for _, dy, dx in places]
            base = window.base.py_func(planes, 0, y, x)
            f = [min(max(v - base, -limit), limit) for v in [*near, planes[0, y + m, x + m]]]
            p = [256 * f[i] * f[j] for i in range(3) for j in range(i + 1)]
            p = np.array([*p, 256, 256 * (abs(errors[0, y + m, x + m]) >> 2)], np.int64)
            product[y, x] = p
            row[y, x] = decayed(row.get((y, x - 1), zero)) + p
