"""Convolutional networks on the grids that change their resolution: encoders and decoders.

A stack of blocks. A block takes squares of places together (space to depth), runs its convolutions
with the activation after each, adds what it was given if it is a residual one (He et al. 2016,
arXiv:1512.03385), and spreads channels over squares (depth to space, Shi et al. 2016,
arXiv:1609.05158). So no layer is strided, and every sum has the bound of a plain convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from idfzip.errors import ModelError
from idfzip.integer import conv, grid
from idfzip.integer.conv import LIMIT, Conv, Sums
from idfzip.integer.panel import Floats

Values = npt.NDArray[np.int32]
"""Activations, within +-511, int32 (height, width, channels)."""

SIDES = (1, 2, 4, 8)
"""Sides of the squares that a block takes together, or spreads."""


@dataclass(frozen=True)
class Block:
    """Convolutions one after the other; raises ModelError where they do not fit together.

    `squeeze` is the side of the squares taken together before them, `spread` of those after.
    """

    convs: tuple[Conv, ...]
    squeeze: int = 1
    spread: int = 1
    residual: bool = False

    def __post_init__(self) -> None:
        """Check that each convolution takes what the one before gives."""
        if not self.convs or self.squeeze not in SIDES or self.spread not in SIDES:
            raise ModelError(
                f"block of {len(self.convs)} layers, squares of {self.squeeze} and {self.spread}"
            )
        seen = self.convs[0].inputs
        for layer in self.convs:
            if layer.inputs != seen:
                raise ModelError(f"layer of {layer.inputs} inputs after one of {seen} outputs")
            seen = layer.outputs
        if self.convs[0].inputs % self.squeeze**2 or seen % self.spread**2:
            raise ModelError(f"{self.convs[0].inputs} inputs, {seen} outputs are not in squares")
        if self.residual and seen != self.convs[0].inputs:
            raise ModelError(f"residual block from {self.convs[0].inputs} to {seen} channels")

    @property
    def inputs(self) -> int:
        """Number of channels it takes."""
        return self.convs[0].inputs // self.squeeze**2

    @property
    def outputs(self) -> int:
        """Number of channels it gives."""
        return self.convs[-1].outputs // self.spread**2


@dataclass(frozen=True)
class Stack:
    """Blocks one after the other; the last convolution of all has no activation.

    Where there is a `shortcut`, of one tap, its sums are added to the last ones: it takes the whole
    squares that blocks take together, and gives whole squares that they spread. Raises ModelError
    where blocks do not fit together, or the last one is residual.
    """

    blocks: tuple[Block, ...]
    shortcut: Conv | None = None

    def __post_init__(self) -> None:
        """Check that each block takes what the one before gives."""
        if not self.blocks or self.blocks[-1].residual:
            raise ModelError(f"stack of {len(self.blocks)} blocks, the last one residual or none")
        for first, second in zip(self.blocks[:-1], self.blocks[1:], strict=True):
            if first.outputs != second.inputs:
                raise ModelError(f"block of {second.inputs} inputs after {first.outputs} outputs")
        ends = (self.inputs * self.squeezed**2, self.outputs * self.spread**2)
        if self.shortcut is not None:
            through = self.shortcut
            if (len(through.weight), through.inputs, through.outputs) != (1, *ends):
                raise ModelError(f"shortcut of shape {through.weight.shape}, {ends} expected")
        conv.check_reach(self.reach)

    @property
    def inputs(self) -> int:
        """Number of channels it takes."""
        return self.blocks[0].inputs

    @property
    def outputs(self) -> int:
        """Number of channels it gives."""
        return self.blocks[-1].outputs

    @property
    def reach(self) -> npt.NDArray[np.int64]:
        """How far from 0 the last sums of each channel may be, int64 (outputs,)."""
        last = [self.blocks[-1].convs[-1]] + ([self.shortcut] if self.shortcut else [])
        reaches = [layer.reach.reshape(-1, self.outputs).max(0) for layer in last]
        found: npt.NDArray[np.int64] = np.sum(reaches, 0)
        return found

    @property
    def convs(self) -> tuple[Conv, ...]:
        """All convolutions."""
        return tuple(layer for block in self.blocks for layer in block.convs)

    @property
    def squeezed(self) -> int:
        """The side of the squares that it takes together in all."""
        return prod(block.squeeze for block in self.blocks)

    @property
    def spread(self) -> int:
        """The side of the squares that it spreads in all."""
        return prod(block.spread for block in self.blocks)

    def shares(self) -> list[tuple[Conv, float]]:
        """Return each convolution and its places for one place of the input."""
        found, share = [], 1.0
        for block in self.blocks:
            share /= block.squeeze**2
            found += [(layer, share) for layer in block.convs]
            share *= block.spread**2
        if self.shortcut is not None:
            found.append((self.shortcut, 1 / self.squeezed**2))
        return found

    def sums(self, values: Values) -> Sums:
        """Return the last sums, int32, of activations (height, width, inputs)."""
        width = values.shape[1]
        given = start = _plane(values)
        for block in self.blocks[:-1]:
            given, width = _run(block, given, width)
        last = self.blocks[-1]
        given, width = _squeezed(given, width, last.squeeze)
        for layer in last.convs[:-1]:
            given = _activated(layer, given, width)
        found = depth_to_space(conv.sums(last.convs[-1], given, width), last.spread)
        if self.shortcut is not None:
            given, width = _squeezed(start, values.shape[1], self.squeezed)
            found += depth_to_space(conv.sums(self.shortcut, given, width), self.spread)
        return found

    def values(self, values: Values) -> Values:
        """Return the last sums as activations, without leak."""
        return rounded(self.sums(values))

    def plain_sums(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return what `sums` must give, in plain int64: for self-tests."""
        start = values
        for i, block in enumerate(self.blocks):
            values = space_to_depth(values, block.squeeze)
            kept = values
            for j, layer in enumerate(block.convs):
                values = conv.plain_sums(layer, values)
                if (i, j) != (len(self.blocks) - 1, len(block.convs) - 1):
                    values = conv.plain_activation(values)
            if block.residual:
                values = (values + kept).clip(-LIMIT, LIMIT)
            values = depth_to_space(values, block.spread)
        if self.shortcut is not None:
            direct = conv.plain_sums(self.shortcut, space_to_depth(start, self.squeezed))
            values = values + depth_to_space(direct, self.spread)
        return values


def rounded(sums: Sums) -> Values:
    """Return sums in units of activations, within their limits."""
    return ((sums + grid.HALF) >> grid.WEIGHT_BITS).clip(-LIMIT, LIMIT)


def space_to_depth(values: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    """Return (height / side, width / side, side**2 C): squares row by row, then channels."""
    if side == 1:
        return values
    height, width, channels = values.shape
    squares = values.reshape(height // side, side, width // side, side, channels)
    turned = squares.transpose(0, 2, 1, 3, 4)
    return turned.reshape(height // side, width // side, side * side * channels)


def depth_to_space(values: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    """Undo `space_to_depth`."""
    if side == 1:
        return values
    height, width, channels = values.shape
    squares = values.reshape(height, width, side, side, channels // side**2)
    turned = squares.transpose(0, 2, 1, 3, 4)
    return turned.reshape(height * side, width * side, channels // side**2)


def _plane(values: npt.NDArray[np.int32] | Floats) -> Floats:
    """Return values as convolutions take them."""
    height, width, channels = values.shape
    plane = conv.plane(height, width, channels)
    plane[:, :width] = values
    return plane


def _squeezed(given: Floats, width: int, side: int) -> tuple[Floats, int]:
    if side == 1:
        return given, width
    return _plane(space_to_depth(given[:, :width], side)), width // side


def _activated(layer: Conv, given: Floats, width: int) -> Floats:
    out = conv.plane(given.shape[0], width, layer.outputs)
    conv.activate(conv.sums(layer, given, width), out, 0)
    return out


def _run(block: Block, given: Floats, width: int) -> tuple[Floats, int]:
    """Return the plane that a block gives, and its width."""
    given, width = _squeezed(given, width, block.squeeze)
    values = given
    for layer in block.convs:
        values = _activated(layer, values, width)
    if block.residual:
        values += given
        np.clip(values, -LIMIT, LIMIT, out=values)
    if block.spread == 1:
        return values, width
    return _plane(depth_to_space(values[:, :width], block.spread)), width * block.spread
