"""The torch twin of `idfzip.integer.stack`: convolutions that change the resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from idfzip.integer import grid
from idfzip.integer.twin import activation, on_grid
from idfzip.training.idf import GridConv

BOUND = grid.ACTIVATION_LIMIT / (1 << grid.ACTIVATION_BITS)
"""The largest activation."""

BRANCH = 0.05
"""A network beside a shortcut begins so much smaller."""


@dataclass(frozen=True)
class Plan:
    """A block: the channels that each convolution gives, and the side of each, 1 or 3.

    The rest is as of `idfzip.integer.stack.Block`.
    """

    outputs: tuple[int, ...]
    sides: tuple[int, ...]
    squeeze: int = 1
    spread: int = 1
    residual: bool = False


def plain(outputs: int, squeeze: int = 1, spread: int = 1, side: int = 3) -> Plan:
    """Return a block of one convolution that gives `outputs` channels before it spreads."""
    return Plan((outputs,), (side,), squeeze, spread)


def residual(channels: int) -> Plan:
    """Return a residual block of two convolutions."""
    return Plan((channels, channels), (3, 3), residual=True)


class TwinStack(nn.Module):
    """The twin of `idfzip.integer.stack.Stack`, of plans.

    `start` (out, in) is what its shortcut begins as; without it there is none.
    """

    exact = False

    def __init__(self, inputs: int, plans: Sequence[Plan], start: Tensor | None = None) -> None:
        super().__init__()
        given = inputs
        self.plans = tuple(plans)
        self.blocks = nn.ModuleList()
        for plan in self.plans:
            seen, layers = inputs * plan.squeeze**2, nn.ModuleList()
            for outputs, side in zip(plan.outputs, plan.sides, strict=True):
                layers.append(_begun(GridConv(seen, outputs, side)))
                seen = outputs
            if plan.residual:  # blocks begin as nothing, so that depth does no harm
                layers[-1].get_parameter("weight").data.mul_(0.2)
            self.blocks.append(layers)
            inputs = seen // plan.spread**2
        self.outputs = inputs
        self._squeezed = math.prod(plan.squeeze for plan in self.plans)
        self._spread = math.prod(plan.spread for plan in self.plans)
        self.shortcut: GridConv | None = None
        if start is not None:
            shortcut = GridConv(given * self._squeezed**2, inputs * self._spread**2, 1)
            with torch.no_grad():
                shortcut.weight.copy_(start[:, :, None, None])
                shortcut.get_parameter("bias").zero_()
                self.layers[-1][-1].weight.mul_(BRANCH)
            self.shortcut = shortcut

    def forward(self, values: Tensor) -> Tensor:
        """Return the last sums, (N, outputs, H', W'), of activations (N, inputs, H, W)."""
        start = values
        for i, (plan, layers) in enumerate(zip(self.plans, self.layers, strict=True)):
            values = space_to_depth(values, plan.squeeze)
            kept = values
            for j, layer in enumerate(layers):
                values = layer(values)
                if (i, j) != (len(self.plans) - 1, len(layers) - 1):
                    values = activation(values, self.exact)
            if plan.residual:
                values = (values + kept).clamp(-BOUND, BOUND)
            values = depth_to_space(values, plan.spread)
        if self.shortcut is not None:
            direct = self.shortcut(space_to_depth(start, self._squeezed))
            values = values + depth_to_space(direct, self._spread)
        return values

    def values(self, values: Tensor) -> Tensor:
        """Return the last sums as activations without leak, on their grid if `exact`."""
        return rounded(self(values), self.exact)

    @property
    def layers(self) -> list[list[GridConv]]:
        """The convolutions of each block."""
        blocks = [list(block.children()) for block in self.blocks]
        return [[conv for conv in block if isinstance(conv, GridConv)] for block in blocks]


def _begun(layer: GridConv) -> GridConv:
    """Return a layer whose activations begin as large as its inputs (He et al. 2015)."""
    nn.init.kaiming_normal_(layer.weight, a=2.0**-grid.LEAK_SHIFT)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer


def rounded(sums: Tensor, exact: bool) -> Tensor:
    """Return sums as activations without leak: clamped, and rounded up at halves if `exact`."""
    if exact:
        return on_grid(
            sums + 0.5 ** (grid.SUM_BITS + 1), grid.ACTIVATION_BITS, grid.ACTIVATION_LIMIT
        )
    return sums.clamp(-BOUND, BOUND)


def space_to_depth(values: Tensor, side: int) -> Tensor:
    """Return (N, side**2 C, H / side, W / side): squares row by row, then channels."""
    if side == 1:
        return values
    n, c, h, w = values.shape
    squares = values.reshape(n, c, h // side, side, w // side, side).permute(0, 3, 5, 1, 2, 4)
    return squares.reshape(n, side * side * c, h // side, w // side)


def depth_to_space(values: Tensor, side: int) -> Tensor:
    """Undo `space_to_depth`."""
    if side == 1:
        return values
    n, c, h, w = values.shape
    squares = values.reshape(n, side, side, c // side**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return squares.reshape(n, c // side**2, h * side, w * side)
