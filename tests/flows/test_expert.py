from __future__ import annotations

import numpy as np
import pytest

from idfzip.flows import expert
from idfzip.integer.lanes import LANES


def triangle(matrices):
    n = matrices.shape[1]
    return [matrices[:, i, j] for i in range(n) for j in range(i + 1)]


@pytest.mark.parametrize("content", ["usual", "singular", "zero"])
def test_elimination_solves_least_squares(content):
    m, n = 7, 10
    rng = np.random.default_rng(3)
    samples = rng.normal(0, 900, (LANES, 60, n)) if content != "zero" else np.zeros((LANES, 60, n))
    if content == "singular":
        samples[:, :, 3] = samples[:, :, 2]
    moments = np.einsum("lsi,lsj->lij", samples, samples)
    moments += moments * np.eye(n) / 128 + 4096 * np.eye(n)
    query = rng.normal(0, 40, (LANES, m))
    rows = [*triangle(moments), *query.T, *np.zeros((n - m, LANES))]
    a = np.ascontiguousarray(rows, np.float32)
    expert.eliminate(a, np.zeros((n + 1, LANES), np.float32), m, n)
    for lane in range(LANES):
        weights = np.linalg.solve(moments[lane, :m, :m], moments[lane, :m, m:])
        np.testing.assert_allclose(
            -a[-(n - m) :, lane], query[lane] @ weights, rtol=1e-4, atol=1e-3
        )


def test_lanes_do_not_touch_each_other():
    rng = np.random.default_rng(4)
    n, m = 6, 4
    samples = rng.normal(0, 50, (LANES, 30, n))
    moments = np.einsum("lsi,lsj->lij", samples, samples) + 300 * np.eye(n)
    rows = np.ascontiguousarray([*triangle(moments), *rng.normal(0, 9, (n, LANES))], np.float32)
    alone = np.zeros_like(rows)
    alone[:, 5] = rows[:, 5]
    expert.eliminate(rows, np.zeros((n + 1, LANES), np.float32), m, n)
    expert.eliminate(alone, np.zeros((n + 1, LANES), np.float32), m, n)
    np.testing.assert_array_equal(rows[:, 5], alone[:, 5])


def test_predictions_stay_within_bounds():
    assert expert.to_mean(-512.0, 128, 0, 255) == 0
    assert expert.to_mean(512.0, 128, 0, 255) == 255 * 64
    partial, link, z = np.array([[np.nan]]), np.zeros((1, 1, 1)), np.zeros((1, 1))
    assert expert.predict(partial, link, 0, 0, z, 0, 255) == -512.0
    assert expert.predict(-partial * 0 + np.inf, link, 0, 0, z, 0, 4095) in (-8192.0, 8192.0)
