"""`.idfm` files: a model as safetensors, with the metadata that decoding needs.

The identity of a model is the SHA-256 of its canonical bytes: every tensor, sorted by name, as
name, dtype, shape and little-endian data, then the decoding metadata as sorted compact JSON. The
card, the name and all about training lie outside, so that they can be mended.

A model from anywhere is data, not code, and is checked before use: sizes, types, the range and
order of every table, causality of every offset, and the bounds of every layer.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from idfzip.codecs.flagship import Flagship, Learning
from idfzip.errors import ModelError
from idfzip.flows import context
from idfzip.flows.autoregressive import Design
from idfzip.flows.wavefront import is_causal
from idfzip.integer import grid
from idfzip.integer.dense import Layer
from idfzip.integer.network import INPUT_LIMIT, Network, fan_sums
from idfzip.priors import mixture

MAX_BYTES = 256 << 20
MAX_OPERATIONS = 4_000_000
MAX_INPUTS = 4096
MAX_RATE = 1 << 14
ARCHITECTURE = "flagship"
VERSION = 0

Tensors = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Model:
    """A model with its name, identity (64 hexadecimal digits), card and self-test."""

    name: str
    identity: str
    flagship: Flagship
    card: str
    test_inputs: npt.NDArray[np.int16]
    test_sums: npt.NDArray[np.int32]

    @property
    def short(self) -> bytes:
        """The first eight bytes of the identity, which files carry."""
        return bytes.fromhex(self.identity[:16])

    def passes_self_test(self) -> bool:
        """Return whether this machine gives the stored sums for the stored extreme inputs."""
        return bool(
            np.array_equal(fan_sums(self.flagship.network, self.test_inputs), self.test_sums)
        )


def to_tensors(flagship: Flagship) -> Tensors:
    """Return the tensors of a model without its self-test."""
    design, network, prior = flagship.design, flagship.network, flagship.prior
    tensors: Tensors = {
        "design.regressors": design.regressors,
        "design.neighbours": design.neighbours,
        "design.places": design.places,
        "design.ridge": design.ridge,
        "tables.log": design.tables.log,
        "tables.gain": design.tables.gain,
        **{f"tables.{name}": getattr(prior, name) for name in prior._fields},
    }
    for group in ("trunk", "heads", "outs"):
        for i, layer in enumerate(getattr(network, group)):
            tensors[f"{group}.{i}.weight"] = layer.weight
            tensors[f"{group}.{i}.bias"] = layer.bias
    return tensors


def identity(tensors: Tensors, decoding: str) -> str:
    """Return the SHA-256 of the canonical bytes, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        shape = "x".join(map(str, array.shape))
        digest.update(f"{name}\0{array.dtype.name}\0{shape}\0".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    digest.update(decoding.encode())
    return digest.hexdigest()


def _decoding(flagship: Flagship) -> str:
    facts: dict[str, object] = {
        "architecture": ARCHITECTURE,
        "channels": flagship.channels,
        "layers": len(flagship.network.trunk),
        "version": VERSION,
    }
    if flagship.learning.rate:
        facts["learning"] = list(flagship.learning)
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def self_test(network: Network) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Return extreme inputs and the sums that plain integers give for them."""
    rng = np.random.default_rng(0)
    rows = [np.full(network.inputs, v) for v in (0, INPUT_LIMIT, -INPUT_LIMIT)]
    signs = np.sign(network.trunk[0].weight.astype(np.int64)).T * INPUT_LIMIT
    rows += [signs[i % len(signs)] * (1 - 2 * (i & 1)) for i in range(29)]
    rows += list(rng.integers(-INPUT_LIMIT, INPUT_LIMIT + 1, (32, network.inputs)))
    inputs = np.stack(rows).astype(np.int16)
    values = inputs.astype(np.int64)
    for layer in network.trunk:
        sums = values @ layer.weight.astype(np.int64) + layer.bias
        whole = (sums + grid.HALF) >> grid.WEIGHT_BITS
        leaked = np.maximum(whole, whole >> grid.LEAK_SHIFT)
        values = leaked.clip(-grid.ACTIVATION_LIMIT, grid.ACTIVATION_LIMIT)
    depth = values.shape[1]
    fan = np.concatenate([head.weight[:depth] for head in network.heads], axis=1)
    return inputs, (values @ fan.astype(np.int64)).astype(np.int32)


def dump(flagship: Flagship, name: str, card: str = "") -> bytes:
    """Return the bytes of an `.idfm` file."""
    tensors = to_tensors(flagship)
    tensors["test.inputs"], tensors["test.sums"] = self_test(flagship.network)
    metadata = {"decoding": _decoding(flagship), "name": name, "card": card}
    arrays = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
    return bytes(safetensors.numpy.save(arrays, metadata))


def load(data: bytes, source: str) -> Model:
    """Return the model in the bytes of an `.idfm` file; `source` is for messages.

    Raises ModelError where anything is not as it should be.
    """
    if len(data) > MAX_BYTES:
        raise ModelError(f"{source}: {len(data)} bytes, a model has at most {MAX_BYTES}")
    try:
        (length,) = struct.unpack_from("<Q", data)
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        tensors = safetensors.numpy.load(data)
        decoding, name, card = metadata["decoding"], metadata["name"], metadata.get("card", "")
        facts = json.loads(decoding)
        kind = (facts["architecture"], facts["version"])
        channels, layers = int(facts["channels"]), int(facts["layers"])
        rate, frozen = (int(v) for v in facts.get("learning", (0, 0)))
    except (ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
        raise ModelError(f"{source}: not a model file ({type(error).__name__})") from None
    except safetensors.SafetensorError as error:
        raise ModelError(f"{source}: not a model file ({error})") from None
    if kind != (ARCHITECTURE, VERSION):
        raise ModelError(f"{source}: architecture {kind[0]} {kind[1]} is not known to this release")
    if not (name and all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)):
        raise ModelError(f"{source}: name {name!a}: letters, digits and -_. expected")
    try:
        flagship = _flagship(tensors, channels, layers, Learning(rate, frozen))
        inputs = _tensor(tensors, "test.inputs", np.int16, 2)
        sums = _tensor(tensors, "test.sums", np.int32, 2)
        if inputs.shape[1] != flagship.network.inputs or not 0 < len(inputs) <= 4096:
            raise ModelError(f"self-test of shape {inputs.shape}")
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from None
    model = Model(name, identity(tensors, decoding), flagship, card, inputs, sums)
    if not model.passes_self_test():
        raise ModelError(f"{source}: the self-test does not give the stored sums on this machine")
    return model


def _tensor(tensors: Tensors, name: str, dtype: type, dimensions: int) -> npt.NDArray[Any]:
    array = tensors.get(name)
    if array is None:
        raise ModelError(f"tensor {name} is missing")
    if array.dtype != np.dtype(dtype) or array.ndim != dimensions:
        raise ModelError(f"tensor {name}: {array.dtype} {array.shape}")
    return array


def _table(tensors: Tensors, name: str, dtype: type, size: int, low: int, high: int) -> Any:
    """Return a table whose values lie in order, rising or falling, between two bounds."""
    array = _tensor(tensors, f"tables.{name}", dtype, 1)
    steps = np.diff(array.astype(np.int64))
    ordered = bool((steps >= 0).all() or (steps <= 0).all())
    if len(array) != size or not ordered or array.min() < low or array.max() > high:
        raise ModelError(f"table {name} is out of range")
    return array


def _offsets(tensors: Tensors, name: str, channels: int, columns: int) -> Any:
    array = _tensor(tensors, f"design.{name}", np.int64, 2)
    if array.shape[1] != columns or not 0 < len(array) <= 128:
        raise ModelError(f"{name} of shape {array.shape}")
    for offset in array:
        if not is_causal(int(offset[-2]), int(offset[-1])):
            raise ModelError(f"{name}: the neighbour {offset[-2:]} is not known before the pixel")
        if columns == 3 and not 0 <= offset[0] < channels:
            raise ModelError(f"{name}: channel {offset[0]}")
    return array


def _flagship(tensors: Tensors, channels: int, layers: int, learning: Learning) -> Flagship:
    if channels not in (1, 3) or not 1 <= layers <= 16:
        raise ModelError(f"{channels} channels, {layers} layers")
    if not (0 <= learning.rate <= MAX_RATE and 0 <= learning.frozen <= layers):
        raise ModelError(f"learning with rate {learning.rate}, {learning.frozen} layers frozen")
    ridge = _tensor(tensors, "design.ridge", np.int64, 1)
    if len(ridge) != 1 or not 1 <= ridge[0] <= 1 << 20:
        raise ModelError("ridge is out of range")
    regressors = _offsets(tensors, "regressors", channels, 3)
    if len(regressors) > 48:
        raise ModelError(f"{len(regressors)} regressors, the limit is 48")
    design = Design(
        regressors,
        _offsets(tensors, "neighbours", channels, 2),
        _offsets(tensors, "places", channels, 2),
        ridge,
        context.Tables(
            _table(tensors, "log", np.int32, 64, 0, 16),
            _table(tensors, "gain", np.int64, context.SCALES, 1, 1 << 18),
        ),
    )
    prior = mixture.Tables(
        _table(tensors, "exp", np.int64, 2048, 0, 1 << 20),
        _table(tensors, "sigmoid", np.int64, 1025, 0, 1 << mixture.SIGMOID_BITS),
        _table(tensors, "inverse", np.int64, mixture.SPREADS, 1, 1 << 27),
        _table(tensors, "span", np.int64, context.SCALES, 1, 1 << 21),
    )
    if prior.exp[0] != 1 << 20 or prior.sigmoid[0] > prior.sigmoid[-1]:
        raise ModelError("table exp or sigmoid is out of range")

    def group(name: str, count: int) -> tuple[Layer, ...]:
        return tuple(
            Layer(
                _tensor(tensors, f"{name}.{i}.weight", np.int16, 2),
                _tensor(tensors, f"{name}.{i}.bias", np.int32, 1),
            )
            for i in range(count)
        )

    parts = [group("trunk", layers), group("heads", channels), group("outs", channels)]
    if any(
        layer.weight.size == 0 or max(layer.weight.shape) > MAX_INPUTS for p in parts for layer in p
    ):
        raise ModelError("a layer is empty or too wide")
    network = Network(*parts)
    expected = context.width(len(design.neighbours), len(design.places), channels)
    if network.inputs != expected:
        raise ModelError(f"{network.inputs} inputs, the design gives {expected}")
    outs = {out.weight.shape for out in network.outs}
    if len(outs) != 1 or network.components * 3 != next(iter(outs))[1] or network.components > 32:
        raise ModelError("the heads' outputs are no mixtures of one size")
    if network.operations > MAX_OPERATIONS:
        raise ModelError(f"{network.operations} products a pixel, the limit is {MAX_OPERATIONS}")
    return Flagship(design, network, prior, learning)
