"""Tensors of a lossy model, checked: how networks fit together, and every layer's bounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from idfzip.codecs.vqvae import Level, Vqvae
from idfzip.container.tensors import Facts, Tensors, fact, table, tensor
from idfzip.errors import ModelError
from idfzip.integer import grid
from idfzip.integer.conv import Conv
from idfzip.integer.stack import Block, Stack
from idfzip.priors.codes import CodePrior, Tables

MAX_OPERATIONS = 4_000_000
MAX_LEVELS, MAX_STAGES, MAX_BLOCKS, MAX_CONVS = 4, 16, 64, 4
MAX_WIDTH = 4096
"""Most channels that a layer takes or gives."""

MAX_SPREAD = 96
"""Most channels of a layer for one pixel, which bounds the memory of a tile."""

MAX_STRIDE = 64
MAX_MEMORY = 1 << 30
"""Most bytes of weights in whole panels."""

_TEST = (3, 5)
"""Sides of the self-test's inputs, in places of the coarsest resolution of a network."""


def _stacks(model: Vqvae) -> Iterator[tuple[str, Stack]]:
    """Yield each network and its name."""
    for i, level in enumerate(model.levels):
        yield f"levels.{i}.encoder", level.encoder
        yield f"levels.{i}.head", level.head
        yield f"levels.{i}.lift", level.lift
        for s, prior in enumerate(level.priors):
            yield f"levels.{i}.priors.{s}.known", prior.known


def _priors(model: Vqvae) -> Iterator[tuple[str, CodePrior]]:
    for i, level in enumerate(model.levels):
        for s, prior in enumerate(level.priors):
            yield f"levels.{i}.priors.{s}", prior


def to_tensors(model: Vqvae) -> Tensors:
    """Return the tensors of a model without its self-test."""
    tensors: Tensors = {"tables.exp": model.tables.exp, "tables.log": model.tables.log}
    for name, stack in _stacks(model):
        rows = [[len(b.convs), b.squeeze, b.spread, int(b.residual)] for b in stack.blocks]
        tensors[f"{name}.blocks"] = np.array(rows, np.int16)
        for i, conv in enumerate(stack.convs):
            tensors |= _conv_tensors(f"{name}.{i}", conv)
        if stack.shortcut is not None:
            tensors |= _conv_tensors(f"{name}.shortcut", stack.shortcut)
    for name, prior in _priors(model):
        tensors[f"{name}.near"] = prior.near.reshape(-1, prior.near.shape[2])
        tensors[f"{name}.codebook"] = prior.codebook
        tensors |= _conv_tensors(f"{name}.out", prior.out)
    return tensors


def _conv_tensors(name: str, conv: Conv) -> Tensors:
    weight = conv.weight.reshape(-1, conv.outputs)
    taps = np.array([len(conv.weight)], np.int16)
    return {f"{name}.weight": weight, f"{name}.bias": conv.bias, f"{name}.taps": taps}


def facts(model: Vqvae) -> dict[str, object]:
    """Return what a decoder needs to know beside the tensors."""
    stages = [len(level.priors) for level in model.levels]
    return {"channels": model.channels, "stages": stages}


def self_test(model: Vqvae) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Return extreme activations, and what plain integers give for them; see `measured_sums`."""
    rng = np.random.default_rng(0)
    most = max(stack.inputs for _, stack in _stacks(model))
    side = max(stack.squeezed for _, stack in _stacks(model))
    limit = grid.ACTIVATION_LIMIT
    inputs = rng.choice([-limit, limit], (_TEST[0] * side, _TEST[1] * side, most))
    inputs[-2:] = rng.integers(-limit, limit + 1, inputs[-2:].shape)
    found = [
        stack.plain_sums(_taken(inputs, stack).astype(np.int64)) for _, stack in _stacks(model)
    ]
    return inputs.astype(np.int16), _folded(found)


def measured_sums(model: Vqvae, tensors: Tensors) -> npt.NDArray[np.int32]:
    """Return what this machine gives for a self-test's inputs, int16 (height, width, channels).

    Each network takes the upper left and the first channels; its sums are added over all places,
    modulo 2**32.
    """
    inputs = tensor(tensors, "test.inputs", np.int16, 3)
    most = max(stack.inputs for _, stack in _stacks(model))
    side = max(stack.squeezed for _, stack in _stacks(model))
    limit = grid.ACTIVATION_LIMIT
    if inputs.shape != (_TEST[0] * side, _TEST[1] * side, most) or abs(inputs).max() > limit:
        raise ModelError(f"self-test of shape {inputs.shape}, or of values over {limit}")
    found = [
        stack.sums(_taken(inputs, stack).astype(np.int32)).astype(np.int64)
        for _, stack in _stacks(model)
    ]
    return _folded(found)


def _taken(inputs: npt.NDArray[np.int16], stack: Stack) -> npt.NDArray[np.int16]:
    height, width = (n * stack.squeezed for n in _TEST)
    return inputs[:height, :width, : stack.inputs]


def _folded(found: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int32]:
    totals = np.concatenate([sums.sum((0, 1)) for sums in found])
    return (totals & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def _conv(tensors: Tensors, name: str) -> Conv:
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


def _stack(tensors: Tensors, name: str) -> Stack:
    rows = tensor(tensors, f"{name}.blocks", np.int16, 2)
    if rows.shape[1] != 4 or not 1 <= len(rows) <= MAX_BLOCKS:
        raise ModelError(f"{name}: blocks of shape {rows.shape}")
    blocks, at = [], 0
    for count, squeeze, spread, residual in rows.tolist():
        if not 1 <= count <= MAX_CONVS or residual not in (0, 1):
            raise ModelError(f"{name}: a block of {count} layers, residual {residual}")
        convs = tuple(_conv(tensors, f"{name}.{at + i}") for i in range(count))
        at += count
        blocks.append(Block(convs, squeeze, spread, bool(residual)))
    shortcut = f"{name}.shortcut"
    there = f"{shortcut}.weight" in tensors
    return Stack(tuple(blocks), _conv(tensors, shortcut) if there else None)


def _prior(tensors: Tensors, name: str) -> CodePrior:
    known, out = _stack(tensors, f"{name}.known"), _conv(tensors, f"{name}.out")
    codebook = tensor(tensors, f"{name}.codebook", np.int16, 2)
    near = tensor(tensors, f"{name}.near", np.int16, 2)
    size = codebook.shape[1]
    if not size or near.shape[0] != 4 * size or not near.shape[1]:
        raise ModelError(f"{name}: weights of shape {near.shape} for codes of {size} values")
    return CodePrior(known, near.reshape(4, size, -1), out, codebook)


def _level(tensors: Tensors, name: str, stages: int) -> Level:
    stacks = [_stack(tensors, f"{name}.{part}") for part in ("encoder", "head", "lift")]
    priors = tuple(_prior(tensors, f"{name}.priors.{s}") for s in range(stages))
    return Level(stacks[0], stacks[1], priors, stacks[2])


def from_tensors(tensors: Tensors, known: Facts) -> Vqvae:
    """Return the model in tensors; raises ModelError where anything is not as it should be."""
    stages = known.get("stages")
    if not isinstance(stages, list) or not 1 <= len(stages) <= MAX_LEVELS:
        raise ModelError(f"stages {stages!a:.40}: 1 to {MAX_LEVELS} numbers expected")
    counts = [fact({"stages": one}, "stages", 1, MAX_STAGES) for one in stages]
    tables = Tables(
        table(tensors, "exp", np.int64, 2048, 0, 1 << 20),
        table(tensors, "log", np.int32, 64, 0, 16),
    )
    if tables.exp[0] != 1 << 20:
        raise ModelError("table exp is out of range")
    levels = tuple(_level(tensors, f"levels.{i}", count) for i, count in enumerate(counts))
    model = Vqvae(levels, tables)
    if model.channels != fact(known, "channels", 1, 3):
        raise ModelError(f"{model.channels} channels, {known['channels']} are named")
    if model.stride > MAX_STRIDE:
        raise ModelError(f"squares of {model.stride}, the limit is {MAX_STRIDE}")
    _check_size(model)
    return model


def _check_size(model: Vqvae) -> None:
    """Raise ModelError where coding would take too long or too much memory."""
    if model.operations > MAX_OPERATIONS:
        raise ModelError(f"{model.operations} products a pixel, the limit is {MAX_OPERATIONS}")
    memory = sum(conv.memory for _, stack in _stacks(model) for conv, _ in stack.shares())
    if memory > MAX_MEMORY:
        raise ModelError(f"weights take {memory} bytes of memory, the limit is {MAX_MEMORY}")
    pixels = 1.0
    for level in reversed(model.levels):
        coarse = pixels / level.encoder.squeezed**2
        stacks = [(level.encoder, pixels), (level.head, coarse), (level.lift, coarse)]
        stacks += [(prior.known, coarse) for prior in level.priors]
        for stack, share in stacks:
            widest = max(s * share * max(c.inputs, c.outputs) for c, s in stack.shares())
            if widest > MAX_SPREAD:
                raise ModelError(f"{widest:.0f} channels a pixel, the limit is {MAX_SPREAD}")
        pixels = coarse
