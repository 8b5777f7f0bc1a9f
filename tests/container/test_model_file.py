from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import safetensors.numpy
from conftest import make_flagship

from idfzip.container import model_file
from idfzip.errors import IdfzipError, ModelError


def parts(data):
    (length,) = struct.unpack_from("<Q", data)
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    return {k: v.copy() for k, v in safetensors.numpy.load(data).items()}, metadata


@pytest.fixture(scope="module")
def data():
    return model_file.dump(make_flagship(3), "small", "a card")


def test_a_model_comes_back(data):
    model = model_file.load(data, "x")
    assert (model.name, model.card, model.codec.channels) == ("small", "a card", 3)
    assert model.passes_self_test()
    again = model_file.dump(model.codec, "small", "a card")
    assert model_file.load(again, "x").identity == model.identity


def test_identity_is_of_what_decodes(data):
    identity = model_file.load(data, "x").identity
    other_card = model_file.dump(make_flagship(3), "renamed", "another card")
    assert model_file.load(other_card, "x").identity == identity
    other_weights = model_file.dump(make_flagship(3, seed=1), "small", "a card")
    assert model_file.load(other_weights, "x").identity != identity


def hostile():
    """Yield a name and a change to the tensors or the metadata of a model."""

    def put(name, change):
        def act(tensors, metadata):
            tensors[name] = change(tensors[name])

        return act

    def drop(tensors, metadata):
        del tensors["trunk.0.bias"]

    def facts(**other):
        def act(tensors, metadata):
            metadata["decoding"] = json.dumps({**json.loads(metadata["decoding"]), **other})

        return act

    def rename(tensors, metadata):
        metadata["name"] = "../evil"

    yield "missing tensor", drop
    yield "channels", facts(channels=2)
    yield "layers", facts(layers=1 << 40)
    yield "fewer layers", facts(layers=1)
    yield "architecture", facts(architecture="other")
    yield "version", facts(version=9)
    yield "rate", facts(learning=[1 << 15, 0, 1])
    yield "frozen", facts(learning=[400, 3, 1])
    yield "learning", facts(learning=[400])
    yield "learning from nothing", facts(learning=[400, 0, 0])
    yield "learning text", facts(learning=["4", True, 1])
    yield "name", rename
    yield "later pixel", put("design.neighbours", lambda a: a * 0)
    yield "far pixel", put("design.regressors", lambda a: a - 1000)
    yield "channel", put("design.regressors", lambda a: a + np.array([3, 0, 0]))
    yield "no neighbours", put("design.neighbours", lambda a: a[:0])
    yield "dtype", put("tables.exp", lambda a: a.astype(np.float64))
    yield "short table", put("tables.sigmoid", lambda a: a[:9])
    yield "unordered table", put("tables.sigmoid", lambda a: np.roll(a, 7))
    yield "falling sigmoid", put("tables.sigmoid", lambda a: a[::-1].copy())
    yield "no weight", put("tables.exp", lambda a: a * 0)
    yield "negative scale", put("tables.inverse", lambda a: -a)
    yield "ridge", put("design.ridge", lambda a: a * 0)
    yield "weight", put("trunk.0.weight", lambda a: a + np.int16(2000))
    yield "bound", put("trunk.1.bias", lambda a: a + np.int32(1 << 24))
    yield "shape", put("trunk.1.weight", lambda a: a[:, :3])
    yield "empty layer", put("outs.0.weight", lambda a: a[:, :0])
    yield "mixture", put("outs.0.bias", lambda a: a[:2])
    yield "self-test", put("test.sums", lambda a: a + 1)
    yield "no self-test", put("test.inputs", lambda a: a[:0])


@pytest.mark.parametrize(("name", "change"), list(hostile()), ids=[n for n, _ in hostile()])
def test_hostile_models_are_refused(data, name, change):
    tensors, metadata = parts(data)
    change(tensors, metadata)
    arrays = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
    with pytest.raises(ModelError, match=r"^bad\.idfm: "):
        model_file.load(safetensors.numpy.save(arrays, metadata), "bad.idfm")


def test_damaged_bytes_never_raise_anything_else(data):
    rng = np.random.default_rng(0)
    for cut in (0, 1, 7, 8, 9, 100, len(data) // 2, len(data) - 1):
        with pytest.raises(ModelError):
            model_file.load(data[:cut], "cut")
    for at in rng.integers(0, 3000, 150):
        broken = bytearray(data)
        broken[at] ^= 1 << int(rng.integers(8))
        try:
            model_file.load(bytes(broken), "broken")
        except IdfzipError:
            continue
