"""Tensors of a bits-back model, checked: how networks fit together, and every layer's bounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from idfzip.codecs.bitswap import Bitswap, Level
from idfzip.container import stacks
from idfzip.container.tensors import Facts, Tensors, fact, prior, prior_tensors, tensor
from idfzip.errors import ModelError
from idfzip.integer.stack import Stack

MAX_OPERATIONS = 4_000_000
MAX_LEVELS = 5
MAX_COMPONENTS = 32


def _stacks(model: Bitswap) -> Iterator[tuple[str, Stack, int]]:
    """Yield each network, its name, and the side of the square of pixels for one place it takes."""
    for i, level in enumerate(model.levels):
        yield f"levels.{i}.posterior", level.posterior, 1 << i
        yield f"levels.{i}.prior", level.prior, 2 << i


def to_tensors(model: Bitswap) -> Tensors:
    """Return the tensors of a model without its self-test."""
    tensors: Tensors = {"constants": model.constants, **prior_tensors(model.tables)}
    for name, stack, _ in _stacks(model):
        tensors |= stacks.to_tensors(name, stack)
    return tensors


def facts(model: Bitswap) -> dict[str, int]:
    """Return what a decoder needs to know beside the tensors."""
    return {"channels": model.channels, "levels": len(model.levels)}


def self_test(model: Bitswap) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Return extreme activations, and what plain integers give for them."""
    return stacks.self_test([stack for _, stack, _ in _stacks(model)])


def measured_sums(model: Bitswap, tensors: Tensors) -> npt.NDArray[np.int32]:
    """Return what this machine gives for a self-test's inputs; see `stacks.measured_sums`."""
    return stacks.measured_sums([stack for _, stack, _ in _stacks(model)], tensors)


def from_tensors(tensors: Tensors, known: Facts) -> Bitswap:
    """Return the model in tensors; raises ModelError where anything is not as it should be."""
    levels = tuple(
        Level(
            stacks.stack(tensors, f"levels.{i}.posterior"),
            stacks.stack(tensors, f"levels.{i}.prior"),
        )
        for i in range(fact(known, "levels", 1, MAX_LEVELS))
    )
    model = Bitswap(levels, tensor(tensors, "constants", np.int32, 2), prior(tensors))
    if model.channels != fact(known, "channels", 1, 3):
        raise ModelError(f"{model.channels} channels, {known['channels']} are named")
    if model.components > MAX_COMPONENTS:
        raise ModelError(f"mixtures of more than {MAX_COMPONENTS} logistics")
    if model.operations > MAX_OPERATIONS:
        raise ModelError(f"{model.operations} products a pixel, the limit is {MAX_OPERATIONS}")
    stacks.check_size([(stack, 1 / side**2) for _, stack, side in _stacks(model)])
    return model
