"""Tensors of a bipartite model, checked: permutations, sizes, and every layer's bounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from idfzip.codecs.idf import Idf
from idfzip.container.tensors import Facts, Tensors, fact, prior, prior_tensors, tensor
from idfzip.errors import ModelError
from idfzip.flows.bipartite import Level
from idfzip.integer.conv import Conv
from idfzip.integer.densenet import DenseNet

MAX_OPERATIONS = 64_000_000
MAX_LEVELS, MAX_COUPLINGS, MAX_LAYERS = 6, 64, 64
MAX_WIDTH = 1024
"""Most channels that a layer takes, which bounds the memory of coding a tile."""

MAX_COMPONENTS = 32
MAX_MEMORY = 1 << 30
"""Most bytes of weights in whole panels, in which many thin layers would take far more."""

_TEST = (5, 7)
"""Sides of the self-test's inputs: all kinds of borders, and no whole panels."""


def _names(model: Idf) -> Iterator[tuple[str, DenseNet]]:
    """Yield each network and its name, in the order of `Idf.nets`."""
    for i, level in enumerate(model.levels):
        for d, net in enumerate(level.couplings):
            yield f"levels.{i}.couplings.{d}", net
    for i, net in enumerate(model.conditions):
        yield f"conditions.{i}", net


def to_tensors(model: Idf) -> Tensors:
    """Return the tensors of a model without its self-test."""
    tensors: Tensors = {"constants": model.constants, **prior_tensors(model.prior)}
    for i, level in enumerate(model.levels):
        tensors[f"levels.{i}.permutations"] = level.permutations
    for name, net in _names(model):
        layers = {"last": net.last}
        for i, (narrow, wide) in enumerate(zip(net.narrow, net.wide, strict=True)):
            layers |= {f"narrow.{i}": narrow, f"wide.{i}": wide}
        for layer, conv in layers.items():
            tensors[f"{name}.{layer}.weight"] = conv.weight.reshape(-1, conv.outputs)
            tensors[f"{name}.{layer}.bias"] = conv.bias
    return tensors


def facts(model: Idf) -> dict[str, int]:
    """Return what a decoder needs to know beside the tensors."""
    return {
        "channels": model.channels,
        "couplings": len(model.levels[0].couplings),
        "layers": len(model.nets[0].narrow) if model.nets else 1,
        "levels": len(model.levels),
    }


def self_test(model: Idf) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Return extreme values, and what plain integers give for them; see `measured_sums`."""
    rng = np.random.default_rng(0)
    most = max((net.inputs for net in model.nets), default=1)
    inputs = rng.choice([-128, 127], (*_TEST, most))
    inputs[-2:] = rng.integers(-128, 128, inputs[-2:].shape)
    found = [net.plain_sums(inputs[..., : net.inputs].astype(np.int32)) for net in model.nets]
    return inputs.astype(np.int16), _folded(found)


def measured_sums(model: Idf, tensors: Tensors) -> npt.NDArray[np.int32]:
    """Return what this machine gives for a self-test's inputs, int16 (height, width, channels).

    Each network takes the first channels; its sums are added over all places, modulo 2**32.
    """
    inputs = tensor(tensors, "test.inputs", np.int16, 3)
    most = max((net.inputs for net in model.nets), default=1)
    if inputs.shape != (*_TEST, most) or inputs.min() < -128 or inputs.max() > 127:
        raise ModelError(f"self-test of shape {inputs.shape}, or of values beyond 8 bits")
    values = inputs.astype(np.int32)
    return _folded([net.sums(values[..., : net.inputs]).astype(np.int64) for net in model.nets])


def _folded(found: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int32]:
    totals = np.concatenate([np.zeros(1, np.int64), *(sums.sum((0, 1)) for sums in found)])
    return (totals & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def _conv(tensors: Tensors, name: str, taps: int) -> Conv:
    weight = tensor(tensors, f"{name}.weight", np.int16, 2)
    bias = tensor(tensors, f"{name}.bias", np.int32, 1)
    rows, outputs = weight.shape
    if rows % taps or not 0 < rows <= MAX_WIDTH * taps:
        raise ModelError(f"{name}: {rows} rows, 1 to {MAX_WIDTH} times {taps} expected")
    try:
        return Conv(weight.reshape(taps, rows // taps, outputs), bias)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None


def _net(tensors: Tensors, name: str, layers: int) -> DenseNet:
    narrow = tuple(_conv(tensors, f"{name}.narrow.{i}", 1) for i in range(layers))
    wide = tuple(_conv(tensors, f"{name}.wide.{i}", 9) for i in range(layers))
    last = _conv(tensors, f"{name}.last", 9)
    try:
        return DenseNet(narrow, wide, last)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None


def from_tensors(tensors: Tensors, known: Facts) -> Idf:
    """Return the model in tensors; raises ModelError where anything is not as it should be."""
    channels, levels = fact(known, "channels", 1, 3), fact(known, "levels", 1, MAX_LEVELS)
    couplings = fact(known, "couplings", 0, MAX_COUPLINGS)
    layers = fact(known, "layers", 1, MAX_LAYERS)
    constants = tensor(tensors, "constants", np.int32, 2)
    if constants.shape[1] > 3 * MAX_COMPONENTS:
        raise ModelError(f"mixtures of more than {MAX_COMPONENTS} logistics")
    flow = []
    for i in range(levels):
        name = f"levels.{i}"
        nets = tuple(_net(tensors, f"{name}.couplings.{d}", layers) for d in range(couplings))
        flow.append(Level(tensor(tensors, f"{name}.permutations", np.int16, 2), nets))
    conditions = tuple(_net(tensors, f"conditions.{i}", layers) for i in range(levels - 1))
    model = Idf(tuple(flow), conditions, constants, prior(tensors))
    if model.channels != channels:
        raise ModelError(f"{model.channels} channels, {channels} are named")
    if model.operations > MAX_OPERATIONS:
        raise ModelError(f"{model.operations} products a pixel, the limit is {MAX_OPERATIONS}")
    memory = sum(layer.memory for net in model.nets for layer in net.layers)
    if memory > MAX_MEMORY:
        raise ModelError(f"weights take {memory} bytes of memory, the limit is {MAX_MEMORY}")
    return model
