"""Steps by fused kernels, several in one launch from the host, and what is learned after each.

A step begins with what `finds` its pixels, which needs no network: it goes on while networks learn
from the step before. What `codes` them is the rest, up to where the next step can begin.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.device.follow import Follower
from idfzip.device.graph import Replayed
from idfzip.device.machine import Machine

TOGETHER = 4
"""Steps in one launch: threads that finish tiles let the one that launches wait each time."""


class Step(NamedTuple):
    """A step: what finds its pixels, and what codes them and goes on to the next."""

    find: Callable[[], None]
    code: Callable[[], None]


class Steps:
    """Does steps that are all alike, and lets networks follow where periods end."""

    def __init__(self, machine: Machine, follower: Follower) -> None:
        self._machine, self._follower = machine, follower
        self._plain, self._learning = (Replayed(machine.device) for _ in range(2))

    def prepare(self, step: Step) -> None:
        """Try a step out, which moves everything; so begin anew.

        No more than one is coded: there may be no second.
        """
        self._learning.try_out(partial(self._tried, step))
        self._follower.clear()

    def run(self, step: Step, closings: npt.NDArray[np.bool_]) -> None:
        """Do so many steps as groups' periods may end at, bool (groups, steps)."""
        due = self._follower.due(closings)
        whole = len(due) // TOGETHER * TOGETHER
        step.find()
        for t in range(0, whole, TOGETHER):
            some = bool(due[t : t + TOGETHER].any())
            replayed = self._learning if some else self._plain
            replayed(partial(self._some, step, some))
        for one in due[whole:]:
            self._one(step, bool(one))

    def _tried(self, step: Step) -> None:
        step.find()
        self._one(step, True)

    def _some(self, step: Step, learns: bool) -> None:
        for _ in range(TOGETHER):
            self._one(step, learns)

    def _one(self, step: Step, learns: bool) -> None:
        """Code a step and find the next, after the last one that has no pixels.

        If it `learns`, let those networks learn whose periods are over and count.
        """
        step.code()
        if self._follower.learns:
            self._follower.end()
        if self._follower.learns and learns:
            self._machine.both(self._follower.learn, step.find)
        else:
            step.find()
