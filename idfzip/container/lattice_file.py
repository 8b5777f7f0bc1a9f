"""Tensors of a progressive model, checked: reach of every offset, sizes, every layer's bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from idfzip.codecs.lattice import Lattice
from idfzip.container import flagship_file
from idfzip.container.tensors import Facts, Tensors, fact, prior, prior_tensors, table, tensor
from idfzip.errors import ModelError
from idfzip.flows import context
from idfzip.flows.lattice import CORNERS, PHASES, REACH, Design
from idfzip.integer.network import INPUT_LIMIT, fan_sums


def to_tensors(model: Lattice) -> Tensors:
    """Return the tensors of a model without its self-test."""
    design = model.design
    tensors: Tensors = {
        "design.neighbours": design.neighbours.reshape(-1, 2),
        "design.places": design.places.reshape(-1, 2),
        "tables.log": design.tables.log,
        "tables.gain": design.tables.gain,
        **prior_tensors(model.prior),
    }
    for i, network in enumerate(model.networks):
        tensors |= flagship_file.network_tensors(network, f"phases.{i}.")
    return tensors


def facts(model: Lattice) -> Facts:
    """Return what a decoder needs to know beside the tensors."""
    found: dict[str, object] = {
        "channels": model.channels,
        "layers": len(model.networks[0].trunk),
    }
    if model.learning.rate:
        found["learning"] = list(model.learning)
    return found


def self_test(model: Lattice) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Return extreme inputs, the same for all networks, and the sums of plain integers for them.

    Those of the networks stand side by side; see `flagship_file.plain_sums`.
    """
    rng = np.random.default_rng(0)
    inputs = rng.choice([-INPUT_LIMIT, INPUT_LIMIT], (64, model.networks[0].inputs))
    inputs[:3] = [[0], [INPUT_LIMIT], [-INPUT_LIMIT]]
    inputs[32:] = rng.integers(-INPUT_LIMIT, INPUT_LIMIT + 1, inputs[32:].shape)
    inputs = inputs.astype(np.int16)
    sums = [flagship_file.plain_sums(network, inputs) for network in model.networks]
    return inputs, np.concatenate(sums, axis=1)


def measured_sums(model: Lattice, tensors: Tensors) -> npt.NDArray[np.int32]:
    """Return what this machine gives for a self-test's inputs."""
    inputs = tensor(tensors, "test.inputs", np.int16, 2)
    if inputs.shape[1] != model.networks[0].inputs or not 0 < len(inputs) <= 4096:
        raise ModelError(f"self-test of shape {inputs.shape}")
    return np.concatenate([fan_sums(network, inputs) for network in model.networks], axis=1)


def _offsets(tensors: Tensors, name: str, fewest: int) -> Any:
    """Return the offsets of each phase, int64 (3, n, 2); in the file one after the other."""
    array = tensor(tensors, f"design.{name}", np.int64, 2)
    count, rest = divmod(len(array), len(PHASES))
    if array.shape[1] != 2 or rest or not fewest <= count <= 128:
        raise ModelError(f"{name} of shape {array.shape}")
    if array.min() < -REACH or array.max() > REACH:  # no abs(): the least number has none
        raise ModelError(f"{name}: an offset is over {REACH}")
    return array.reshape(len(PHASES), count, 2)


def from_tensors(tensors: Tensors, known: Facts) -> Lattice:
    """Return the model in tensors; raises ModelError where anything is not as it should be."""
    channels, layers = fact(known, "channels", 1, 3), fact(known, "layers", 1, 16)
    if channels == 2:
        raise ModelError("2 channels: 1 or 3 expected")
    design = Design(
        _offsets(tensors, "neighbours", CORNERS),
        _offsets(tensors, "places", 1),
        context.Tables(
            table(tensors, "log", np.int32, 64, 0, 16),
            table(tensors, "gain", np.int64, context.SCALES, 1, 1 << 18),
        ),
    )
    networks = tuple(
        flagship_file.network_from(tensors, f"phases.{i}.", layers, channels)
        for i in range(len(PHASES))
    )
    return Lattice(design, networks, prior(tensors), flagship_file.learning(known, layers))
