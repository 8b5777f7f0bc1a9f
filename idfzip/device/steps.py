"""Steps by fused kernels, several in one launch from the host, and what is learned after each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from idfzip.device.follow import Follower
from idfzip.device.graph import Replayed

TOGETHER = 4
"""Steps in one launch: threads that finish tiles let the one that launches wait each time."""

Step = Callable[[], None]


def _nothing() -> None:
    """Do nothing: all that is captured was done."""


class Steps:
    """Does steps that are all alike, and lets networks follow where periods end."""

    def __init__(self, device: torch.device, follower: Follower) -> None:
        self._follower = follower
        self._plain, self._learning = (Replayed(device) for _ in range(2))

    def prepare(self, step: Step) -> None:
        """Capture some steps, after the first one, which moves everything; so begin anew.

        No more than one is done: there may be no second.
        """
        self._plain.prepare(partial(self._some, step, False), partial(self._one, step, True))
        if self._follower.learns:
            self._learning.prepare(partial(self._some, step, True), _nothing)
        self._follower.clear()

    def run(self, step: Step, closings: npt.NDArray[np.bool_]) -> None:
        """Do so many steps as groups' periods may end at, bool (groups, steps)."""
        due = self._follower.due(closings)
        whole = len(due) // TOGETHER * TOGETHER
        for t in range(0, whole, TOGETHER):
            some = bool(due[t : t + TOGETHER].any())
            replayed = self._learning if some else self._plain
            replayed(partial(self._some, step, some))
        for one in due[whole:]:
            self._one(step, bool(one))

    def _some(self, step: Step, learns: bool) -> None:
        for _ in range(TOGETHER):
            self._one(step, learns)

    def _one(self, step: Step, learns: bool) -> None:
        """Do a step; if one `learns`, let those networks learn whose periods are over and count."""
        step()
        if self._follower.learns:
            if learns:
                self._follower.learn()
            self._follower.end()
