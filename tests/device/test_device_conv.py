"""Convolutions of a device give the sums of plain integers, whatever their size and order."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import make_conv, make_net, make_vqvae

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")

from idfzip.device import conv as device  # noqa: E402
from idfzip.device.densenet import DenseNet  # noqa: E402
from idfzip.device.stack import Stack  # noqa: E402
from idfzip.integer import conv  # noqa: E402
from idfzip.integer.conv import LIMIT  # noqa: E402


@pytest.mark.parametrize("taps", [1, 9])
@pytest.mark.parametrize("room", [1, 1 << 26])
def test_extreme_sums_are_exact(machine, monkeypatch, taps, room):
    """Weights and inputs at their limits: parts keep every partial sum below 2**24."""
    monkeypatch.setattr(device, "ROOM", room)
    rng = np.random.default_rng(taps)
    layer = make_conv(taps, 150, 3, rng, 1023)
    layer.weight[..., 0] = 1023
    values = rng.choice([-LIMIT, LIMIT], (2, 4, 5, 151))
    values[0] = LIMIT
    found = device.Conv(machine, layer).sums(machine.tensor(values.astype(np.float32)))
    assert found.dtype == torch.int32
    for one, given in zip(found.cpu().numpy(), values, strict=True):
        np.testing.assert_array_equal(one, conv.plain_sums(layer, given[..., :150]))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 5)])
def test_networks_of_many_images(machine, size):
    rng = np.random.default_rng(0)
    net = make_net(9, 5, rng, size=900)
    values = rng.integers(-128, 128, (3, *size, 9)).astype(np.int32)
    found = DenseNet(machine, net).sums(machine.tensor(values)).cpu().numpy()
    for one, given in zip(found, values, strict=True):
        np.testing.assert_array_equal(one, net.plain_sums(given))


def test_networks_that_change_their_resolution(machine):
    rng = np.random.default_rng(0)
    for level in make_vqvae(3).levels:
        for stack in (level.encoder, level.head, level.lift, level.priors[0].known):
            shape = (2, 2 * stack.squeezed, 3 * stack.squeezed, stack.inputs)
            values = rng.integers(-LIMIT, LIMIT + 1, shape).astype(np.int32)
            found = Stack(machine, stack).sums(machine.tensor(values)).cpu().numpy()
            for one, given in zip(found, values, strict=True):
                np.testing.assert_array_equal(one, stack.plain_sums(given.astype(np.int64)))
