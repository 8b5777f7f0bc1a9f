"""Tensors of a flagship model, checked: causality of every offset, and every layer's bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from idfzip.codecs.flagship import STATIC, Flagship, Learning
from idfzip.container.tensors import Facts, Tensors, fact, prior, prior_tensors, table, tensor
from idfzip.errors import ModelError
from idfzip.flows import autoregressive, context
from idfzip.flows.autoregressive import Design
from idfzip.flows.wavefront import is_causal
from idfzip.integer import grid
from idfzip.integer.dense import Layer
from idfzip.integer.network import INPUT_LIMIT, Network, fan_sums

MAX_OPERATIONS = 4_000_000
MAX_INPUTS = 4096
MAX_RATE = 1 << 14
MAX_EVERY = 64


def to_tensors(flagship: Flagship) -> Tensors:
    """Return the tensors of a model without its self-test."""
    design = flagship.design
    return {
        "design.regressors": design.regressors,
        "design.neighbours": design.neighbours,
        "design.places": design.places,
        "design.ridge": design.ridge,
        "tables.log": design.tables.log,
        "tables.gain": design.tables.gain,
        **prior_tensors(flagship.prior),
        **network_tensors(flagship.network),
    }


def network_tensors(network: Network, prefix: str = "") -> Tensors:
    """Return the layers of a network, names beginning with `prefix`."""
    tensors: Tensors = {}
    for group in ("trunk", "heads", "outs"):
        for i, layer in enumerate(getattr(network, group)):
            tensors[f"{prefix}{group}.{i}.weight"] = layer.weight
            tensors[f"{prefix}{group}.{i}.bias"] = layer.bias
    return tensors


def facts(flagship: Flagship) -> Facts:
    """Return what a decoder needs to know beside the tensors."""
    found: dict[str, object] = {
        "channels": flagship.channels,
        "layers": len(flagship.network.trunk),
    }
    if flagship.learning.rate:
        found["learning"] = list(flagship.learning)
    return found


def self_test(flagship: Flagship) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Return extreme inputs and the sums that plain integers give for them."""
    network = flagship.network
    rng = np.random.default_rng(0)
    rows = [np.full(network.inputs, v) for v in (0, INPUT_LIMIT, -INPUT_LIMIT)]
    signs = np.sign(network.trunk[0].weight.astype(np.int64)).T * INPUT_LIMIT
    rows += [signs[i % len(signs)] * (1 - 2 * (i & 1)) for i in range(29)]
    rows += list(rng.integers(-INPUT_LIMIT, INPUT_LIMIT + 1, (32, network.inputs)))
    inputs = np.stack(rows).astype(np.int16)
    return inputs, plain_sums(network, inputs)


def plain_sums(network: Network, inputs: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
    """Return what `fan_sums` must give, in plain int64: for self-tests."""
    values = inputs.astype(np.int64)
    for layer in network.trunk:
        sums = values @ layer.weight.astype(np.int64) + layer.bias
        whole = (sums + grid.HALF) >> grid.WEIGHT_BITS
        leaked = np.maximum(whole, whole >> grid.LEAK_SHIFT)
        values = leaked.clip(-grid.ACTIVATION_LIMIT, grid.ACTIVATION_LIMIT)
    depth = values.shape[1]
    fan = np.concatenate([head.weight[:depth] for head in network.heads], axis=1)
    found: npt.NDArray[np.int32] = (values @ fan.astype(np.int64)).astype(np.int32)
    return found


def measured_sums(flagship: Flagship, tensors: Tensors) -> npt.NDArray[np.int32]:
    """Return what this machine gives for a self-test's inputs."""
    inputs = tensor(tensors, "test.inputs", np.int16, 2)
    if inputs.shape[1] != flagship.network.inputs or not 0 < len(inputs) <= 4096:
        raise ModelError(f"self-test of shape {inputs.shape}")
    return fan_sums(flagship.network, inputs)


def _offsets(tensors: Tensors, name: str, channels: int, columns: int) -> Any:
    array = tensor(tensors, f"design.{name}", np.int64, 2)
    if array.shape[1] != columns or not 0 < len(array) <= 128:
        raise ModelError(f"{name} of shape {array.shape}")
    for offset in array:
        if not is_causal(int(offset[-2]), int(offset[-1])):
            raise ModelError(f"{name}: the neighbour {offset[-2:]} is not known before the pixel")
        if columns == 3 and not 0 <= offset[0] < channels:
            raise ModelError(f"{name}: channel {offset[0]}")
    return array


def _design(tensors: Tensors, channels: int) -> Design:
    ridge = tensor(tensors, "design.ridge", np.int64, 1)
    if len(ridge) != 1 or not 1 <= ridge[0] <= 1 << 20:
        raise ModelError("ridge is out of range")
    regressors = _offsets(tensors, "regressors", channels, 3)
    if len(regressors) > 48:
        raise ModelError(f"{len(regressors)} regressors, the limit is 48")
    return Design(
        regressors,
        _offsets(tensors, "neighbours", channels, 2),
        _offsets(tensors, "places", channels, 2),
        ridge,
        context.Tables(
            table(tensors, "log", np.int32, 64, 0, 16),
            table(tensors, "gain", np.int64, context.SCALES, 1, 1 << 18),
        ),
    )


def learning(known: Facts, layers: int) -> Learning:
    """Return how the network learns; raises ModelError where the numbers are out of range."""
    found = known.get("learning", list(STATIC))
    limits = (MAX_RATE, layers, MAX_EVERY)
    if (
        not isinstance(found, list)
        or len(found) != len(limits)
        or not all(type(v) is int and 0 <= v <= top for v, top in zip(found, limits, strict=True))
    ):
        raise ModelError(f"learning {found!r:.40}: whole numbers up to {limits} expected")
    if found[2] == 0:
        raise ModelError("learning from no period")
    return Learning(*found)


def network_from(tensors: Tensors, prefix: str, layers: int, channels: int) -> Network:
    """Return the network whose tensors' names begin with `prefix`; raises ModelError."""

    def group(name: str, count: int) -> tuple[Layer, ...]:
        return tuple(
            Layer(
                tensor(tensors, f"{prefix}{name}.{i}.weight", np.int16, 2),
                tensor(tensors, f"{prefix}{name}.{i}.bias", np.int32, 1),
            )
            for i in range(count)
        )

    parts = [group("trunk", layers), group("heads", channels), group("outs", channels)]
    if any(
        layer.weight.size == 0 or max(layer.weight.shape) > MAX_INPUTS for p in parts for layer in p
    ):
        raise ModelError("a layer is empty or too wide")
    network = Network(*parts)
    outs = {out.weight.shape for out in network.outs}
    if len(outs) != 1 or network.components * 3 != next(iter(outs))[1] or network.components > 32:
        raise ModelError("the heads' outputs are no mixtures of one size")
    if network.operations > MAX_OPERATIONS:
        raise ModelError(f"{network.operations} products a pixel, the limit is {MAX_OPERATIONS}")
    return network


def from_tensors(tensors: Tensors, known: Facts) -> Flagship:
    """Return the model in tensors; raises ModelError where anything is not as it should be."""
    channels, layers = fact(known, "channels", 1, 3), fact(known, "layers", 1, 16)
    if channels == 2:
        raise ModelError("2 channels: 1 or 3 expected")
    design, tables = _design(tensors, channels), prior(tensors)
    network = network_from(tensors, "", layers, channels)
    expected = [autoregressive.width(design, channels, looks) for looks in (False, True)]
    if network.inputs not in expected:
        raise ModelError(
            f"{network.inputs} inputs, the design gives {' or '.join(map(str, expected))}"
        )
    return Flagship(design, network, tables, learning(known, layers))
