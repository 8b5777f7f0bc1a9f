from __future__ import annotations

import numpy as np
import pytest

from idfzip.flows import recursion, wavefront, window
from idfzip.flows.alphabet import alphabet, integer_type
from idfzip.flows.wavefront import MARGIN
from idfzip.integer.jit import kernel
from idfzip.integer.lanes import LANES


@pytest.mark.parametrize(("values", "bits"), [(256, 31), (65536, 46)])
def test_sums_of_the_strongest_samples_fit(values, bits):
    limit = alphabet(values).limit
    decay = 27 / 32
    row = 1 / (1 - decay)
    above = (row + decay + decay**2) / (1 - decay)
    weights = row + row + decay + decay * above
    assert weights * limit**2 * recursion.ONE < 2**bits
    assert weights * (window.ERROR_STEPS * (limit + 1) - 1) * recursion.ONE < 2**bits


@kernel
def sum_window(row, above, t, lane, total):
    recursion.sum_window(row, above, t, lane, total)


def decayed(v):
    return v - (v >> 3) - (v >> 5)


@pytest.mark.parametrize("values", [256, 4096, 65536])
@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 1), (1, 6), (6, 1), (2, 2), (21, 4)])
def test_recursion_is_that_of_the_text(height, width, values):
    rng = np.random.default_rng(0)
    one = alphabet(values)
    kind, limit = integer_type(one), one.limit
    pixels = rng.integers(0, values, (height, width))
    planes = wavefront.ring(values >> 1, height, kind)[None]
    errors = wavefront.ring(0, height, kind)[None]
    places = np.array([(0, 0, -1), (0, -1, 0)])
    sums, group = window.window(1, height, 2, 1, one), window.samples(1, height, 2, 1, one)
    row, above, product = {}, {}, {}
    zero = np.zeros(8, np.int64)
    total = np.zeros((8, LANES), kind)

    def seen(plane, t, y, dy, dx):
        return int(plane[0, wavefront.slot(t + dx + 2 * dy), y + dy + MARGIN])

    for t in range(wavefront.steps(height, width)):
        window.learn(planes, errors, sums, group, 0, t - 1, height, width, limit)
        bases, samples = group.bases[0], group.values[0]
        window.sample(planes, places, t, height, width, limit, bases, samples)
        rows = range(wavefront.first_row(t, width), wavefront.end_row(t, height))
        for y in rows:
            x = t - 2 * y
            above[y, x] = decayed(above.get((y - 1, x), zero)) * (y >= 2)
            if y >= 2:
                right = product.get((y - 2, x + 2), zero)
                right = decayed(product.get((y - 2, x + 1), zero) + decayed(right))
                above[y, x] = above[y, x] + row[y - 2, x] + right
            expected = row.get((y, x - 1), zero) + decayed(above[y, x])
            if y >= 1:
                expected = expected + row[y - 1, x] + decayed(product.get((y - 1, x + 1), zero))
            block = y // LANES * LANES
            sum_window(sums.row[0], sums.above[0], t, block + window.ABOVE, total)
            np.testing.assert_array_equal(total[:, y - block], expected)
        for y in rows:
            planes[0, wavefront.slot(t), y + MARGIN] = pixels[y, t - 2 * y]
            errors[0, wavefront.slot(t), y + MARGIN] = 64 * int(rng.integers(-99, 99))
        for y in rows:
            x = t - 2 * y
            near = [seen(planes, t, y, dy, dx) for _, dy, dx in places]
            four = [(0, -1), (-1, 0), (-1, -1), (-1, 1)]
            base = (sum(seen(planes, t, y, *at) for at in four) + 2) >> 2
            f = [min(max(v - base, -limit), limit) for v in [*near, int(pixels[y, x])]]
            p = [256 * f[i] * f[j] for i in range(3) for j in range(i + 1)]
            p = np.array([*p, 256, 256 * (abs(seen(errors, t, y, 0, 0)) >> 2)], np.int64)
            product[y, x] = p
            row[y, x] = decayed(row.get((y, x - 1), zero)) + p
        wavefront.spread(planes[0], t, height, width)
        wavefront.spread(errors[0], t, height, width)
