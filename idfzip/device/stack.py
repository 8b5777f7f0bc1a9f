"""Networks that change their resolution on a device, of many images (see `integer.stack`)."""

from __future__ import annotations

import torch
from torch import Tensor

from idfzip.device.conv import Conv, activate, whole
from idfzip.device.machine import Machine
from idfzip.integer import stack as kernels
from idfzip.integer.conv import LIMIT


class Stack:
    """A network's weights on a device."""

    def __init__(self, machine: Machine, stack: kernels.Stack) -> None:
        self._stack = stack
        self._blocks = [[Conv(machine, layer) for layer in block.convs] for block in stack.blocks]
        self._shortcut = None if stack.shortcut is None else Conv(machine, stack.shortcut)

    def sums(self, values: Tensor) -> Tensor:
        """Return the last sums, int32, of activations (B, height, width, inputs)."""
        stack = self._stack
        given = start = values.to(torch.float32)
        for block, convs in zip(stack.blocks[:-1], self._blocks, strict=False):
            given = kept = space_to_depth(given, block.squeeze)
            for layer in convs:
                given = activate(layer.sums(given))
            if block.residual:
                given = (given + kept).clamp(-LIMIT, LIMIT)
            given = depth_to_space(given, block.spread)
        *convs, final = self._blocks[-1]
        given = space_to_depth(given, stack.blocks[-1].squeeze)
        for layer in convs:
            given = activate(layer.sums(given))
        found = depth_to_space(final.sums(given), stack.blocks[-1].spread)
        if self._shortcut is not None:
            direct = self._shortcut.sums(space_to_depth(start, stack.squeezed))
            found = found + depth_to_space(direct, stack.spread)
        return found

    def values(self, values: Tensor) -> Tensor:
        """Return the last sums as activations, without leak, int32."""
        return whole(self.sums(values)).clamp(-LIMIT, LIMIT)


def memory(stack: kernels.Stack) -> float:
    """Return about how many bytes a place of the input takes, in the widest layer."""
    return max(4 * share * (11 * c.inputs + 4 * c.outputs) for c, share in stack.shares())


def space_to_depth(values: Tensor, side: int) -> Tensor:
    """Return (B, height / side, width / side, side**2 C): squares row by row, then channels."""
    if side == 1:
        return values
    count, height, width, channels = values.shape
    squares = values.reshape(count, height // side, side, width // side, side, channels)
    return squares.permute(0, 1, 3, 2, 4, 5).flatten(3)


def depth_to_space(values: Tensor, side: int) -> Tensor:
    """Undo `space_to_depth`."""
    if side == 1:
        return values
    count, height, width, channels = values.shape
    squares = values.reshape(count, height, width, side, side, channels // side**2)
    return squares.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)
