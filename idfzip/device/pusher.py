"""Pushing the symbols of streams on a device, whose words alone come to the host (`fused`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from idfzip.coding import turns
from idfzip.coding.ans import Words
from idfzip.device import fused
from idfzip.device.fused import pushing
from idfzip.device.machine import Machine
from idfzip.integer.log2 import STEPS


def push(
    machine: Machine,
    symbols: Tensor,
    counts: Sequence[int],
    costs: Sequence[int],
    states: Sequence[int] = (),
) -> list[Words]:
    """Return the words of streams, as `turns.push_all` gives them.

    `symbols` int32 (2, streams, most): cumulative frequencies and frequencies, of which each stream
    has so many as `counts` says and which cost together what `costs` says (`turns.cost_of`).
    """
    cumulative, frequency = symbols
    many = list(states or map(turns.states_of, costs))
    intervals = np.array([turns.interval(one) for one in many], np.int64)
    triples = zip(counts, costs, many, strict=True)
    ends = np.cumsum([_room(*one) for one in triples])
    plan = np.stack([np.array(counts, np.int64), np.array(many, np.int64), *intervals.T, ends])
    words = machine.empty(int(ends[-1]), dtype=torch.int32)
    used = machine.empty(len(many), dtype=torch.int64)
    lanes = fused.power(max(many), pushing.LANES)
    fused.launch(
        pushing.push, (len(many),), cumulative, frequency, machine.tensor(plan), words, used,
        frequency.shape[1], len(many), lanes=lanes, warps=lanes // pushing.LANES,
    )  # fmt: skip
    found, lengths = machine.host(words).view(np.uint32), machine.host(used)
    return [found[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def _room(count: int, cost: int, states: int) -> int:
    """Return how many words a stream has at most.

    A symbol takes less than a step more than it costs: 0.69 where the logarithm is rounded, 0.09 as
    a state of 2**8 times the frequency or more gains in rounding. Each state ends with two words,
    and one is told of more, the number of states.
    """
    return (cost + count) // (32 * STEPS) + 2 * states + 3
