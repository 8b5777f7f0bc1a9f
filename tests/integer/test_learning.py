from __future__ import annotations

import numpy as np
import pytest
from conftest import make_flagship

from idfzip.errors import ModelError
from idfzip.integer import grid, learner, learning
from idfzip.integer.dense import Layer
from idfzip.integer.network import Network, run_head, run_trunk
from idfzip.integer.panel import ROWS, padded

ROOM = 320
"""Rows of one step, more than one block."""


def seen(network, rng):
    """Return a step's inputs, errors of earlier channels, and the prior's errors."""
    width = padded(network.inputs, ROWS)
    inputs = np.zeros((ROOM + ROWS, width), np.float32)
    inputs[:ROOM, : network.inputs] = rng.integers(-511, 512, (ROOM, network.inputs))
    errors = rng.integers(-511, 512, (ROOM + ROWS, 4 * network.channels)).astype(np.float32)
    outputs = len(network.outs[0].bias)
    deltas = rng.integers(-127, 128, (network.channels, ROOM, outputs))
    return inputs, errors, deltas


def run(network, moving, inputs, errors, deltas):
    buffers = network.buffers(ROOM + ROWS)
    run_trunk(inputs, 0, ROOM, moving.network, buffers)
    for c in range(network.channels):
        run_head(c, 0, ROOM, errors, moving.network, buffers)
        moving.outs_deltas[c][:ROOM, : deltas.shape[2]] = deltas[c]
    return buffers


def plain_slopes(network, inputs, errors, deltas):
    """Return the gradients of the outs' and the trunk's weights, in 64-bit integers."""

    def activate(sums):
        whole = (sums + 128) >> 8
        return np.maximum(whole, whole >> 3).clip(-511, 511)

    def back(sums, values):
        total = np.where(values >= 0, sums, sums / 8)
        whole = np.floor(total / 256 + 0.5).clip(-127, 127).astype(np.int64)
        return np.where(np.abs(values) < 511, whole, 0)

    rows = inputs[:ROOM, : network.inputs].astype(np.int64)
    values = [rows]
    for layer in network.trunk:
        values.append(activate(values[-1] @ layer.weight.astype(np.int64) + layer.bias))
    outs = []
    into = np.zeros_like(values[-1])
    for c, (head, out) in enumerate(zip(network.heads, network.outs, strict=True)):
        joined = np.concatenate([values[-1], errors[:ROOM, : 4 * c].astype(np.int64)], 1)
        hidden = activate(joined @ head.weight.astype(np.int64) + head.bias)
        outs.append(hidden.T @ deltas[c])
        delta = back(deltas[c] @ out.weight.T.astype(np.int64), hidden)
        into += delta @ head.weight[: values[-1].shape[1]].T.astype(np.int64)
    trunk = []
    for i in reversed(range(len(network.trunk))):
        delta = back(into, values[i + 1])
        trunk.append(values[i].T @ delta)
        into = delta @ network.trunk[i].weight.T.astype(np.int64)
    return outs, trunk[::-1]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gradient_is_that_of_plain_integers(channels):
    network = make_flagship(channels).network
    inputs, errors, deltas = seen(network, np.random.default_rng(channels))
    moving = learner.learner(network, 400, 0, 1, ROOM + ROWS)
    buffers = run(network, moving, inputs, errors, deltas)
    for start in range(0, ROOM, learning.BLOCK):
        count = min(learning.BLOCK, ROOM - start)
        learning._add_gradient(moving, inputs[start:], errors[start:], start, count, buffers)
    outs, trunk = plain_slopes(network, inputs, errors, deltas)
    for found, expected in zip(moving.slopes.outs, outs, strict=True):
        np.testing.assert_allclose(found[:, : expected.shape[1]], expected, rtol=1e-6)
        assert not found[:, expected.shape[1] :].any()
    for found, expected in zip(moving.slopes.trunk, trunk, strict=True):
        np.testing.assert_allclose(found[:, : expected.shape[1]], expected, rtol=1e-6)


def test_a_step_moves_against_the_gradient_and_stays_in_reach():
    network = make_flagship(3).network
    moving = learner.learner(network, 1 << 14, 1, 1, ROOM + ROWS)
    inputs, errors, deltas = seen(network, np.random.default_rng(0))
    for _ in range(100):
        buffers = run(network, moving, inputs, errors, deltas)
        learning.learn(moving, inputs, errors, ROOM, buffers)
    moved = moving.weights.values - moving.weights.first
    assert np.abs(moved).max() == learner.REACH
    assert np.abs(moving.biases.values - moving.biases.first).max() <= learner.BIAS_REACH
    assert (moving.network.trunk[0] == network.weights.trunk[0]).all()  # frozen
    assert (moving.network.trunk[1] != network.weights.trunk[1]).any()
    assert not moving.weights.gradient.any()
    outs = moving.network.outs[0]
    np.testing.assert_array_equal(moving.turned_outs[0][: outs.shape[1], : len(outs)], outs.T)
    assert (outs[:, deltas.shape[2] :] == 0).all()


def test_the_model_itself_never_moves():
    network = make_flagship(3).network
    before = [weight.copy() for weight in (*network.weights.trunk, *network.weights.outs)]
    moving = learner.learner(network, 1 << 14, 0, 1, ROOM + ROWS)
    inputs, errors, deltas = seen(network, np.random.default_rng(0))
    learning.learn(moving, inputs, errors, ROOM, run(network, moving, inputs, errors, deltas))
    after = (*network.weights.trunk, *network.weights.outs)
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


def test_bounds_hold_with_the_reach():
    size = grid.EXACT // (511 * 150)  # passes without learning, not with it
    layer = Layer(np.full((140, 8), size, np.int16), np.zeros(8, np.int32))
    small = Layer(np.ones((8, 8), np.int16), np.zeros(8, np.int32))
    out = Layer(np.ones((8, 9), np.int16), np.zeros(9, np.int32))
    network = Network((layer,), (small,), (out,))
    learner.check(network, 1)
    with pytest.raises(ModelError, match="by learning"):
        learner.check(network, 0)
