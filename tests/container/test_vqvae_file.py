from __future__ import annotations

import dataclasses
import json
import struct

import numpy as np
import pytest
import safetensors.numpy
from conftest import make_vqvae

from idfzip.container import header, model_file
from idfzip.errors import ModelError


@pytest.fixture(scope="module")
def data():
    return model_file.dump(make_vqvae(3), "painter", "a card")


def test_a_model_comes_back(data):
    model = model_file.load(data, "x")
    assert (model.name, model.card, model.codec.channels) == ("painter", "a card", 3)
    assert (model.architecture.name, model.architecture.number) == ("vqvae", header.VQVAE)
    again = model_file.load(model_file.dump(model.codec, "other"), "x")
    assert again.identity == model.identity


def test_identity_is_of_what_decodes():
    shapes = [(3, (1, 2)), (3, (2, 1)), (1, (1, 2)), (3, (3,))]
    found = {model_file.load(model_file.dump(make_vqvae(*s), "x"), "x").identity for s in shapes}
    assert len(found) == len(shapes)


def changed(data, tensors=(), **facts):
    (length,) = struct.unpack_from("<Q", data)
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    decoding = {**json.loads(metadata["decoding"]), **facts}
    metadata["decoding"] = json.dumps(decoding, sort_keys=True, separators=(",", ":"))
    found = {**safetensors.numpy.load(data), **dict(tensors)}
    return safetensors.numpy.save({k: v for k, v in found.items() if v is not None}, metadata)


PAINTER = "levels.1.lift"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (f"{PAINTER}.blocks", lambda t: t[:, :3]),
        (f"{PAINTER}.blocks", lambda t: t * 0),
        (f"{PAINTER}.blocks", lambda t: np.add(t, [[0, 2, 0, 0]])),
        (f"{PAINTER}.blocks", lambda t: np.add(t, [[40, 0, 0, 0]])),
        (f"{PAINTER}.blocks", lambda t: np.add(t, [[0, 0, 0, 7]])),
        (f"{PAINTER}.0.weight", lambda t: t[:-1]),
        (f"{PAINTER}.0.weight", lambda t: t.astype(np.int32)),
        (f"{PAINTER}.0.weight", lambda t: t * 0 + 2000),
        (f"{PAINTER}.0.bias", lambda t: t + (1 << 30)),
        (f"{PAINTER}.0.taps", lambda t: t * 0 + 4),
        (f"{PAINTER}.0.taps", lambda t: np.array([9, 9], np.int16)),
        (f"{PAINTER}.0.weight", lambda t: t + 1),
        (f"{PAINTER}.0.weight", lambda t: None),
        ("levels.1.priors.0.codebook", lambda t: t[:, :3]),
        ("levels.1.priors.0.codebook", lambda t: t * 0 + 600),
        ("levels.1.priors.0.near", lambda t: t[1:]),
        ("levels.1.priors.1.out.weight", lambda t: t[:, 1:]),
        ("tables.exp", lambda t: t[::-1]),
        ("tables.exp", lambda t: t * 0 + 5),
        ("tables.log", lambda t: t + 100),
        ("test.inputs", lambda t: t[1:]),
        ("test.inputs", lambda t: t * 2),
        ("test.sums", lambda t: t + 1),
    ],
)
def test_forged_tensors_are_refused(data, name, change):
    tensors = safetensors.numpy.load(data)
    found = change(tensors[name])
    if found is not None:
        same = found.dtype != tensors[name].dtype and name.endswith(".blocks")
        found = np.ascontiguousarray(found.astype(np.int16) if same else found)
    with pytest.raises(ModelError):
        model_file.load(changed(data, {name: found}), "forged")


@pytest.mark.parametrize(
    "facts",
    [
        {"channels": 1},
        {"channels": "3"},
        {"stages": [1]},
        {"stages": [1, 3]},
        {"stages": [0, 2]},
        {"stages": [1, 99]},
        {"stages": 3},
        {"stages": []},
    ],
)
def test_forged_facts_are_refused(data, facts):
    with pytest.raises(ModelError):
        model_file.load(changed(data, **facts), "forged")


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("vqvae_file.MAX_OPERATIONS", 100, "products a pixel"),
        ("stacks.MAX_MEMORY", 100, "bytes of memory"),
        ("stacks.MAX_SPREAD", 1, "channels a pixel"),
        ("vqvae_file.MAX_STRIDE", 4, "squares of 8"),
        ("stacks.MAX_WIDTH", 4, "more than 4 channels"),
    ],
)
def test_limits(data, monkeypatch, limit, value, message):
    monkeypatch.setattr(f"idfzip.container.{limit}", value)
    with pytest.raises(ModelError, match=message):
        model_file.load(data, "large")


def test_a_machine_that_calculates_otherwise_is_told(data):
    model = model_file.load(data, "x")
    first = model.codec.levels[0]
    conv = first.head.blocks[-1].convs[0]
    other = dataclasses.replace(conv, bias=conv.bias + np.int32(1))
    block = dataclasses.replace(first.head.blocks[-1], convs=(other,))
    level = dataclasses.replace(first, head=dataclasses.replace(first.head, blocks=(block,)))
    codec = dataclasses.replace(model.codec, levels=(level, *model.codec.levels[1:]))
    assert not dataclasses.replace(model, codec=codec).passes_self_test()
