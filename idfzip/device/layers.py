"""Layers by fused kernels, forwards and back (`fused.dense`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.device import fused
from idfzip.device.fused import dense
from idfzip.device.machine import Machine
from idfzip.device.network import Weights, weights
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
        rows=dense.ROWS, columns=dense.COLUMNS, depth=dense.DEPTH, precision=dense.PRECISION,
    )  # fmt: skip


def run_trunk(span: Span, x: Tensor, w: Weights, values: Sequence[Tensor], fan: Tensor) -> None:
    """Write what the trunk's layers give of `x`, and its part of the heads' sums."""
    for weight, bias, out in zip(w.trunk, w.trunk_bias, values, strict=True):
        forwards(span, x, weight, bias, out)
        x = out
    forwards(span, x, w.fan, w.trunk_bias[-1], fan, active=False)


def backwards(span: Span, deltas: Tensor, weight: Tensor, values: Tensor, out: Tensor) -> None:
    """Write the errors before an activation, of those (rows, outputs) after its layer."""
    inputs, outputs = weight.shape[-2:]
    fused.launch(
        dense.back, _grid(span, inputs), span.first, span.count, deltas, weight, values, out,
        span.capacity, inputs, outputs, apart(weight, 2), out.stride(0), rows=dense.ROWS,
        columns=dense.COLUMNS, depth=dense.DEPTH, precision=dense.PRECISION,
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
        values = machine.tensor(inputs.astype(np.float32))
        widths = [weight.shape[1] for weight in (*w.trunk, w.fan)]
        *outs, sums = (machine.empty(rows, width, dtype=torch.float32) for width in widths)
        run_trunk(span, values, w, outs, sums)
        return sums.to(torch.int32).cpu().numpy()


def _grid(span: Span, columns: int) -> tuple[int, int, int]:
    return span.groups, -(-span.most // dense.ROWS), -(-columns // dense.COLUMNS)
