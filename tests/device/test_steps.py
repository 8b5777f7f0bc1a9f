"""Steps that go several in one launch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")
pytest.importorskip("triton", reason="steps are those of fused kernels")

from idfzip.device import graph  # noqa: E402
from idfzip.device.machine import Machine  # noqa: E402
from idfzip.device.steps import TOGETHER, Step, Steps  # noqa: E402


class Follower:
    """Notes what is asked of it."""

    learns = True

    def __init__(self, done):
        self.learn, self.end = (lambda: done.append("learn")), (lambda: done.append("end"))

    def clear(self):
        pass

    def due(self, closings):
        return closings.any(0)


@pytest.fixture
def done():
    """Return what was done, in order."""
    return []


@pytest.fixture
def steps(done):
    return Steps(Machine(torch.device("cpu")), Follower(done))


@pytest.fixture
def step(done):
    return Step(lambda: done.append("find"), lambda: done.append("code"))


def test_no_more_than_a_step_is_coded_before_the_capture(monkeypatch, done, steps, step):
    """A tile may have no second step, and kernels would look beyond its plan."""

    def try_out(self, work):
        work()

    monkeypatch.setattr(graph.Replayed, "try_out", try_out)
    steps.prepare(step)
    assert done == ["find", "code", "end", "learn", "find"]


@pytest.mark.parametrize("count", [1, TOGETHER, 2 * TOGETHER + 3])
def test_every_step_is_done_once_and_what_is_due_is_learned(count, done, steps, step):
    closings = np.zeros((2, count), bool)
    closings[1, -1] = True
    steps.run(step, closings)
    assert done.count("code") == done.count("end") == done.count("find") - 1 == count
    assert done[:2] == ["find", "code"]
    assert done[-4:] == ["code", "end", "learn", "find"]
    assert done.count("learn") == (TOGETHER if count == TOGETHER else 1)


def test_what_goes_on_beside_each_other_is_done():
    done = []
    Machine(torch.device("cpu")).both(lambda: done.append("one"), lambda: done.append("other"))
    assert sorted(done) == ["one", "other"]
