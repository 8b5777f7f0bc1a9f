"""Steps that go several in one launch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")
pytest.importorskip("triton", reason="steps are those of fused kernels")

from idfzip.device import graph  # noqa: E402
from idfzip.device.steps import TOGETHER, Steps  # noqa: E402


class Follower:
    """Notes what is asked of it."""

    learns = True

    def __init__(self, done):
        self.learn, self.end = (lambda: done.append("learn")), (lambda: done.append("end"))

    def clear(self):
        pass

    def due(self, closings):
        return closings.any(0)


def test_no_more_than_a_step_is_done_before_the_capture(monkeypatch):
    """A tile may have no second step, and kernels would look beyond its plan."""

    def prepare(self, work, first=None):
        (first or work)()

    monkeypatch.setattr(graph.Replayed, "prepare", prepare)
    done = []
    steps = Steps(torch.device("cpu"), Follower(done))
    steps.prepare(lambda: done.append("step"))
    assert done == ["step", "learn", "end"]


@pytest.mark.parametrize("count", [1, TOGETHER, 2 * TOGETHER + 3])
def test_every_step_is_done_once_and_what_is_due_is_learned(count):
    done = []
    closings = np.zeros((2, count), bool)
    closings[1, -1] = True
    Steps(torch.device("cpu"), Follower(done)).run(lambda: done.append("step"), closings)
    assert done.count("step") == done.count("end") == count
    assert done[-3:] == ["step", "learn", "end"]
    assert done.count("learn") == (TOGETHER if count == TOGETHER else 1)
