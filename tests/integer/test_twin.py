from __future__ import annotations

import numpy as np
import pytest

from idfzip.integer import grid
from idfzip.integer.network import INPUT_LIMIT, run_head, run_trunk

torch = pytest.importorskip("torch", reason="the twin needs the extra idfzip[train]")


@pytest.mark.parametrize("channels", [1, 3])
def test_twin_gives_the_integers_of_the_kernels(channels):
    from idfzip.integer.twin import TwinNetwork
    from idfzip.training.freeze import freeze_network

    torch.manual_seed(channels)
    twin = TwinNetwork(30, channels, (20, 12), 8, 3)
    with torch.no_grad():
        for p in twin.parameters():
            p.mul_(3)
    network = freeze_network(twin)
    rng = np.random.default_rng(0)
    rows = rng.integers(-INPUT_LIMIT, INPUT_LIMIT + 1, (64, 30))
    rows[:2] = [[INPUT_LIMIT] * 30, [-INPUT_LIMIT] * 30]
    errors = rng.choice([-INPUT_LIMIT, 0, 3, INPUT_LIMIT], (64, 4 * channels)).astype(np.float32)
    buffers = network.buffers(64)
    run_trunk(rows.astype(np.float32), 0, 64, network.weights, buffers)
    inputs = torch.from_numpy(rows).float() / 64
    extras = [torch.from_numpy(errors[:, : 4 * c]) / 64 for c in range(channels)]
    with torch.no_grad():
        sums = twin(inputs, extras)
    for c in range(channels):
        run_head(c, 0, 64, errors, network.weights, buffers)
        whole = sums[c].double().numpy() * (1 << grid.SUM_BITS)
        np.testing.assert_array_equal(whole, buffers.sums[c][:64, :9].astype(np.float64))
