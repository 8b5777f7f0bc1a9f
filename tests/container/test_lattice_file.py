from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy
from conftest import make_lattice

from idfzip.codecs.flagship import Learning
from idfzip.container import lattice_file, model_file
from idfzip.errors import ModelError


@pytest.fixture
def data():
    return model_file.dump(make_lattice(3, learning=Learning(400, 1)), "small")


def changed(data, tensors=None, facts=None):
    """Return a model file with some tensors replaced or removed, and some facts."""
    found = safetensors.numpy.load(data)
    for name, change in (tensors or {}).items():
        value = change(found.pop(name))
        if value is not None:
            found[name] = np.ascontiguousarray(value)
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    decoding = json.loads(metadata["decoding"]) | (facts or {})
    metadata["decoding"] = json.dumps(decoding, sort_keys=True, separators=(",", ":"))
    return safetensors.numpy.save(found, metadata)


def farthest(offsets):
    """Return offsets of which one is the least number, which has no positive counterpart."""
    offsets = offsets.copy()
    offsets[-1, 0] = -(1 << 63)
    return offsets


def test_a_model_comes_back(data):
    model = model_file.load(data, "x")
    assert model.architecture.name == "lattice"
    made, found = make_lattice(3), model.codec
    np.testing.assert_array_equal(found.design.neighbours, made.design.neighbours)
    assert found.learning == Learning(400, 1)
    for one, other in zip(made.networks, found.networks, strict=True):
        np.testing.assert_array_equal(one.trunk[1].weight, other.trunk[1].weight)
        np.testing.assert_array_equal(one.outs[2].bias, other.outs[2].bias)
    assert model_file.load(model_file.dump(found, "other"), "y").identity == model.identity


@pytest.mark.parametrize(
    ("message", "tensors", "facts"),
    [
        ("neighbours of shape", {"design.neighbours": lambda a: a[:-1]}, {}),
        ("neighbours of shape", {"design.neighbours": lambda a: a[:9]}, {}),
        ("an offset is over 4", {"design.places": lambda a: a * 3}, {}),
        ("an offset is over 4", {"design.places": lambda a: farthest(a)}, {}),
        ("an offset is over 4", {"design.neighbours": lambda a: farthest(a)}, {}),
        ("inputs", {"design.places": lambda a: a[:-3]}, {}),
        ("phases.2.heads.1.bias is missing", {"phases.2.heads.1.bias": lambda a: None}, {}),
        ("over 1023", {"phases.1.trunk.0.weight": lambda a: a + np.int16(2000)}, {}),
        ("self-test", {"phases.1.trunk.0.weight": lambda a: a + np.int16(1)}, {}),
        ("channels", {}, {"channels": 2}),
        ("learning", {}, {"learning": [1, 2]}),
        ("layers", {}, {"layers": 17}),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(data, message, tensors, facts):
    with pytest.raises(ModelError, match=message):
        model_file.load(changed(data, tensors, facts), "x")


def test_the_self_test_sees_each_network():
    model = make_lattice(1)
    tensors = dict(zip(("test.inputs", "test.sums"), lattice_file.self_test(model), strict=True))
    found = lattice_file.measured_sums(model, tensors)
    np.testing.assert_array_equal(found, tensors["test.sums"])
    assert found.shape == (64, 3 * 8)
    with pytest.raises(ModelError, match="self-test of shape"):
        lattice_file.measured_sums(model, {"test.inputs": tensors["test.inputs"][:, 1:]})
