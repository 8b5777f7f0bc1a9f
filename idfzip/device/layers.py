"""Layers by fused kernels (`fused.dense`, `fused.trunk`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.device import fused
from idfzip.device.fused import dense, trunk
from idfzip.device.machine import Machine
from idfzip.device.network import Weights, operands, weights
from idfzip.integer.network import Network


@dataclass(frozen=True)
class Span:
    """Rows of groups: `count` of each from `first` on, int64 (groups,), no more than `most`.

    A group's rows begin `capacity` after those of the one before.
    """

    groups: int
    most: int
    capacity: int
    first: Tensor
    count: Tensor


def forwards(
    span: Span, x: Tensor, weight: Tensor, bias: Tensor, out: Tensor, active: bool = True
) -> None:
    """Write a layer's values, (rows, outputs), of `x` (rows, inputs); `active` as of the kernel."""
    inputs, outputs = weight.shape[-2:]
    fused.launch(
        dense.dense, _grid(span, outputs), span.first, span.count, x, weight, bias, out,
        span.capacity, inputs, outputs, apart(weight, 2), apart(bias, 1), active=active,
        rows=dense.ROWS, columns=dense.COLUMNS, depth=dense.DEPTH,
    )  # fmt: skip


def run_trunk(span: Span, x: Tensor, w: Weights, values: Sequence[Tensor], fan: Tensor) -> None:
    """Write what the trunk's layers give of `x`, and its part of the heads' sums."""
    before = [x, *values]
    for i in range(len(w.trunk) - 2 if len(w.trunk) > 1 else 1):
        forwards(span, before[i], w.trunk[i], w.trunk_bias[i], values[i])
    if len(w.trunk) == 1:
        forwards(span, values[0], w.fan, w.trunk_bias[0], fan, active=False)
        return
    (lower, upper), (lower_bias, upper_bias) = w.trunk[-2:], w.trunk_bias[-2:]
    inputs, lower_width = lower.shape[-2:]
    upper_width, width = w.fan.shape[-2:]
    fused.launch(
        trunk.trunk, (span.groups, -(-span.most // trunk.ROWS)), span.first, span.count,
        before[-3], lower, lower_bias, values[-2], upper, upper_bias, values[-1], w.fan, fan,
        span.capacity, inputs, lower_width, upper_width, width, apart(lower, 2),
        apart(lower_bias, 1), apart(upper, 2), apart(upper_bias, 1), apart(w.fan, 2),
        rows=trunk.ROWS, columns=trunk.COLUMNS, depth=trunk.DEPTH,
        warps=trunk.WARPS,
    )  # fmt: skip


def apart(one: Tensor, axes: int) -> int:
    """Return how far the next group's weights or biases stand: 0 where all share them."""
    return one.stride(0) if one.dim() > axes else 0


def fan_sums(
    machine: Machine, network: Network, inputs: npt.NDArray[np.int16]
) -> npt.NDArray[np.int32]:
    """Return the trunk's part of the heads' sums, as `integer.network.fan_sums`."""
    rows = len(inputs)
    none, all_rows = (machine.tensor(np.array([count])) for count in (0, rows))
    span = Span(1, rows, rows, none, all_rows)
    with torch.inference_mode():
        w = weights(network, machine)
        factors = operands(machine)
        values = machine.tensor(inputs, factors)
        outs = [machine.empty(rows, one.shape[1], dtype=factors) for one in w.trunk]
        sums = machine.empty(rows, w.fan.shape[1], dtype=torch.float32)
        run_trunk(span, values, w, outs, sums)
        return sums.to(torch.int32).cpu().numpy()


def _grid(span: Span, columns: int) -> tuple[int, int, int]:
    return span.groups, -(-span.most // dense.ROWS), -(-columns // dense.COLUMNS)
