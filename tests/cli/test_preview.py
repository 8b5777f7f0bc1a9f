from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import make_flagship, make_idf, make_lattice, picture
from PIL import Image
from test_commands import pixels_of, run

from idfzip.codecs.flagship import Learning
from idfzip.container import idfz, model_file, tiling
from idfzip.container import models as registry

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder, with small models, small tiles, and `x.bmp` in it."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    made = {
        "photo": make_flagship(3, learning=Learning(4000, 0)),
        "progressive": make_lattice(3, learning=Learning(4000, 0)),
        "progressive-grey": make_lattice(1),
        "flow": make_idf(3),
        "small-grey": make_flagship(1),
    }
    for name, codec in made.items():
        (shelf / f"{name}.idfm").write_bytes(model_file.dump(codec, name))
    monkeypatch.setattr(registry, "folders", lambda: [tmp_path / "none", shelf])
    monkeypatch.setattr(tiling, "TILE_ROWS", 20)
    monkeypatch.setattr(tiling, "TILE_COLUMNS", 30)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    Image.fromarray(picture("smooth", 40, 50, 3)).save("x.bmp")
    return work


KINDS = {"progressive": ["--progressive"], "raster": [], "flow": ["-m", "flow"]}


def packed(kind, source="x.bmp"):
    run("compress", *KINDS[kind], source, "-o", f"{kind}.idfz")
    return f"{kind}.idfz"


def off(path, source="x.bmp"):
    """Return the mean distance of a preview from the image."""
    return np.abs(pixels_of(path).astype(int) - pixels_of(source)).mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sample", [[], ["--sample"]])
def test_a_cut_file_shows_what_that_fraction_of_the_whole_does(folder, kind, sample):
    whole = folder / packed(kind)
    data = whole.read_bytes()
    for share in (0.3, 0.77):
        (folder / "cut.idfz").write_bytes(data[: int(share * len(data))])
        run("preview", "cut.idfz", "-f", "-o", "a.png", *sample)
        told = run("preview", whole, "--fraction", share, "-f", "-o", "b.png", *sample)
        assert np.array_equal(pixels_of("a.png"), pixels_of("b.png"))
        assert f"{int(share * len(data))} of {len(data)} bytes read" in told.output
        assert "not verified" in told.output


@pytest.mark.parametrize("kind", KINDS)
def test_more_of_a_file_shows_more(folder, kind):
    name = packed(kind)
    distances = []
    for share in (0.35, 0.6, 1):
        run("preview", name, "--fraction", share, "-f", "-o", "a.png")
        distances.append(off("a.png"))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] == 0
    told = run("preview", name)  # all that is there, beside the file
    assert "all values" in told.output
    assert off(f"{kind}.preview.png") == 0


def test_levels_read_the_coarse_part_alone(folder):
    name = packed("progressive")
    size = (folder / name).stat().st_size
    read = []
    for level in range(1, 6):
        told = run("preview", name, "--levels", level, "-f", "-o", "a.png").output
        read.append(int(told.split(": ")[1].split()[0]))
        step = 1 << (5 - level)
        tile = (slice(None, 20, step), slice(None, 25, step))
        assert np.array_equal(pixels_of("a.png")[tile], pixels_of("x.bmp")[tile])
    assert read == sorted(read)
    assert read[0] < size / 3
    assert read[-1] == size
    assert off("a.png") == 0
    assert "4 tiles, 5 levels, model progressive" in run("info", name).output


def test_a_cut_file_is_not_salvaged_but_shown(folder):
    name = packed("progressive")
    data = (folder / name).read_bytes()
    (folder / "cut.idfz").write_bytes(data[: len(data) // 2])
    told = run("decompress", "--salvage", "cut.idfz", "-o", "a.png", code=1).stderr
    assert "'idfzip preview' shows what is there" in told
    run("preview", "cut.idfz", "-o", "a.png")


def test_samples_of_the_rest_are_drawn_the_same_again(folder):
    name = packed("progressive")
    for target in ("a.png", "b.png"):
        run("preview", name, "--levels", 3, "--sample", "-o", target)
    run("preview", name, "--levels", 3, "-o", "c.png")
    assert np.array_equal(pixels_of("a.png"), pixels_of("b.png"))
    assert not np.array_equal(pixels_of("a.png"), pixels_of("c.png"))


def test_grey_images_and_raw_tiles(folder):
    noise = picture("noise", 40, 50, 1)
    noise[:20, :25] = picture("smooth", 20, 25, 1)
    Image.fromarray(noise[..., 0]).save("x.pgm")
    name = packed("progressive", "x.pgm")
    run("decompress", name, "-o", "back.png")
    assert np.array_equal(pixels_of("back.png"), noise)
    run("preview", name, "--fraction", "0.5", "-o", "half.png")
    run("preview", name, "-o", "all.png")
    assert np.array_equal(pixels_of("all.png"), noise)
    assert 0 < off("half.png", "x.pgm") < 100


def _few(content):
    """Return 16-bit samples of at most 100 values."""
    return picture(content, 40, 50, 1)[..., 0].astype(np.uint16) * 99 // 255 * 600


def test_alpha_and_deep_images_of_few_values(folder):
    alpha = picture("half", 40, 50, 1)
    mixed = np.concatenate([picture("smooth", 40, 50, 3), alpha], 2)
    for pixels in (mixed, mixed[..., 2:], _few("smooth")):
        Image.fromarray(pixels).save("x.png", compress_level=0)
        run("compress", "--progressive", "x.png", "-f", "-o", "x.idfz")
        run("decompress", "x.idfz", "-f", "-o", "back.png")
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        assert np.array_equal(pixels_of("back.png"), pixels)
        run("preview", "x.idfz", "-f", "-o", "all.png")
        assert np.array_equal(pixels_of("all.png"), pixels)
        # Raw tiles, as those of noise, are in the last level.
        run("preview", "x.idfz", "--levels", 3, "-f", "-o", "a.png")
        found, coarse = pixels_of("a.png")[:20:4, :25:4], pixels[:20:4, :25:4]
        assert found.shape == coarse.shape
        assert found.dtype == pixels.dtype
        for c in range(pixels.shape[2]):
            if not np.array_equal(pixels[..., c], alpha[..., 0]):
                assert np.array_equal(found[..., c], coarse[..., c])


def test_raster_files_of_16_bits(folder):
    shutil.copy(folder.parent / "shelf" / "small-grey.idfm", "grey.idfm")
    deep = (picture("smooth", 40, 50, 1)[..., 0].astype(np.uint16) << 8) + np.arange(50) % 256
    Image.fromarray(deep.astype(np.uint16)).save("x.png", compress_level=0)
    run("compress", "-m", "grey.idfm", "x.png", "-o", "x.idfz")
    run("preview", "x.idfz", "-m", "grey.idfm", "-o", "all.png")
    assert np.array_equal(pixels_of("all.png")[..., 0], deep)
    told = run("preview", "x.idfz", "-m", "grey.idfm", "--fraction", 0.5, "-o", "half.png")
    half = pixels_of("half.png")[..., 0]
    share = float(told.output.split("read, ")[1].split("%")[0]) / 100
    assert 0.1 < share < 0.9
    assert abs((half == deep).mean() - share) < 0.01
    assert np.abs(half.astype(int) - deep).max() < 60000


def test_kinds_that_cannot_be_progressive_or_previewed(folder):
    few = picture("saturated", 40, 50, 1)[..., 0] // 255
    palette = Image.fromarray(few, "P")
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.save("palette.png")
    Image.fromarray(picture("noise", 200, 50, 2).view(np.uint16)[..., 0]).save("deep.png")
    for name in ("palette.png", "deep.png"):
        told = run("compress", "--progressive", name, "-o", "y.idfz", code=1).output
        assert "of at most 256 values a channel can be progressive" in told
        assert not (folder / "y.idfz").exists()
    shutil.copy(DATA / "sprite.idfz", "sprite.idfz")
    shutil.copy(DATA / "packed.idfz", "packed.idfz")
    for name, why in {"sprite": "of kind palette has no", "packed": "stored as png has no"}.items():
        told = run("preview", f"{name}.idfz", code=1).output
        assert why in told
        assert told.startswith(f"idfzip: {name}.idfz: ")


def test_a_source_that_is_smaller_is_kept(folder):
    Image.fromarray(np.tile(picture("noise", 1, 50, 3), (40, 1, 1))).save("rows.png")
    told = run("compress", "--progressive", "rows.png", "-o", "rows.idfz").output
    assert "stored: the file as it is (models" in told
    assert "WebP" not in told
    assert "has no preview" in run("preview", "rows.idfz", code=1).output


def test_progressive_files_in_an_archive(folder):
    Image.fromarray(picture("smooth", 40, 50, 3)).save("y.bmp")
    run("compress", "--progressive", "x.bmp", "y.bmp", "-o", "all.idfz")
    assert "in block" not in run("info", "all.idfz").output
    run("decompress", "all.idfz", "--output-dir", "out")
    assert np.array_equal(pixels_of("out/x.bmp"), pixels_of("x.bmp"))
    told = run("preview", "all.idfz", code=1).output
    assert "archive of many images has no preview" in told


def test_a_first_tile_alone(folder):
    """Of a raster-ordered file; the rest has the mean of what is there."""
    name = packed("raster")
    run("preview", name, "--fraction", 0.4, "-o", "a.png")
    found, expected = pixels_of("a.png"), pixels_of("x.bmp")
    assert np.array_equal(found[:20, :25], expected[:20, :25])
    known = (found == expected).all(2)
    assert known[:20].mean() > 0.5
    assert len(np.unique(found[30:].reshape(-1, 3), axis=0)) == 1


def test_what_cannot_be_shown(folder):
    name = packed("progressive")
    raster = packed("raster")
    (folder / "text.idfz").write_bytes((folder / name).read_bytes()[:60])
    told = run("preview", "text.idfz", "-o", "a.png", code=1).output
    assert "cut" in told
    told = run("preview", name, "--fraction", 0.01, "-o", "a.png", code=1).output
    assert "end within the header" in told
    run("preview", name, "--fraction", 0, code=2)
    run("preview", name, "--fraction", 1.5, code=2)
    run("preview", name, "--levels", 0, code=2)
    run("preview", name, "--levels", 2, "--fraction", 0.5, code=2)
    told = run("preview", name, "--levels", 9, code=1).output
    assert "the file has levels 1 to 5" in told
    told = run("preview", raster, "--levels", 2, code=1).output
    assert "the file has no levels" in told
    (folder / "b.txt").write_bytes(b"no image")
    from idfzip.container import idfz

    (folder / "b.idfz").write_bytes(idfz.store(b"no image", ""))
    told = run("preview", "b.idfz", code=1).output
    assert "stored as it is has no preview" in told
    told = run("compress", "--progressive", "-m", "photo", "x.bmp", "-o", "y.idfz", code=1).output
    assert "has no levels" in told


def test_a_file_that_is_not_there(folder):
    assert run("preview", "none.idfz", code=1).output == (
        "idfzip: none.idfz: No such file or directory\n"
    )


@pytest.mark.parametrize("fraction", ["1e-9", "0.001"])
def test_a_part_within_the_header_is_said(folder, fraction):
    run("compress", "--progressive", "x.bmp")
    told = run("preview", "--fraction", fraction, "x.bmp.idfz", code=1).stderr
    assert "end within the header: read more" in told


def test_images_beyond_the_usual_limit_are_shown(folder, monkeypatch):
    run("compress", "--progressive", "x.bmp")
    for reads, defaults in ((idfz.begin, (9,)), (idfz.parse, (9, False))):
        monkeypatch.setattr(reads, "__defaults__", defaults)
    run("preview", "--max-pixels", 2000, "x.bmp.idfz")
    told = run("preview", "--max-pixels", 1999, "x.bmp.idfz", "-f", code=1).stderr
    assert "the limit is 1999 (--max-pixels)" in told
    assert "50x40" in run("info", "x.bmp.idfz").output


def test_a_preview_of_another_maximum_is_as_bright(folder):
    pixels = picture("smooth", 40, 50, 1) >> 4
    Path("x.pgm").write_bytes(b"P5\n50 40\n15\n" + pixels.tobytes())
    run("compress", "-m", "small-grey", "x.pgm")
    run("preview", "x.pgm.idfz")
    np.testing.assert_array_equal(pixels_of("x.pgm.preview.png"), pixels * 17)
