"""Tensors of a lossy model, checked: how networks fit together, and every layer's bounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from idfzip.codecs.painter import Level, Vqvae
from idfzip.container import stacks
from idfzip.container.tensors import Facts, Tensors, fact, table, tensor
from idfzip.errors import ModelError
from idfzip.integer.stack import Stack
from idfzip.priors.codes import CodePrior, Tables

MAX_OPERATIONS = 4_000_000
MAX_LEVELS, MAX_STAGES = 4, 16
MAX_STRIDE = 64


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
        tensors |= stacks.to_tensors(name, stack)
    for name, prior in _priors(model):
        tensors[f"{name}.near"] = prior.near.reshape(-1, prior.near.shape[2])
        tensors[f"{name}.codebook"] = prior.codebook
        tensors |= stacks.conv_tensors(f"{name}.out", prior.out)
    return tensors


def facts(model: Vqvae) -> dict[str, object]:
    """Return what a decoder needs to know beside the tensors."""
    stages = [len(level.priors) for level in model.levels]
    return {"channels": model.channels, "stages": stages}


def self_test(model: Vqvae) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Return extreme activations, and what plain integers give for them."""
    return stacks.self_test([stack for _, stack in _stacks(model)])


def measured_sums(model: Vqvae, tensors: Tensors) -> npt.NDArray[np.int32]:
    """Return what this machine gives for a self-test's inputs; see `stacks.measured_sums`."""
    return stacks.measured_sums([stack for _, stack in _stacks(model)], tensors)


def _prior(tensors: Tensors, name: str) -> CodePrior:
    known, out = stacks.stack(tensors, f"{name}.known"), stacks.conv(tensors, f"{name}.out")
    codebook = tensor(tensors, f"{name}.codebook", np.int16, 2)
    near = tensor(tensors, f"{name}.near", np.int16, 2)
    size = codebook.shape[1]
    if not size or near.shape[0] != 4 * size or not near.shape[1]:
        raise ModelError(f"{name}: weights of shape {near.shape} for codes of {size} values")
    return CodePrior(known, near.reshape(4, size, -1), out, codebook)


def _level(tensors: Tensors, name: str, stages: int) -> Level:
    nets = [stacks.stack(tensors, f"{name}.{part}") for part in ("encoder", "head", "lift")]
    priors = tuple(_prior(tensors, f"{name}.priors.{s}") for s in range(stages))
    return Level(nets[0], nets[1], priors, nets[2])


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
    pixels, shares = 1.0, []
    for level in reversed(model.levels):
        coarse = pixels / level.encoder.squeezed**2
        shares += [(level.encoder, pixels), (level.head, coarse), (level.lift, coarse)]
        shares += [(prior.known, coarse) for prior in level.priors]
        pixels = coarse
    stacks.check_size(shares)
