"""The integer network (see `integer.network`); how it learns is `learner`'s.

float32 that carries whole numbers: every partial sum is below 2**24, so that no order of adding,
nor a TF32 product, changes a bit. What is multiplied, weights but for biases, activations and
errors, has at most eleven bits, which halves hold: fused kernels keep it so. Groups, each with
weights of its own where it learns, are the first axis: products are batched.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.device.machine import Machine
from idfzip.integer import grid
from idfzip.integer.network import Network


def operands(machine: Machine) -> torch.dtype:
    """Return the type of what is multiplied: halves where kernels do it."""
    return torch.float16 if machine.fuses else torch.float32


class Weights(NamedTuple):
    """Layers as (inputs, outputs), or (groups, inputs, outputs); biases (outputs), or (g, 1, o).

    Layers are `operands`, biases singles.
    """

    trunk: list[Tensor]
    trunk_bias: list[Tensor]
    fan: Tensor
    seen: list[Tensor]
    head_bias: list[Tensor]
    outs: list[Tensor]
    out_bias: list[Tensor]


def weights(network: Network, machine: Machine) -> Weights:
    """Return a network's weights on a device."""

    def one(array: npt.NDArray[Any]) -> Tensor:
        return machine.tensor(array.astype(np.float32), operands(machine))

    def bias(array: npt.NDArray[Any]) -> Tensor:
        return machine.tensor(array.astype(np.float32))

    depth = len(network.trunk[-1].bias)
    return Weights(
        [one(layer.weight) for layer in network.trunk],
        [bias(layer.bias) for layer in network.trunk],
        one(np.concatenate([head.weight[:depth] for head in network.heads], 1)),
        [one(head.weight[depth:]) for head in network.heads],
        [bias(head.bias) for head in network.heads],
        [one(out.weight) for out in network.outs],
        [bias(out.bias) for out in network.outs],
    )


class Trunk(NamedTuple):
    """What the trunk gives of inputs (G, P, I): its layers' values, its part of the heads' sums."""

    values: list[Tensor]
    fan: Tensor


class Head(NamedTuple):
    """What a channel's head gives: its values (G, P, head) and its sums (G, P, 3 K)."""

    hidden: Tensor
    sums: Tensor


class Seen(NamedTuple):
    """What the network did at pixels, for learning, all (G, P, ..).

    Inputs, what heads saw, the trunk's values, the heads', and the prior's errors at their sums.
    """

    inputs: Tensor
    seen: Tensor
    values: list[Tensor]
    hidden: list[Tensor]
    deltas: list[Tensor]


def activate(sums: Tensor) -> Tensor:
    """Return the activations of sums: shifted down with rounding, leaked, clamped."""
    whole = torch.floor((sums + float(grid.HALF)) * (1.0 / (1 << grid.WEIGHT_BITS)))
    leaked = torch.floor(whole * (1.0 / (1 << grid.LEAK_SHIFT)))
    limit = float(grid.ACTIVATION_LIMIT)
    return torch.maximum(whole, leaked).clamp(-limit, limit)


def run_trunk(inputs: Tensor, w: Weights) -> Trunk:
    """Compute the trunk, and its part of the heads."""
    values = []
    for weight, bias in zip(w.trunk, w.trunk_bias, strict=True):
        inputs = activate(inputs @ weight + bias)
        values.append(inputs)
    return Trunk(values, inputs @ w.fan)


def fan_sums(
    machine: Machine, network: Network, inputs: npt.NDArray[np.int16]
) -> npt.NDArray[np.int32]:
    """Return the trunk's part of the heads' sums, as `integer.network.fan_sums`."""
    with torch.inference_mode():
        values = machine.tensor(inputs.astype(np.float32))
        fan = run_trunk(values, weights(network, machine)).fan
        return fan.to(torch.int32).cpu().numpy()


def run_head(c: int, fan: Tensor, seen: Tensor, w: Weights) -> Head:
    """Compute channel `c`'s head; `seen` (G, P, 4 C): what the channels before show."""
    width = w.head_bias[c].shape[-1]
    known = w.seen[c]
    sums = fan[..., c * width : (c + 1) * width] + w.head_bias[c]
    if c:
        sums = sums + seen[..., : known.shape[-2]] @ known
    hidden = activate(sums)
    return Head(hidden, hidden @ w.outs[c] + w.out_bias[c])
