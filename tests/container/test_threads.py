"""Jobs over threads: their order, and what they hold at once."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from idfzip.container.threads import in_order


class Scales:
    """Weighs what is under way."""

    def __init__(self):
        self.now = self.most = 0
        self._lock = threading.Lock()

    def job(self, weight, number):
        with self._lock:
            self.now += weight
            self.most = max(self.most, self.now)
        time.sleep(0.002)
        with self._lock:
            self.now -= weight
        return number


@pytest.mark.parametrize("threads", [1, 4])
def test_results_come_in_order(threads):
    scales = Scales()
    jobs = (partial(scales.job, 1, i) for i in range(40))
    assert list(in_order(jobs, threads)) == list(range(40))
    assert scales.most <= threads


def test_no_more_than_so_much_is_under_way():
    scales = Scales()
    weights = [3, 5, 1, 1, 1, 1, 20, 4, 4, 4, 1] * 3
    jobs = (partial(scales.job, weight, i) for i, weight in enumerate(weights))
    assert list(in_order(jobs, 8, weights, 10)) == list(range(len(weights)))
    assert scales.most == 20  # the one that is too heavy comes alone


def test_light_jobs_are_not_held_back():
    """All eight wait for each other, which they could not if they came in turn."""
    barrier = threading.Barrier(8)
    jobs = (partial(barrier.wait, 30) for _ in range(8))
    assert sorted(in_order(jobs, 8, [1] * 8, 10)) == list(range(8))


def test_a_failure_is_the_callers():
    def fail():
        raise KeyError("here")

    with pytest.raises(KeyError):
        list(in_order([fail, fail], 2))
