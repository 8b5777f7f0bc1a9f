"""Bits-back models in files, and images and archives that they code."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
import zlib

import numpy as np
import pytest
import safetensors.numpy
from conftest import CONTENTS, make_bitswap, picture

from idfzip.container import archive, bitswap_file, block, header, idfz, index, model_file
from idfzip.container.archive import Archive, Writer
from idfzip.container.effort import Effort
from idfzip.container.index import Entry, Index
from idfzip.errors import FormatError, IdfzipError, ModelError
from idfzip.images.picture import Metadata, Picture


def changed(data, change=None, facts=None):
    """The model file with other tensors or facts."""
    (length,) = struct.unpack_from("<Q", data)
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    tensors = safetensors.numpy.load(data)
    if change:
        change(tensors)
    decoding = json.loads(metadata["decoding"]) | (facts or {})
    metadata["decoding"] = json.dumps(decoding, sort_keys=True, separators=(",", ":"))
    return safetensors.numpy.save(tensors, metadata)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mixture", [1, 3])
def test_models_come_back(channels, mixture):
    codec = make_bitswap(channels, (4, 6, 5), mixture)
    model = model_file.load(model_file.dump(codec, "m"), "test")
    assert model.architecture.name == "bitswap"
    assert model.passes_self_test()
    for name, tensor in bitswap_file.to_tensors(codec).items():
        np.testing.assert_array_equal(bitswap_file.to_tensors(model.codec)[name], tensor)
    assert model.codec.components == mixture


def too_wide(tensors):
    tensors["levels.1.prior.0.weight"] = np.zeros((9 * 6, 5000), np.int16)


@pytest.mark.parametrize(
    ("change", "facts", "message"),
    [
        (lambda t: t.pop("constants"), None, "constants is missing"),
        (lambda t: t.pop("levels.1.prior.blocks"), None, "prior.blocks is missing"),
        (lambda t: t.update(constants=t["constants"].astype(np.int64)), None, "tensor constants"),
        (lambda t: t["tables.sigmoid"].__setitem__(3, 1 << 30), None, "table sigmoid"),
        (too_wide, None, "more than 4096 channels"),
        (None, {"levels": 1}, "constants of shape"),
        (None, {"levels": 9}, "1 to 5 expected"),
        (None, {"channels": 1}, "3 channels, 1 are named"),
        (lambda t: t["test.sums"].__setitem__(0, 1), None, "self-test"),
    ],
)
def test_what_is_wrong_in_a_model_is_told(change, facts, message):
    data = model_file.dump(make_bitswap(3), "m")
    with pytest.raises(ModelError, match=message):
        model_file.load(changed(data, change, facts), "test")


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("bitswap_file.MAX_OPERATIONS", 100, "products a pixel"),
        ("bitswap_file.MAX_COMPONENTS", 1, "more than 1 logistics"),
        ("stacks.MAX_MEMORY", 100, "bytes of memory"),
        ("stacks.MAX_SPREAD", 1, "channels a pixel"),
    ],
)
def test_limits(monkeypatch, limit, value, message):
    data = model_file.dump(make_bitswap(3), "m")
    monkeypatch.setattr(f"idfzip.container.{limit}", value)
    with pytest.raises(ModelError, match=message):
        model_file.load(data, "test")


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_files_of_one_image(chain_models, channels, content):
    model = chain_models[channels]
    one = Picture(picture(content, 45, 67, channels))
    data = idfz.compress(one, model, Effort())
    file = idfz.parse(data)
    kinds = {tile.codec for tile in file.head.tiles}
    # Few values are coded raw, or with ladders of their own, which a bits-back model does not take.
    assert kinds <= {header.RAW, header.BITSWAP}
    assert (
        content not in ("noise", "smooth") or header.BITSWAP in kinds or len(data) > one.pixels.size
    )
    found, failed = idfz.decompress(file, model, Effort())
    assert not failed
    np.testing.assert_array_equal(found.pixels, one.pixels)


def archived(model, pictures):
    """An archive of one block."""
    writer = Writer(io.BytesIO(), io.BytesIO())
    images = [block.Image(Entry(f"{i}.png"), one, 1 << 20) for i, one in enumerate(pictures)]
    row, body, bits = block.encode(images, model, writer.place(model))
    writer.add_block(row, body)
    out = io.BytesIO()
    writer.finish(out)
    return out.getvalue(), row, body, bits


def pictures(channels, count=5):
    sizes = [(32, 32), (7, 40), (1, 1), (33, 20), (64, 32)]
    found = [
        Picture(picture(CONTENTS[i % len(CONTENTS)], *sizes[i % len(sizes)], channels, i))
        for i in range(count)
    ]
    found[1] = Picture(found[1].pixels, "TIFF", Metadata(dpi=(300.0, 72.0)))
    return found


@pytest.mark.parametrize("count", [1, 2, 5, 12])
@pytest.mark.parametrize("channels", [1, 3])
def test_archives_come_back(chain_models, channels, count):
    model, images = chain_models[channels], pictures(channels, max(count, 2))[:count]
    data, row, _, bits = archived(model, images)
    assert (row.codec, row.lockstep, row.rate) == (header.BITSWAP, 1, 0)
    assert sum(bits) <= 8 * len(data)
    box = Archive(io.BytesIO(data))
    found = list(archive.decoded(box, model, Effort()))
    for member, one in zip(found, images, strict=True):
        np.testing.assert_array_equal(member.found.pixels, one.pixels)
        assert member.found.metadata == one.metadata


def test_damage_to_a_block_is_caught(chain_models):
    model, images = chain_models[3], pictures(3)
    data, row, body, _ = archived(model, images)
    rng = np.random.default_rng(1)
    for place in rng.integers(len(data) - row.length + 40, len(data), 12):
        worse = bytearray(data)
        worse[place] ^= 1 << rng.integers(8)
        box = Archive(io.BytesIO(bytes(worse)))
        for member, one in zip(archive.decoded(box, model, Effort()), images, strict=True):
            if not isinstance(member.found, IdfzipError):
                np.testing.assert_array_equal(member.found.pixels, one.pixels)
    late = bytearray(body)
    late[-1] ^= 1  # what is at the end is decoded last
    found = block.decode(row, bytes(late), model)
    assert found[-1] is None
    np.testing.assert_array_equal(found[0].pixels, images[0].pixels)
    cut = Archive(io.BytesIO(data[:-8]))
    (error, *_) = [member.found for member in archive.decoded(cut, model, Effort())]
    assert isinstance(error, FormatError)


def test_a_block_of_another_codec_is_refused(chain_models, models):
    _, row, body, _ = archived(chain_models[3], pictures(3))
    with pytest.raises(FormatError, match="not of the codec"):
        block.decode(row, body, models[3])
    with pytest.raises(FormatError, match="codes 1 channels"):
        block.decode(row, body, chain_models[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lockstep": 2}, "2 in lockstep, that learns at 0"),
        ({"rate": 5}, "1 in lockstep, that learns at 5"),
        ({"codec": header.IDF}, "codec 2 of a block"),
    ],
)
def test_the_index_says_what_a_chain_cannot_be(chain_models, change, message):
    _, row, _, _ = archived(chain_models[3], pictures(3))
    packed = index.pack(Index((), (dataclasses.replace(row, **change),), ()))
    raw = bytearray(zlib.decompress(packed))
    named = bytes([1]) + b"12345678" + bytes([1]) + b"m"  # one model, its hash and its name
    with pytest.raises(FormatError, match=message):
        index.unpack(zlib.compress(named + bytes(raw[2:])))
