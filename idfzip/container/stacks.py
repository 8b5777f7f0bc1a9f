"""Tensors of convolutional stacks, checked, and the self-tests of models that are made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from idfzip.container.tensors import Tensors, tensor
from idfzip.errors import ModelError
from idfzip.integer import grid
from idfzip.integer.conv import Conv
from idfzip.integer.stack import Block, Stack

MAX_BLOCKS, MAX_CONVS = 64, 4
MAX_WIDTH = 4096
"""Most channels that a layer takes or gives."""

MAX_SPREAD = 96
"""Most channels of a layer for one pixel, which bounds the memory of a tile."""

MAX_MEMORY = 1 << 30
"""Most bytes of weights in whole panels."""

_TEST = (3, 5)
"""Sides of the self-test's inputs, in places of the coarsest resolution of a network."""


def to_tensors(name: str, stack: Stack) -> Tensors:
    """Return the tensors of a network."""
    rows = [[len(b.convs), b.squeeze, b.spread, int(b.residual)] for b in stack.blocks]
    tensors: Tensors = {f"{name}.blocks": np.array(rows, np.int16)}
    for i, conv in enumerate(stack.convs):
        tensors |= conv_tensors(f"{name}.{i}", conv)
    if stack.shortcut is not None:
        tensors |= conv_tensors(f"{name}.shortcut", stack.shortcut)
    return tensors


def conv_tensors(name: str, conv: Conv) -> Tensors:
    """Return the tensors of a layer."""
    weight = conv.weight.reshape(-1, conv.outputs)
    taps = np.array([len(conv.weight)], np.int16)
    return {f"{name}.weight": weight, f"{name}.bias": conv.bias, f"{name}.taps": taps}


def conv(tensors: Tensors, name: str) -> Conv:
    """Return a layer; raises ModelError where anything is not as it should be."""
    weight = tensor(tensors, f"{name}.weight", np.int16, 2)
    bias = tensor(tensors, f"{name}.bias", np.int32, 1)
    taps = tensor(tensors, f"{name}.taps", np.int16, 1)
    rows, outputs = weight.shape
    if taps.tolist() not in ([1], [9]) or rows % int(taps[0]) or rows == 0:
        raise ModelError(f"{name}: {rows} rows of {taps.tolist()} taps")
    count = int(taps[0])
    if rows > MAX_WIDTH * count or outputs > MAX_WIDTH:
        raise ModelError(f"{name}: more than {MAX_WIDTH} channels")
    try:
        return Conv(weight.reshape(count, rows // count, outputs), bias)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None


def stack(tensors: Tensors, name: str) -> Stack:
    """Return a network; raises ModelError where anything is not as it should be."""
    rows = tensor(tensors, f"{name}.blocks", np.int16, 2)
    if rows.shape[1] != 4 or not 1 <= len(rows) <= MAX_BLOCKS:
        raise ModelError(f"{name}: blocks of shape {rows.shape}")
    blocks, at = [], 0
    for count, squeeze, spread, residual in rows.tolist():
        if not 1 <= count <= MAX_CONVS or residual not in (0, 1):
            raise ModelError(f"{name}: a block of {count} layers, residual {residual}")
        convs = tuple(conv(tensors, f"{name}.{at + i}") for i in range(count))
        at += count
        blocks.append(Block(convs, squeeze, spread, bool(residual)))
    shortcut = f"{name}.shortcut"
    there = f"{shortcut}.weight" in tensors
    return Stack(tuple(blocks), conv(tensors, shortcut) if there else None)


def check_size(shares: Sequence[tuple[Stack, float]]) -> None:
    """Raise ModelError where coding would take too much memory.

    `shares` are networks, each with the places of its input for one pixel.
    """
    memory = sum(conv.memory for stack, _ in shares for conv, _ in stack.shares())
    if memory > MAX_MEMORY:
        raise ModelError(f"weights take {memory} bytes of memory, the limit is {MAX_MEMORY}")
    for stack, share in shares:
        widest = max(s * share * max(c.inputs, c.outputs) for c, s in stack.shares())
        if widest > MAX_SPREAD:
            raise ModelError(f"{widest:.0f} channels a pixel, the limit is {MAX_SPREAD}")


def self_test(stacks: Sequence[Stack]) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Return extreme activations, and what plain integers give for them; see `measured_sums`."""
    rng = np.random.default_rng(0)
    limit = grid.ACTIVATION_LIMIT
    inputs = rng.choice([-limit, limit], _shape(stacks))
    inputs[-2:] = rng.integers(-limit, limit + 1, inputs[-2:].shape)
    found = [stack.plain_sums(_taken(inputs, stack).astype(np.int64)) for stack in stacks]
    return inputs.astype(np.int16), _folded(found)


def measured_sums(stacks: Sequence[Stack], tensors: Tensors) -> npt.NDArray[np.int32]:
    """Return what this machine gives for a self-test's inputs, int16 (height, width, channels).

    Each network takes the upper left and the first channels; its sums are added over all places,
    modulo 2**32.
    """
    inputs = tensor(tensors, "test.inputs", np.int16, 3)
    limit = grid.ACTIVATION_LIMIT
    if inputs.shape != _shape(stacks) or abs(inputs.astype(np.int32)).max() > limit:
        raise ModelError(f"self-test of shape {inputs.shape}, or of values over {limit}")
    return _folded(
        [stack.sums(_taken(inputs, stack).astype(np.int32)).astype(np.int64) for stack in stacks]
    )


def _shape(stacks: Sequence[Stack]) -> tuple[int, int, int]:
    side = max(stack.squeezed for stack in stacks)
    return _TEST[0] * side, _TEST[1] * side, max(stack.inputs for stack in stacks)


def _taken(inputs: npt.NDArray[np.int16], stack: Stack) -> npt.NDArray[np.int16]:
    height, width = (n * stack.squeezed for n in _TEST)
    return inputs[:height, :width, : stack.inputs]


def _folded(found: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int32]:
    totals = np.concatenate([sums.sum((0, 1)) for sums in found])
    return (totals & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
