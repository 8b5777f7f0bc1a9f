"""From stored samples to the tensors of one training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from idfzip.flows.context import LIMIT, gain_table
from idfzip.integer import grid
from idfzip.integer.log2 import log2_table
from idfzip.training import likelihood
from idfzip.training.samples import Samples

Sums = Callable[[Tensor, list[Tensor]], list[Tensor]]
"""A network: each channel's sums of inputs and of earlier channels' errors, as `TwinNetwork`."""


class Store(NamedTuple):
    """Samples on a device, and the tables that a batch is made with."""

    inputs: Tensor
    scales: Tensor
    means: Tensor
    leads: Tensor
    values: Tensor
    gain: Tensor
    log: Tensor


class Batch(NamedTuple):
    """One step's pixels: the arguments of the network and of the likelihood."""

    inputs: Tensor
    extras: list[Tensor]
    scales: Tensor
    means: Tensor
    values: Tensor


def store(samples: Samples, device: torch.device) -> Store:
    """Return samples on a device; on the CPU they share memory."""
    columns = (samples.inputs, samples.scales, samples.means, samples.leads, samples.values)
    tables = (gain_table(), log2_table().astype("int64"))
    return Store(*(torch.from_numpy(array).to(device) for array in (*columns, *tables)))


def _log2(value: Tensor, table: Tensor) -> Tensor:
    """Return 16 log2 of int64 `value` >= 1 as `idfzip.integer.log2` computes it."""
    exponent = torch.frexp(value.double())[1] - 1
    return 16 * exponent + table[((value << 6) >> exponent.long()) & 63]


def _see_error(errors: Tensor, gain: Tensor, log_table: Tensor) -> list[Tensor]:
    """Return what later heads see of a channel's errors: 3 of int64 (rows,), in 1/64.

    `errors` int64 (rows,), in 1/64 of a step; `gain` int64 (rows,), that of each pixel's scale.
    """
    size = (errors.abs() * gain + 32768) >> 16
    log = 2 * _log2(size + 4, log_table) - 160
    return [_limited((errors * gain + 32768) >> 16), _limited(size), _limited(log)]


def _limited(whole: Tensor) -> Tensor:
    return whole.clamp(-LIMIT, LIMIT)


def _extras(samples: Store, errors: Tensor, leads: Tensor, gains: Tensor) -> list[Tensor]:
    """Return what each head sees of the channels before, float32 (rows, seen * c), in real units.

    All int64 (rows, C), in 1/64 of a step; leads may be (rows, 0), where there is no expert.
    """
    columns: list[Tensor] = []
    extras = [errors.new_zeros((len(errors), 0), dtype=torch.float32)]
    for c in range(errors.shape[1] - 1):
        columns += _see_error(errors[:, c], gains[:, c], samples.log)
        if leads.shape[1]:
            columns.append(_limited((leads[:, c + 1] * gains[:, c + 1] + 32768) >> 16))
        extras.append(torch.stack(columns, 1).float() / (1 << grid.ACTIVATION_BITS))
    return extras


def take(samples: Store, rows: Tensor) -> Batch:
    """Return the batch of these rows of the samples."""
    inputs = samples.inputs[rows].float().mul_(1 / (1 << grid.ACTIVATION_BITS))
    scales, means = samples.scales[rows].long(), samples.means[rows].long()
    values = samples.values[rows].long()
    gains, errors = samples.gain[scales], values * 64 - means
    extras = _extras(samples, errors, samples.leads[rows].long(), gains)
    return Batch(inputs, extras, scales.float() / 4 - 3, means.float() / 64, values.float())


def bits(network: Sums, batch: Batch) -> Tensor:
    """Return the bits of every channel of every pixel, shape (rows, C)."""
    sums = network(batch.inputs, batch.extras)
    columns = []
    for c, found in enumerate(sums):
        low = torch.zeros_like(batch.values[:, 0]) if c == 0 else -batch.values[:, 0]
        columns.append(
            likelihood.bits(found, batch.scales[:, c], batch.means[:, c], batch.values[:, c], low)
        )
    return torch.stack(columns, 1)
