"""Streams of symbols: operators take those that the kernels take."""

from __future__ import annotations

import numpy as np
import pytest

from idfzip.coding import turns
from idfzip.priors import mixture as mixtures

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")

from idfzip.device import coder  # noqa: E402
from idfzip.device.mixture import Mixtures  # noqa: E402

GROUPS, TILES, SLOTS, COMPONENTS = 3, 2, 5, 3


def whole(machine, array):
    return machine.tensor(np.ascontiguousarray(array).astype(np.int64))


def any_mixtures(machine, rng):
    n, k = GROUPS * TILES * SLOTS, COMPONENTS
    weights = (rng.dirichlet([1] * k, n) * 2**14).astype(np.int64)
    weights[:, 0] += 2**14 - weights.sum(1)
    inverses = mixtures.tables(52).inverse[rng.integers(0, 208, (n, k))]
    means = rng.integers(-64 * 300, 64 * 300, (n, k))
    parts = (weights, means, inverses, rng.integers(-255, 1, n), np.ones(n))
    return Mixtures(*(whole(machine, part) for part in parts))


@pytest.mark.parametrize("states", [1, 4])
def test_states_are_those_of_the_kernels(machine, states):
    """States above 2**63 are negative in int64 and must not be taken for small ones."""
    rng = np.random.default_rng(0)
    head = 0xFF000000 if states == 1 else 0xFFFFFFFF - 4 * 4096  # the second of six numbers
    words = np.concatenate(
        [
            np.array([0xFFFFFFFF, head], np.uint32),
            rng.integers(0, 1 << 32, 40).astype(np.uint32),
        ]
    )
    theirs = turns.decoder([words])
    mine = coder.there(machine, turns.decoder([words]))
    sigmoid = whole(machine, mixtures.tables(52).sigmoid)
    count = whole(machine, [[1]])
    turn = 0
    assert int(mine.states[0]) == states
    for _ in range(60):
        found = Mixtures(*(part[:1] for part in any_mixtures(machine, rng)))
        low, alphabet = int(found.lows[0]), 256
        value = int(coder.take(mine, found, count, 1, alphabet, sigmoid)[0])
        lane = [np.ascontiguousarray(part.cpu().numpy().T) for part in found[:3]]
        args = (low, alphabet, *lane, 0, mixtures.tables(52).sigmoid)
        expected, lower, upper = mixtures.search(turns.peek(theirs.state, 0, turn), *args)
        turns.pop(*theirs[:3], 0, turn, lower, upper - lower)
        turn = (turn + 1) % states
        assert value == expected
        np.testing.assert_array_equal(mine.state.cpu().numpy().view(np.uint64), theirs.state)
        assert int(mine.turn[0]) == turn
