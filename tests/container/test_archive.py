from __future__ import annotations

import io
import zlib
from dataclasses import replace

import numpy as np
import pytest
from conftest import make_flagship, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.codecs.flagship import Learning
from idfzip.container import archive, block, idfz, index, model_file, sections
from idfzip.container import models as registry
from idfzip.container.archive import Archive, Writer
from idfzip.container.effort import Effort
from idfzip.container.index import Entry
from idfzip.container.sections import Section, number
from idfzip.errors import FormatError, IdfzipError, ModelNotFound
from idfzip.images.picture import MAX_METADATA, Metadata, Picture


@pytest.fixture(scope="module")
def learning():
    flagship = make_flagship(3, learning=Learning(4000, 0))
    return model_file.load(model_file.dump(flagship, "learning"), "test")


def pictures(count=6):
    made = [Picture(picture("smooth", 7 + i, 20 - i, 3, i)) for i in range(count)]
    made[2] = replace(made[2], format="TIFF", metadata=Metadata(icc=b"a profile", dpi=(1.5, 2.0)))
    return made


def images(found):
    return [block.Image(Entry(f"{i}.png"), picture, 1 << 20) for i, picture in enumerate(found)]


@pytest.fixture(scope="module")
def whole(learning):
    """An archive of a block and two files, and what it holds."""
    writer = Writer(io.BytesIO(), io.BytesIO())
    writer.add_block(*block.encode(images(pictures()), learning, writer.place(learning))[:2])
    alone = Picture(picture("smooth", 20, 30, 3))
    writer.add_file(Entry("alone.png"), idfz.compress(alone, learning, Effort()))
    writer.add_file(Entry("stored"), idfz.store(b"stored", ""))
    out = io.BytesIO()
    writer.finish(out)
    held = {f"{i}.png": picture for i, picture in enumerate(pictures())}
    return out.getvalue(), {**held, "alone.png": alone, "stored": idfz.Stored(b"stored", "")}


def same(found, expected):
    if isinstance(expected, idfz.Stored):
        return found == expected
    return np.array_equal(found.pixels, expected.pixels) and found.metadata == expected.metadata


def test_an_archive_comes_back(whole, learning):
    data, held = whole
    box = Archive(io.BytesIO(data))
    members = list(archive.decoded(box, learning, Effort(3)))
    assert [member.entry.name for member in members] == list(held)
    for member in members:
        assert same(member.found, held[member.entry.name])


def test_any_damage_gives_errors_or_the_same_pixels(whole, learning):
    data, held = whole

    @given(st.data())
    @settings(max_examples=150, deadline=None)
    def attack(choices):
        damaged = bytearray(data)
        kind = choices.draw(st.sampled_from(["flip", "cut", "splice", "insert"]))
        at = choices.draw(st.integers(0, len(data) - 1))
        if kind == "flip":
            damaged[at] ^= choices.draw(st.integers(1, 255))
        elif kind == "cut":
            del damaged[at:]
        elif kind == "splice":
            source = choices.draw(st.integers(0, len(data) - 1))
            damaged[at : at + 16] = data[source : source + 16]
        else:
            damaged[at:at] = choices.draw(st.binary(min_size=1, max_size=9))
        try:
            members = list(archive.decoded(Archive(io.BytesIO(damaged)), learning, Effort()))
        except IdfzipError:
            return
        for member in members:
            if not isinstance(member.found, IdfzipError):
                assert same(member.found, held[member.entry.name])

    attack()


def test_the_members_before_the_damage_are_there(learning, monkeypatch):
    monkeypatch.setattr(block, "ROWS", 8)
    row, body, _ = block.encode(images(pictures()), learning, 0)
    damaged = bytearray(body)
    damaged[-40] ^= 1
    found = block.decode(row, bytes(damaged), learning)
    assert found[0] is not None
    assert same(found[0], pictures()[0])
    assert found[-1] is None


def test_no_metadata_take_one_byte(learning):
    plain = [replace(picture, metadata=Metadata()) for picture in pictures()]
    row, body, bits = block.encode(images(plain), learning, 0)
    assert body[0] == 0
    assert row.length == len(body) < sum(bits) / 8 + 12
    assert row.crc == zlib.crc32(body)


@pytest.mark.parametrize("learns", [False, True])
def test_the_smaller_of_learning_and_not_is_taken(learning, learns):
    found = [Picture(picture("smooth", 30, 30, 3, i)) for i in range(10 if learns else 1)]
    tried = images(found if learns else [Picture(picture("noise", 9, 9, 3))])
    row, body, _ = block.encode(tried, learning, 0)
    assert row.rate == (4000 if learns else 0)
    for image, back in zip(tried, block.decode(row, body, learning), strict=True):
        assert same(back, image.picture)


def test_a_block_says_which_model_it_cannot_have(learning, models):
    row, body, _ = block.encode(images(pictures()), learning, 0)
    with pytest.raises(FormatError, match="codes 1 channels"):
        block.decode(row, body, models[1])
    with pytest.raises(FormatError, match="does not learn"):
        block.decode(replace(row, rate=1), body, models[3])


def test_damaged_metadata_are_an_error(learning):
    row, body, _ = block.encode(images(pictures()), learning, 0)
    damaged = bytearray(body)
    damaged[10] ^= 1
    with pytest.raises(FormatError, match="damaged"):
        block.decode(row, bytes(damaged), learning)
    bomb = zlib.compress(bytes(MAX_METADATA + 1), 1)
    with pytest.raises(FormatError, match="over"):
        block.decode(row, number(len(bomb)) + bomb, learning)


def test_a_missing_model_harms_its_members_only(whole, monkeypatch):
    monkeypatch.setattr(registry, "folders", lambda: [])
    found = list(archive.decoded(Archive(io.BytesIO(whole[0])), None, Effort(2)))
    assert [type(member.found) for member in found] == [ModelNotFound] * 7 + [idfz.Stored]


def test_an_unknown_section_is_refused_or_passed_over(whole):
    parts, streams = sections.read(whole[0])
    extended = sections.write([Section(b"z", b"?"), *parts], [streams])
    assert len(Archive(io.BytesIO(extended)).index.entries) == 8
    with pytest.raises(FormatError, match="not known"):
        Archive(io.BytesIO(sections.write([Section(b"Z", b"?"), *parts], [streams])))


def test_an_image_is_no_archive_and_an_archive_no_image(whole, learning):
    single = idfz.compress(pictures()[0], learning, Effort())
    assert not archive.is_archive(io.BytesIO(single))
    assert archive.is_archive(io.BytesIO(whole[0]))
    with pytest.raises(FormatError, match="not an archive"):
        Archive(io.BytesIO(single))
    with pytest.raises(FormatError, match="archive of many"):
        idfz.parse(whole[0])


def test_which_pictures_go_into_blocks(learning, idf_models):
    def fits(height, width, channels=3, model=learning, **metadata):
        pixels = np.zeros((height, width, channels), np.uint8)
        return block.fits(Picture(pixels, "PNG", Metadata(**metadata)), model)

    assert fits(32, 32)
    assert fits(256, 256)
    assert fits(1, 1024)
    assert not fits(256, 257)
    assert not fits(257, 1)
    assert not fits(1, 1025)
    assert not fits(32, 32, 1)
    assert not fits(32, 32, model=idf_models[3])
    noise = np.random.default_rng(0).bytes(block.MAX_METADATA + 100)
    assert not fits(32, 32, chunks=noise)


@given(st.lists(st.tuples(st.integers(1, 256), st.integers(1, 256)), min_size=1, max_size=40))
def test_what_an_encoder_makes_is_within_the_limits_of_a_reader(sizes):
    group = []
    for height, width in sizes:
        image = block.Image(Entry(""), Picture(np.zeros((height, width, 1), np.uint8)), 0)
        if block.takes(group, image):
            group.append(image)
    found = [image.size for image in group]
    assert not index.oversized(found, block._lockstep(found))


@pytest.mark.parametrize("blocks", [True, False])
def test_more_members_than_are_read_are_not_written(learning, monkeypatch, blocks):
    monkeypatch.setattr(index, "MAX_MEMBERS", 5)
    writer = Writer(io.BytesIO(), io.BytesIO())
    row, body, _ = block.encode(images(pictures(4)), learning, writer.place(learning))
    writer.add_block(row, body)
    writer.add_file(Entry("x"), b"")
    with pytest.raises(IdfzipError, match=r"at most 5 members, not [69]: make several archives"):
        writer.add_block(row, body) if blocks else writer.add_file(Entry("y"), b"")


def test_an_index_larger_than_is_read_is_not_written(learning, monkeypatch):
    writer = Writer(io.BytesIO(), io.BytesIO())
    for i in range(9):
        writer.add_file(Entry(f"{i}" * 200), b"")
    monkeypatch.setattr(index, "MAX_INDEX", 1000)
    with pytest.raises(IdfzipError, match="the limit is 1000: make several archives"):
        writer.finish(io.BytesIO())


def test_more_models_than_are_read_are_not_named(learning, monkeypatch):
    monkeypatch.setattr(index, "MAX_MODELS", 1)
    writer = Writer(io.BytesIO(), io.BytesIO())
    assert writer.place(learning) == writer.place(learning) == 0
    other = model_file.load(model_file.dump(make_flagship(3, 1), "other"), "test")
    with pytest.raises(IdfzipError, match="at most 1 models"):
        writer.place(other)
