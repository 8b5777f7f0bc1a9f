"""Streams of symbols: operators take those that the kernels take."""

from __future__ import annotations

import numpy as np
import pytest

from idfzip.coding import ans
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


def test_states_are_those_of_the_kernels(machine):
    """States above 2**63 are negative in int64 and must not be taken for small ones."""
    rng = np.random.default_rng(0)
    words = np.concatenate(
        [
            np.array([0xFFFFFFFF, 0xFFFFFFFE], np.uint32),
            rng.integers(0, 1 << 32, 40).astype(np.uint32),
        ]
    )
    theirs = ans.decoder([words])
    mine = coder.decoder(machine, [ans.to_bytes(words)])
    sigmoid = whole(machine, mixtures.tables(52).sigmoid)
    count = whole(machine, [[1]])
    for _ in range(60):
        found = Mixtures(*(part[:1] for part in any_mixtures(machine, rng)))
        low, alphabet = int(found.lows[0]), 256
        value = int(coder.take(mine, found, count, 1, alphabet, sigmoid)[0])
        lane = [np.ascontiguousarray(part.cpu().numpy().T) for part in found[:3]]
        args = (low, alphabet, *lane, 0, mixtures.tables(52).sigmoid)
        expected, lower, upper = mixtures.search(ans.peek(theirs.state, 0), *args)
        ans.pop(theirs.words, theirs.place, theirs.state, 0, lower, upper - lower)
        assert value == expected
        assert mine.state.cpu().numpy().view(np.uint64)[0] == theirs.state[0]
