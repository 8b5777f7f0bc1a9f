from __future__ import annotations

import io

import numpy as np
import pytest
from conftest import picture
from PIL import Image

import idfzip
from idfzip.container import archive, idfz, tiling
from idfzip.container.effort import Effort
from idfzip.container.region import Region, cropped, whole
from idfzip.errors import RegionError, TileError, UnsupportedImage
from idfzip.images import convert, png, pnm, reader, tiff, writer
from idfzip.images.picture import Kind, Layout, Metadata, Picture

REGIONS = [(0, 0, 50, 47), (0, 0, 1, 1), (49, 46, 1, 1), (14, 9, 2, 2), (3, 12, 40, 20)]


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiling, "TILE_ROWS", 10)
    monkeypatch.setattr(tiling, "TILE_COLUMNS", 15)


def cut(pixels, region):
    x, y, w, h = region
    return pixels[y : y + h, x : x + w]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_region_is_what_cutting_gives(models, small_tiles, channels, region):
    found = Picture(picture("smooth", 47, 50, channels))
    model = models[1 if channels < 3 else 3]
    data = idfz.compress(found, model, Effort())
    for effort in (Effort(), Effort(2, 3)):
        back, failed = idfz.decompress(idfz.parse(data), model, effort, part=Region(*region))
        np.testing.assert_array_equal(back.pixels, cut(found.pixels, region))
        assert failed == []


@pytest.mark.parametrize(
    ("kind", "values"), [(Kind(Layout.GREY, 16), 5000), (Kind(Layout.GREY, 1), 2)]
)
def test_of_other_kinds(small_tiles, monkeypatch, kind, values):
    monkeypatch.setattr(tiling, "BILEVEL", (10, 15))
    rng = np.random.default_rng(0)
    dtype = np.uint16 if kind.depth == 16 else np.uint8
    pixels = rng.integers(0, values, (47, 50, 1)).astype(dtype)
    found = Picture(pixels, "PNG", Metadata(), kind.layout, kind.depth)
    data = idfz.compress(found, None, Effort())
    back, _ = idfz.decompress(idfz.parse(data), None, Effort(), part=Region(13, 8, 20, 30))
    np.testing.assert_array_equal(back.pixels, pixels[8:38, 13:33])


def test_tiles_outside_are_not_decoded(models, small_tiles):
    found = Picture(picture("smooth", 47, 50, 3))
    data = bytearray(idfz.compress(found, models[3], Effort()))
    file = idfz.parse(bytes(data))
    meant = Region(0, 0, 15, 12)
    seen = []
    idfz.decompress(file, models[3], Effort(), seen.append, part=meant)
    boxes = [box for box in file.head.boxes if meant.meets(box)]
    assert 0 < len(boxes) < len(file.head.boxes)
    assert sum(seen) == sum(h * w for _, _, h, w in boxes)
    data[-5] ^= 1  # in the last tile
    broken = idfz.parse(bytes(data))
    back, _ = idfz.decompress(broken, models[3], Effort(), part=meant)
    np.testing.assert_array_equal(back.pixels, found.pixels[:12, :15])
    with pytest.raises(TileError, match="1 of 20 tiles"):
        idfz.decompress(broken, models[3], Effort(), part=Region(40, 40, 10, 7))
    back, failed = idfz.decompress(
        broken, models[3], Effort(), salvage=True, part=Region(40, 40, 10, 7)
    )
    assert failed == [19]
    assert (back.pixels == 128).all()


@pytest.mark.parametrize(
    "region", [(50, 0, 1, 1), (0, 47, 1, 1), (40, 0, 11, 1), (0, 40, 1, 8), (-1, 0, 2, 2), (0,) * 4]
)
def test_outside_is_an_error(models, region):
    found = Picture(picture("smooth", 47, 50, 3))
    data = idfz.compress(found, models[3], Effort())
    with pytest.raises(RegionError, match="is not inside the image of 50x47"):
        idfz.decompress(idfz.parse(data), models[3], Effort(), part=Region(*region))


def test_packed_and_stored_files_are_cut():
    found = Picture(picture("noise", 20, 30, 1))
    part = Region(4, 5, 6, 7)
    out = io.BytesIO()
    Image.fromarray(found.pixels[..., 0]).save(out, "PNG")
    for data in (
        idfz.pack(found, "png", out.getvalue()),
        idfz.store(out.getvalue(), "PNG"),
        idfz.store(writer.write(convert.converted(found, "TIFF")), "TIFF"),
    ):
        back, _ = idfz.decompress(idfz.parse(data), None, Effort(), part=part)
        np.testing.assert_array_equal(back.pixels, found.pixels[5:12, 4:10])
        with pytest.raises(RegionError):
            idfz.decompress(idfz.parse(data), None, Effort(), part=Region(4, 5, 60, 7))
    Image.fromarray(found.pixels[..., 0]).save(out := io.BytesIO(), "JPEG")
    with pytest.raises(UnsupportedImage, match=r"a stored JPEG .* as a whole"):
        idfz.decompress(idfz.parse(idfz.store(out.getvalue(), "JPEG")), None, Effort(), part=part)


def test_metadata_that_hold_of_a_region_stay():
    text, offset = png.chunk(b"tEXt", b"Title\0it"), png.chunk(b"oFFs", bytes(9))
    pixels = picture("smooth", 20, 30, 1)
    found = cropped(Picture(pixels, "PNG", Metadata(chunks=text + offset)), Region(1, 2, 3, 4))
    assert found.metadata == Metadata(chunks=text)
    place = tiff.numbers("<", tiff.LONG, 7)
    tags = tiff.of_tags("<", {270: tiff.Value(2, b"about\0"), 286: place})
    found = cropped(Picture(pixels, "TIFF", Metadata(tags=tags)), Region(1, 2, 3, 4))
    assert tiff.parse(found.metadata.tags).directory == {270: tiff.Value(2, b"about\0")}
    read = reader.read(b"P5 #mine\n30 20\n200\n" + (pixels // 2).tobytes(), "it")
    found = cropped(read, Region(1, 2, 3, 4))
    assert writer.write(found) == b"P5 #mine\n3 4\n200\n" + (pixels // 2)[2:6, 1:4].tobytes()
    assert pnm.resized(b"", 3, 4) == b""


def test_members_of_archives(flagships):
    images = {name: picture("smooth", h, w, 3) for name, h, w in (("a", 20, 30), ("b", 9, 9))}
    box = archive.Archive(io.BytesIO(idfzip.pack(images, model="cifar10")))
    assert box.index.blocks
    found = {
        member.entry.name: member.found
        for member in archive.decoded(box, None, Effort(), part=Region(10, 3, 4, 5))
    }
    np.testing.assert_array_equal(found["a"].pixels, images["a"][3:8, 10:14])
    assert isinstance(found["b"], RegionError)


def test_from_python():
    pixels = picture("smooth", 20, 30, 3)
    data = idfzip.compress(pixels, model="photo-fast")
    back = idfzip.decompress(data, region=(3, 4, 10, 6), as_array=True)
    np.testing.assert_array_equal(back, pixels[4:10, 3:13])
    assert idfzip.decompress(data, region=(3, 4, 10, 6)).size == (10, 6)


def test_all_of_an_image_is_a_region():
    assert whole(4, 9) == Region(0, 0, 9, 4)
    assert whole(4, 9).common((2, 3, 2, 6)) == (
        (slice(2, 4), slice(3, 9)),
        (slice(0, 2), slice(0, 6)),
    )
