"""Densely connected networks on a device, of many images at once (see `integer.densenet`)."""

from __future__ import annotations

import torch
from torch import Tensor

from idfzip.device.conv import Conv, activate
from idfzip.device.machine import Machine
from idfzip.integer import densenet as kernels
from idfzip.integer.densenet import INPUT_GAIN


class DenseNet:
    """A network's weights on a device."""

    def __init__(self, machine: Machine, net: kernels.DenseNet) -> None:
        self._machine, self.inputs = machine, net.inputs
        self._narrow = [Conv(machine, layer) for layer in net.narrow]
        self._wide = [Conv(machine, layer) for layer in net.wide]
        self._last = Conv(machine, net.last)

    def sums(self, values: Tensor) -> Tensor:
        """Return the sums of the last layer, int32 (B, height, width, outputs).

        `values` are whole numbers in [-128, 127], (B, height, width, >= inputs).
        """
        shape = (*values.shape[:3], self._last.inputs)
        seen = self._machine.empty(*shape, dtype=torch.float32)
        seen[..., : self.inputs] = values[..., : self.inputs] * INPUT_GAIN
        at = self.inputs
        for narrow, wide in zip(self._narrow, self._wide, strict=True):
            found = activate(wide.sums(activate(narrow.sums(seen))))
            seen[..., at : at + wide.outputs] = found
            at += wide.outputs
        return self._last.sums(seen)


def memory(net: kernels.DenseNet) -> int:
    """Return about how many bytes a place takes: all values, their surroundings, the sums."""
    return 4 * (12 * net.last.inputs + 3 * max(net.outputs, net.narrow[0].outputs))
