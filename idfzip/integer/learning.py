"""Learning while coding: the network follows the image, by the same integers on every machine.

After a few groups, a period, the last layers, or all, take one step down the gradient of the bits
of the pixels just coded; or of one period in a few. Coder and decoder do the same (dynamic
evaluation: Krause et al. 2018, arXiv:1709.07432). The step is RMSProp (Tieleman and Hinton 2012).

Errors that go backwards are whole numbers within +-127, in 1/64; a gradient is their sum over at
most 256 pixels times activations within +-511, below 2**24 and so exact in float32 in any order.
The step itself is elementwise, in IEEE singles with + - * / and square root, each rounded on its
own. Weights stay within `REACH` of the model's, so that the bounds of all sums are proven once.

Tries (bits per subpixel, one tile each of kodim05, kodim19, a CID22 and a tissue image, network of
photographs): no learning 3.230, 2.502, 1.350, 2.083; all layers, Adam with rate 1e-4 3.146, 2.424,
1.321, 2.005; rate 4e-4 3.115, 2.371, 1.315, 1.978; without momentum 3.106, 2.368, 1.308, 1.975;
rate 8e-4 3.099, 2.349, 1.310, 1.975; a step every 128 pixels instead of 256 3.098, 2.356, 1.306,
1.968, every 1024 3.140, 2.409, 1.324, 2.002; heads only, with momentum, rate 5e-4 3.148, 2.418,
1.321, 2.012. Errors in whole 1/64 instead of floats cost at most 0.05%.

With a step from every third period, in files (no learning 3.230, 2.502, 1.351, 2.083): all layers,
rate 700, 3.130, 2.395, 1.320, 1.998; rate 1200 3.133, 2.388, 1.328, 2.009; heads only, rate 800
3.158, 2.435, 1.323, 2.022; rate 1200 3.151, 2.425, 1.323, 2.016. Every second period is worse than
every third (heads, rate 1200: 3.164, 2.442, 1.319, 2.019): it sees even columns only. The wider
network of `max` learns faster: 3.216, 2.500, 1.342, 2.074 without, 3.073, 2.339, 1.302, 1.966 with
rate 420, 3.071, 2.324, 1.313, 1.981 with 840; a rate that begins at four to seven times its end
value gives 0.1% more, which was not thought worth a rule.

Weights to begin with that are made to be learned from, by Reptile (Nichol et al. 2018,
arXiv:1803.02999): 15 to 80 times the mean of where learning led on 12 or 16 tiles, times a falling
rate, was added to the released ones. Of 28 other tiles of up to 512 x 256 `photo-fast` took 0.30%
less (2.6960 to 2.6880), `photo` 0.16% (2.6131 to 2.6091), `photo-max`, with three times the steps a
tile, 0.03% at a rate of 0.12 and 1.3% more at 1. Not taken: too little.
By an experiment that is no script of this project.
"""

from __future__ import annotations

import numpy as np

from idfzip.integer import grid
from idfzip.integer.jit import inlined, kernel
from idfzip.integer.learner import (
    BIAS_REACH,
    DELTA_LIMIT,
    REACH,
    Learner,
    Parameters,
    Vector,
    turn,
)
from idfzip.integer.network import Buffers
from idfzip.integer.panel import Floats, multiply, multiply_turned

PERIOD = 128
"""A period ends with the group that completes so many pixels."""

BLOCK = 256
"""Pixels whose gradient is summed at once."""

MEMORY = 0.99
"""Decay of the mean squared gradient."""

_SHARE = np.float32(1 - MEMORY)
_ONE, _HALF = np.float32(1), np.float32(0.5)
_LEAK = np.float32(1 / (1 << grid.LEAK_SHIFT))
_DOWN = np.float32(1 / (1 << grid.WEIGHT_BITS))
_DELTA_LIMIT = np.float32(DELTA_LIMIT)
_LIMIT = np.float32(grid.ACTIVATION_LIMIT)
_REACH, _BIAS_REACH = np.float32(REACH), np.float32(BIAS_REACH)
_WEIGHT_LIMIT, _BIAS_LIMIT = np.float32(grid.WEIGHT_LIMIT), np.float32(1 << 22)


@kernel
def _backwards(
    sums: Floats, rows: int, values: Floats, width: int, out: Floats, column: int
) -> None:
    """Turn sums of errors into those before the activation, whose results are `values`."""
    for row in range(rows):
        for j in range(width):
            value, total = values[row, j], sums[row, j]
            total = total if value >= np.float32(0) else total * _LEAK
            whole = np.floor(total * _DOWN + _HALF)
            whole = whole if whole < _DELTA_LIMIT else _DELTA_LIMIT
            whole = whole if whole > -_DELTA_LIMIT else -_DELTA_LIMIT
            inside = (value < _LIMIT) & (value > -_LIMIT)
            out[row, column + j] = whole if inside else np.float32(0)


@kernel
def _gather(values: Floats, deltas: Floats, product: Floats, slope: Floats) -> None:
    """Add the gradient of a layer's weights, over the rows of `deltas`, to `slope`."""
    multiply_turned(values, len(slope), deltas, product)
    for i in range(len(slope)):
        for j in range(slope.shape[1]):
            slope[i, j] += product[i, j]


@kernel
def _gather_bias(deltas: Floats, column: int, slope: Vector) -> None:
    """Add the gradient of a bias, whose input is 1, that is 64 on the activations' grid."""
    one = np.float32(1 << grid.ACTIVATION_BITS)
    for row in range(len(deltas)):
        for j in range(len(slope)):
            slope[j] += deltas[row, column + j] * one


@kernel
def _gather_seen(
    errors: Floats, deltas: Floats, column: int, product: Floats, slope: Floats
) -> None:
    """Add the gradient of the weights of earlier channels' errors, as `_gather` does."""
    width = slope.shape[1]
    for i in range(len(slope)):
        for j in range(width):
            product[0, j] = np.float32(0)
        for row in range(len(deltas)):
            error = errors[row, i]
            for j in range(width):
                product[0, j] += error * deltas[row, column + j]
        for j in range(width):
            slope[i, j] += product[0, j]


@kernel
def _step(
    parameters: Parameters,
    rate: np.float32,
    correction: np.float32,
    far: np.float32,
    limit: np.float32,
) -> None:
    """Move all parameters against their gradients, and clear these.

    None goes further than `far` from the model's, nor beyond +-`limit`.
    """
    values, exact, first, squares, gradient = parameters
    for i in range(len(values)):
        slope = gradient[i]
        square = squares[i] + (slope * slope - squares[i]) * _SHARE
        squares[i] = square
        moved = exact[i] - rate * slope / (np.sqrt(square) * correction + _ONE)
        low, high = max(first[i] - far, -limit), min(first[i] + far, limit)
        moved = moved if moved > low else low
        moved = moved if moved < high else high
        exact[i] = moved
        values[i] = np.floor(moved + _HALF)
        gradient[i] = np.float32(0)


@inlined
def listens(learner: Learner) -> bool:
    """Return whether the present period is one to learn from."""
    return learner.rate > 0.0 and learner.turn[0] % learner.every == learner.every - 1


@kernel
def close(learner: Learner, inputs: Floats, errors: Floats, rows: int, buffers: Buffers) -> None:
    """End a period of `rows` pixels: take a step if it is one to learn from (see `learn`)."""
    if listens(learner):
        learn(learner, inputs, errors, rows, buffers)
    learner.turn[0] += 1


@kernel
def learn(learner: Learner, inputs: Floats, errors: Floats, rows: int, buffers: Buffers) -> None:
    """Take a step on the `rows` pixels that the network has just seen and the prior judged.

    `inputs` are the network's, `errors` float32 (rows, >= 4 C) what the heads saw; `buffers`
    hold every layer's values, `learner.outs_deltas` the prior's errors.
    """
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        _add_gradient(learner, inputs[start:], errors[start:], start, count, buffers)
    learner.power[0] *= MEMORY
    correction = np.float32(1.0 / np.sqrt(1.0 - learner.power[0]))
    rate = learner.rate
    _step(learner.weights, np.float32(rate), correction, _REACH, _WEIGHT_LIMIT)
    rate *= 1 << grid.ACTIVATION_BITS  # a bias counts 2**-14, a weight 2**-8
    _step(learner.biases, np.float32(rate), correction, _BIAS_REACH, _BIAS_LIMIT)
    turn(learner)


@kernel
def _add_gradient(
    learner: Learner, inputs: Floats, errors: Floats, start: int, count: int, buffers: Buffers
) -> None:
    """Add the gradient of the `count` pixels from row `start` on; the first two begin there."""
    weights, slopes, scratch = learner.network, learner.slopes, learner.scratch
    layers = len(weights.trunk)
    fan_deltas = learner.fan_deltas[start : start + count]
    last = buffers.values[layers - 1][start:]
    for c in range(len(weights.outs)):
        deltas = learner.outs_deltas[c][start : start + count]
        hidden = buffers.hidden[c][start:]
        width = len(weights.head_bias[c])
        _gather(hidden, deltas, learner.product, slopes.outs[c])
        _gather_bias(deltas, 0, slopes.out_bias[c])
        multiply(learner.outs_deltas[c][start:], count, learner.turned_outs[c], scratch)
        _backwards(scratch, count, hidden, width, fan_deltas, c * width)
        _gather_seen(errors, fan_deltas, c * width, learner.product, slopes.seen[c])
        _gather_bias(fan_deltas, c * width, slopes.head_bias[c])
    _gather(last, fan_deltas, learner.product, slopes.fan)
    if learner.frozen == layers:
        return
    multiply(learner.fan_deltas[start:], count, learner.turned_fan, scratch)
    for i in range(layers - 1, learner.frozen - 1, -1):
        values = buffers.values[i][start:]
        deltas = learner.trunk_deltas[i][start : start + count]
        _backwards(scratch, count, values, values.shape[1], deltas, 0)
        before = buffers.values[i - 1][start:] if i > 0 else inputs
        _gather(before, deltas, learner.product, slopes.trunk[i])
        _gather_bias(deltas, 0, slopes.trunk_bias[i])
        if i > learner.frozen:
            multiply(learner.trunk_deltas[i][start:], count, learner.turned_trunk[i], scratch)
