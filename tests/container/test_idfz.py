from __future__ import annotations

import numpy as np
import pytest
from conftest import CONTENTS, picture

from idfzip.container import groups, header, idfz, tiling
from idfzip.container.effort import Effort
from idfzip.container.header import ImageHeader
from idfzip.container.region import Region
from idfzip.errors import FormatError, IdfzipError, ModelNotFound, TileError
from idfzip.flows import depth
from idfzip.images.picture import GREY, RGB, Kind, Layout, Metadata, Picture

RGBA = Kind(Layout.RGBA, 8)


def round_trip(found, model):
    effort = Effort()
    data = idfz.compress(found, model, effort)
    back, failed = idfz.decompress(idfz.parse(data), model, effort)
    assert failed == []
    np.testing.assert_array_equal(back.pixels, found.pixels)
    assert back.metadata == found.metadata
    assert back.format == found.format
    return data


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("content", CONTENTS)
def test_pictures_come_back(models, channels, content):
    found = Picture(picture(content, 30, 41, channels))
    data = round_trip(found, models[channels])
    assert len(data) <= found.pixels.size + 50


def test_metadata_comes_back(models):
    metadata = Metadata(
        b"chunk", b"last", b"tags", b"head", b"icc" * 999, b"exif", b"xmp", (72.0, 71.5)
    )
    round_trip(Picture(picture("smooth", 9, 9, 3), "TIFF", metadata), models[3])


def test_one_tile_costs_at_most_40_bytes_around_it(models, monkeypatch):
    pixels = picture("smooth", 256, 512, 3)
    file = idfz.parse(round_trip(Picture(pixels), models[3]))
    data = idfz.compress(Picture(pixels), models[3], Effort())
    assert len(file.head.tiles) == 1
    name = len(models[3].name) - len("photo")
    assert len(data) - len(file.streams) - name <= 40


@pytest.mark.parametrize(("threads", "lockstep"), [(1, 1), (2, 2), (4, 7), (1, 7), (3, 1)])
def test_threads_and_lockstep_do_not_change_a_byte(models, monkeypatch, threads, lockstep):
    monkeypatch.setattr(tiling, "TILE_ROWS", 10)
    monkeypatch.setattr(tiling, "TILE_COLUMNS", 15)
    found = Picture(picture("smooth", 47, 50, 3))
    one = idfz.compress(found, models[3], Effort(1, 1))
    assert idfz.compress(found, models[3], Effort(threads, lockstep)) == one
    back, _ = idfz.decompress(idfz.parse(one), models[3], Effort(threads, lockstep))
    np.testing.assert_array_equal(back.pixels, found.pixels)


def test_every_flipped_byte_is_noticed(models):
    found = Picture(picture("smooth", 8, 9, 3), "PNG", Metadata(icc=b"profile"))
    data = idfz.compress(found, models[3], Effort())
    for at in range(len(data)):
        for bit in (0x01, 0x80):
            broken = bytearray(data)
            broken[at] ^= bit
            try:
                back, _ = idfz.decompress(idfz.parse(bytes(broken)), models[3], Effort())
            except IdfzipError:
                continue
            pytest.fail(f"byte {at} was flipped unnoticed: {back}")


def test_every_cut_is_noticed(models):
    data = idfz.compress(Picture(picture("smooth", 8, 9, 3)), models[3], Effort())
    for length in range(len(data)):
        with pytest.raises(FormatError):
            idfz.decompress(idfz.parse(data[:length]), models[3], Effort())
    with pytest.raises(FormatError, match="follow the end"):
        idfz.parse(data + b"x")


def test_salvage_keeps_the_good_tiles(models, monkeypatch):
    monkeypatch.setattr(tiling, "TILE_ROWS", 10)
    found = Picture(picture("smooth", 30, 20, 3))
    data = bytearray(idfz.compress(found, models[3], Effort()))
    data[-3] ^= 1
    file = idfz.parse(bytes(data))
    with pytest.raises(TileError, match="1 of 3 tiles are damaged"):
        idfz.decompress(file, models[3], Effort())
    back, failed = idfz.decompress(file, models[3], Effort(2), salvage=True)
    assert failed == [2]
    np.testing.assert_array_equal(back.pixels[:20], found.pixels[:20])
    assert (back.pixels[20:] == 128).all()


def test_a_missing_model_is_named(models):
    data = idfz.compress(Picture(picture("smooth", 8, 9, 3)), models[3], Effort())
    with pytest.raises(ModelNotFound, match=rf"small3 \({models[3].identity[:16]}\)"):
        idfz.decompress(idfz.parse(data), models[1], Effort())


def test_a_stored_file_comes_back():
    data = idfz.store(b"anything", "GIF")
    assert len(data) == len(b"anything") + 18
    assert idfz.decompress(idfz.parse(data), None, Effort())[0] == idfz.Stored(b"anything", "GIF")


def test_sizes_are_checked_before_memory_is_taken():
    values = header.full_ladders(RGB)
    huge = ImageHeader("PNG", RGB, 1 << 29, 1 << 29, (1 << 29, 1 << 29), (), values, (), 0)
    with pytest.raises(FormatError, match="the limit is"):
        header.unpack(header.pack(huge), 0)
    tall = ImageHeader("PNG", RGB, 1 << 21, 1, (1 << 21, 1), (), values, (), 0)
    with pytest.raises(FormatError, match="the limit is 4096x1024"):
        header.unpack(header.pack(tall), 0)
    many = ImageHeader("PNG", RGB, 20000, 20000, (1, 1), (), values, (), 0)
    with pytest.raises(FormatError, match="tiles do not fit"):
        header.unpack(header.pack(many), 0)


@pytest.mark.parametrize(
    ("form", "kind"), [("BMP", GREY), ("WEBP", GREY), ("JPEG", RGB), ("", RGB), ("PPM", RGBA)]
)
def test_a_format_that_does_not_hold_the_kind_is_refused(form, kind):
    size = (4, 5)
    tiles = (header.Tile(header.RAW, 0, 0, 0, 0),) * len(groups.of(kind))
    values = tuple(depth.even(7, 7, 1) for _ in tiles)
    head = ImageHeader(form, kind, *size, size, (), values, tiles, 0)
    with pytest.raises(FormatError, match=f"in a file of format {form or 'unknown'}"):
        header.unpack(header.pack(head), 0)
    packed = header.PackedHeader(form, kind, *size, "webp", 0, 0)
    with pytest.raises(FormatError, match=f"in a file of format {form or 'unknown'}"):
        header.unpack(header.pack(packed), 0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 100_000), (100_000, 1)])
def test_extreme_shapes(models, channels, size):
    found = Picture(picture("smooth", *size, channels))
    data = round_trip(found, models[channels])
    assert len(data) < found.pixels.size
    where = (99_000, 0) if size[0] == 1 else (0, 99_000)
    part = Region(*where, *(5, 1) if size[0] == 1 else (1, 5))
    back, _ = idfz.decompress(idfz.parse(data), models[channels], Effort(), part=part)
    np.testing.assert_array_equal(back.pixels, part.of(found.pixels))


@pytest.mark.parametrize("size", [(1, 100_000), (100_000, 1)])
def test_extreme_shapes_of_two_values(size):
    pixels = (picture("smooth", *size, 1) > 128).astype(np.uint8)
    found = Picture(pixels, "PNG", Metadata(), Layout.GREY, 1)
    data = idfz.compress(found, None, Effort())
    back, _ = idfz.decompress(idfz.parse(data), None, Effort())
    np.testing.assert_array_equal(back.pixels, pixels)


def test_progress_tells_of_tiles_as_they_are_done(models, monkeypatch):
    monkeypatch.setattr(tiling, "TILE_ROWS", 10)
    found = Picture(picture("smooth", 45, 20, 3))
    coded, decoded = [], []
    data = idfz.compress(found, models[3], Effort(), coded.append)
    idfz.decompress(idfz.parse(data), models[3], Effort(), decoded.append)
    assert sum(coded) == sum(decoded) == 45 * 20
    assert min(len(coded), len(decoded)) >= 5
