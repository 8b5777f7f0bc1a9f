from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import safetensors.numpy
from conftest import make_idf, picture

from idfzip.container import header, idf_file, idfz, model_file, tiling
from idfzip.container.effort import Effort
from idfzip.errors import FormatError, ModelError, TileError
from idfzip.images.picture import GREY, Picture


@pytest.fixture(scope="module")
def data():
    return model_file.dump(make_idf(3), "bipartite", "a card")


def test_a_model_comes_back(data):
    model = model_file.load(data, "x")
    assert (model.name, model.card, model.codec.channels) == ("bipartite", "a card", 3)
    assert (model.architecture.name, model.architecture.number) == ("idf", header.IDF)
    again = model_file.load(model_file.dump(model.codec, "other"), "x")
    assert again.identity == model.identity
    with pytest.raises(ModelError, match="model bipartite is of architecture idf"):
        _ = model.flagship


def test_identity_is_of_what_decodes(data):
    found = {
        model_file.load(model_file.dump(make_idf(3, kind, seed=seed), "x"), "x").identity
        for kind in ("random", "reversed", "inverted")
        for seed in (0, 1)
    }
    assert len(found) == 6


def hostile():
    """Yield a name and a change to the tensors or the metadata of a model."""

    def put(name, change):
        def act(tensors, metadata):
            tensors[name] = change(tensors[name])

        return act

    def drop(name):
        def act(tensors, metadata):
            del tensors[name]

        return act

    def facts(**other):
        def act(tensors, metadata):
            metadata["decoding"] = json.dumps({**json.loads(metadata["decoding"]), **other})

        return act

    net = "levels.0.couplings.1"
    yield "missing tensor", drop(f"{net}.narrow.0.bias")
    yield "missing permutations", drop("levels.1.permutations")
    yield "missing self-test", drop("test.sums")
    yield "missing inputs", drop("test.inputs")
    yield "channels", facts(channels=1)
    yield "two channels", facts(channels=2)
    yield "levels", facts(levels=1 << 40)
    yield "more levels", facts(levels=3)
    yield "fewer levels", facts(levels=1)
    yield "text for a number", facts(levels="2")
    yield "fewer layers", facts(layers=1)
    yield "no layers", facts(layers=0)
    yield "couplings", facts(couplings=1)
    yield "version", facts(version=1)
    yield "no permutation", put("levels.0.permutations", lambda a: a * 0)
    yield "far channel", put("levels.0.permutations", lambda a: a + np.int16(1))
    yield "permutation's type", put("levels.0.permutations", lambda a: a.astype(np.int32))
    yield "weight", put(f"{net}.last.weight", lambda a: a + np.int16(2000))
    yield "bound", put(f"{net}.last.bias", lambda a: a + np.int32(1 << 30))
    yield "dimensions", put(f"{net}.last.weight", lambda a: a[None])
    yield "taps", put(f"{net}.wide.0.weight", lambda a: a[:-4])
    yield "inputs", put(f"{net}.wide.1.weight", lambda a: a[:-9])
    yield "outputs", put(f"{net}.last.bias", lambda a: a[:2])
    yield "empty layer", put(f"{net}.narrow.0.weight", lambda a: a[:0])
    yield "no outputs", put(f"{net}.narrow.0.weight", lambda a: a[:, :0])
    yield "wide layer", put(f"{net}.narrow.0.weight", lambda a: np.tile(a, (200, 1)))
    yield "mixtures", put("constants", lambda a: a[:, :5])
    yield "many logistics", put("constants", lambda a: np.tile(a, (1, 60)))
    yield "no logistics", put("constants", lambda a: a[:, :0])
    yield "far constants", put("constants", lambda a: a + np.int32(1 << 30))
    yield "table", put("tables.sigmoid", lambda a: a[::-1].copy())
    yield "self-test", put("test.sums", lambda a: a + 1)
    yield "self-test's inputs", put("test.inputs", lambda a: a + np.int16(1))
    yield "self-test's shape", put("test.inputs", lambda a: a[:2])


@pytest.mark.parametrize(("name", "change"), list(hostile()), ids=[n for n, _ in hostile()])
def test_hostile_models_are_refused(data, name, change):
    (length,) = struct.unpack_from("<Q", data)
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    tensors = {k: v.copy() for k, v in safetensors.numpy.load(data).items()}
    change(tensors, metadata)
    arrays = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
    with pytest.raises(ModelError, match=r"^bad\.idfm: "):
        model_file.load(safetensors.numpy.save(arrays, metadata), "bad.idfm")


@pytest.mark.parametrize("limit", ["MAX_OPERATIONS", "MAX_MEMORY"])
def test_models_that_would_take_too_much_are_refused(data, monkeypatch, limit):
    monkeypatch.setattr(idf_file, limit, 1000)
    with pytest.raises(ModelError, match="the limit is 1000"):
        model_file.load(data, "x")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (70, 33)])
def test_pictures_come_back(idf_models, monkeypatch, channels, size):
    monkeypatch.setattr(tiling, "TILE_ROWS", 24)
    model = idf_models[channels]
    pixels = picture("smooth", *size, channels)
    pixels[size[0] // 2 :] = picture("noise", *size, channels)[size[0] // 2 :]
    data = idfz.compress(Picture(pixels), model, Effort(2))
    file = idfz.parse(data)
    if size[0] > 24 and channels == 3:
        assert {tile.codec for tile in file.head.tiles} == {header.RAW, header.IDF}
    back, failed = idfz.decompress(file, model, Effort(2, 3))
    np.testing.assert_array_equal(back.pixels, pixels)
    assert failed == []


@pytest.fixture
def coded(idf_models):
    pixels = picture("constant", 40, 40, 3)
    pixels[0] = np.arange(120).reshape(40, 3)
    return bytearray(idfz.compress(Picture(pixels), idf_models[3], Effort())), pixels


def test_damage_is_an_error_never_other_pixels(idf_models, coded):
    data, _ = coded
    file = idfz.parse(bytes(data))
    assert file.head.tiles[0].codec == header.IDF
    start = len(data) - len(file.streams)
    for at in range(start, len(data), 5):
        broken = bytearray(data)
        broken[at] ^= 4
        with pytest.raises(TileError, match="tiles are damaged"):
            idfz.decompress(idfz.parse(bytes(broken)), idf_models[3], Effort())


def test_a_tile_of_another_codec_than_its_model_is_refused(idf_models, coded):
    import dataclasses

    file = idfz.parse(bytes(coded[0]))
    tiles = tuple(dataclasses.replace(t, codec=header.FLAGSHIP) for t in file.head.tiles)
    other = dataclasses.replace(file, head=dataclasses.replace(file.head, tiles=tiles))
    with pytest.raises(FormatError, match="not of the codec"):
        idfz.decompress(other, idf_models[3], Effort())


def test_a_tile_that_would_take_much_memory_is_refused():
    tile = header.Tile(header.IDF, 0, 0, 0, 0)
    name = header.ModelName(bytes(8), "x")
    values = header.full_ladders(GREY)
    head = header.ImageHeader("PNG", GREY, 1024, 1024, (1024, 1024), (name,), values, (tile,), 0)
    with pytest.raises(FormatError, match="codec 2 takes 262144 pixels"):
        header.unpack(header.pack(head), 0)
