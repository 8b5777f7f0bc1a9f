from __future__ import annotations

import io
import json
import os
import stat

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_flagship, make_idf, picture
from PIL import Image

from idfzip.cli import work
from idfzip.cli.main import main
from idfzip.container import model_file
from idfzip.container import models as registry


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder, with small models in place of the released ones."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for channels, name in ((3, "photo"), (1, "grey")):
        (shelf / f"{name}.idfm").write_bytes(model_file.dump(make_flagship(channels), name))
    monkeypatch.setattr(registry, "folders", lambda: [tmp_path / "none", shelf])
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def run(*arguments, code=0, data=None):
    result = CliRunner().invoke(main, [str(a) for a in arguments], input=data)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def save(path, channels=3, content="smooth", **options):
    pixels = picture(content, 40, 50, channels)
    Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(path, **options)
    return pixels


def opened(path):
    with Image.open(path) as image:
        image.load()
        return image


def tiled():
    return Image.fromarray(np.tile(picture("noise", 4, 50, 3), (10, 1, 1)))


def frames(path):
    one = Image.new("L", (9, 9))
    one.save(path, save_all=True, append_images=[one])


def pixels_of(path):
    found = np.asarray(opened(path))
    return found if found.ndim == 3 else found[..., None]


@pytest.mark.parametrize(
    ("name", "channels", "options"),
    [
        ("photo.png", 1, {}),
        ("photo.png", 3, {}),
        ("photo.tif", 1, {}),
        ("photo.tif", 3, {}),
        ("photo.ppm", 1, {}),
        ("photo.ppm", 3, {}),
        ("photo.bmp", 3, {}),
        ("photo.webp", 3, {"lossless": True}),
    ],
)
def test_a_file_comes_back_in_its_format(folder, name, options, channels):
    path = folder / name
    pixels = save(path, channels, **options)
    form = opened(path).format
    result = run("compress", "-T", 1, path)
    assert "bits per subpixel" in result.stderr
    assert not result.stdout
    path.unlink()
    run("decompress", f"{path}.idfz")
    np.testing.assert_array_equal(pixels_of(path), pixels)
    assert opened(path).format == form


def test_png_chunks_come_back(folder):
    from PIL.PngImagePlugin import PngInfo

    path = folder / "a.png"
    text = PngInfo()
    text.add_text("Title", "a title")
    save(
        path,
        dpi=(300, 300),
        pnginfo=text,
        icc_profile=b"profile",
        exif=b"Exif\0\0II*\0\x08\0\0\0\0\0",
    )
    before = opened(path).info
    run("compress", "--rm", path)
    assert not path.exists()
    run("decompress", "--rm", f"{path}.idfz")
    assert not (folder / "a.png.idfz").exists()
    assert opened(path).info == before


def test_times_and_permissions_are_kept(folder):
    path = folder / "a.png"
    save(path)
    path.chmod(0o640)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    run("compress", path)
    found = (folder / "a.png.idfz").stat()
    assert stat.S_IMODE(found.st_mode) == 0o640
    assert found.st_mtime == 1_000_000_000


def test_outputs_are_not_overwritten_unasked(folder):
    path = folder / "a.png"
    save(path)
    run("compress", path)
    before = (folder / "a.png.idfz").read_bytes()
    assert "-f overwrites" in run("compress", path, code=1).stderr
    assert "-f overwrites" in run("decompress", f"{path}.idfz", code=1).stderr
    run("compress", "-f", path)
    assert (folder / "a.png.idfz").read_bytes() == before
    run("decompress", "-f", f"{path}.idfz")


def test_pipes(folder):
    path = folder / "a.png"
    pixels = save(path)
    packed = run("compress", "-", data=path.read_bytes()).stdout_bytes
    image = run("decompress", "-", data=packed).stdout_bytes
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(image))), pixels)
    assert run("compress", "-c", path).stdout_bytes == packed
    assert not (folder / "a.png.idfz").exists()


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("a.jpg", lambda p: save(p), "JPEG files are kept"),
        ("a.gif", lambda p: save(p), "GIF files are kept"),
        ("f.tif", lambda p: Image.new("F", (9, 9)).save(p), "sample format 3"),
        ("i.tif", lambda p: Image.new("I", (9, 9)).save(p), "sample format 2"),
        ("m.tif", lambda p: frames(p), "several frames"),
        ("n.png", lambda p: tiled().save(p, optimize=True), "(models "),
    ],
)
def test_what_no_model_codes_is_stored_and_said_so(folder, name, make, reason):
    path = folder / name
    make(path)
    source = path.read_bytes()
    result = run("compress", path)
    assert "stored: " in result.stderr
    assert reason in result.stderr
    assert (folder / f"{name}.idfz").stat().st_size <= len(source) + 32
    run("decompress", "-o", folder / "back", f"{path}.idfz")
    assert (folder / "back").read_bytes() == source
    assert "stored" in run("info", f"{path}.idfz").stdout


@pytest.fixture
def imagecodecs():
    return pytest.importorskip("imagecodecs", reason="it comes with the extra idfzip[deep]")


def test_16_bit_rgb_is_not_taken_for_8_bit(folder, imagecodecs):
    pixels = picture("smooth", 20, 30, 3).astype(np.uint16) * 257 + 3
    path = folder / "deep.png"
    path.write_bytes(imagecodecs.png_encode(pixels))
    assert opened(path).mode == "RGB"
    run("compress", "--rm", path)
    assert "RGB 16-bit" in run("info", f"{path}.idfz").stdout
    run("decompress", f"{path}.idfz")
    np.testing.assert_array_equal(imagecodecs.png_decode(path.read_bytes()), pixels)


def test_16_bit_rgb_is_stored_where_no_library_reads_it(folder, imagecodecs, monkeypatch):
    from idfzip.images import reader

    (folder / "deep.png").write_bytes(imagecodecs.png_encode(np.zeros((4, 5, 3), np.uint16) + 300))
    monkeypatch.setattr(reader, "_here", lambda: False)
    assert "pip install 'idfzip[deep]'" in run("compress", "deep.png").stderr
    assert "stored" in run("info", "deep.png.idfz").stdout


def striped(path):
    """Write an image of flat stripes, which other codecs hold in less than random models."""
    pixels = np.tile(np.repeat(picture("noise", 20, 30, 3), 10, axis=1), (5, 1, 1))
    Image.fromarray(pixels).save(path, compress_level=0)
    return pixels


def test_the_representation_and_its_reason_are_told(folder):
    pixels = striped(folder / "a.png")
    told = run("compress", "a.png").stderr
    (row,) = json.loads(run("info", "--json", "a.png.idfz").stdout)
    assert row["by"] in ("webp", "png")
    assert row["sizes"]["models"] > row["sizes"][row["by"]] <= row["bytes"]
    assert f"models {row['sizes']['models']}" in told
    assert f"models {row['sizes']['models']}" in run("info", "a.png.idfz").stdout
    run("test", "a.png.idfz")
    run("decompress", "-f", "a.png.idfz")
    np.testing.assert_array_equal(pixels_of(folder / "a.png"), pixels)


def test_a_given_model_is_taken_though_others_are_smaller(folder):
    striped(folder / "a.png")
    run("compress", "-m", "photo", "a.png")
    (row,) = json.loads(run("info", "--json", "a.png.idfz").stdout)
    assert row["by"] == "models"


def test_efforts(folder):
    shelf = registry.folders()[-1]
    for name in ("photo-fast", "photo-max"):
        data = model_file.dump(make_flagship(3, seed=len(name)), name)
        (shelf / f"{name}.idfm").write_bytes(data)
    save(folder / "a.png")
    sizes = {}
    for level, named in ((1, "photo-fast"), (5, "photo"), (8, "photo-max"), (9, "photo-max")):
        told = run("compress", "-f", "-v", "--effort", level, "a.png").stderr
        assert f"{named} (" in told
        assert (told.count("photo") == 3) == (level == 9)
        sizes[level] = (folder / "a.png.idfz").stat().st_size
    assert sizes[9] <= min(sizes.values()) + 40
    run("compress", "--effort", 10, "a.png", code=2)


def test_efforts_of_grey_images(folder):
    shelf = registry.folders()[-1]
    (shelf / "grey-max.idfm").write_bytes(model_file.dump(make_flagship(1, seed=8), "grey-max"))
    save(folder / "a.png", channels=1)
    usual, thorough = "grey (", "grey-max ("
    for level, named in ((1, {usual}), (7, {usual}), (8, {thorough}), (9, {usual, thorough})):
        told = run("compress", "-f", "-v", "--effort", level, "a.png").stderr
        assert {name for name in (usual, thorough) if name in told} == named


def test_max_pixels(folder):
    save(folder / "a.png")
    assert "50x40 is over 1999 pixels" in run("compress", "--max-pixels", 1999, "a.png").stderr
    run("compress", "-f", "a.png")
    message = run("decompress", "-f", "--max-pixels", 1999, "a.png.idfz", code=1).stderr
    assert "image of 50x40 pixels: the limit is 1999 (--max-pixels)" in message
    run("decompress", "-f", "--max-pixels", 2000, "a.png.idfz")


@pytest.mark.parametrize("form", ["png", "tiff", "ppm", "bmp", "webp"])
def test_another_format(folder, form):
    pixels = save(folder / "a.png", dpi=(300, 300), icc_profile=b"profile")
    run("compress", "--rm", "a.png")
    run("decompress", "--format", form, "a.png.idfz")
    path = folder / {"tiff": "a.tif"}.get(form, f"a.{form}")
    np.testing.assert_array_equal(pixels_of(path), pixels)
    assert opened(path).format == form.upper()
    if form in ("png", "tiff", "webp"):
        assert opened(path).info["icc_profile"] == b"profile"
    if form in ("png", "tiff"):
        assert opened(path).info["dpi"] == pytest.approx((300, 300), rel=1e-3)


def test_a_format_that_cannot_hold_the_kind_is_an_error(folder):
    Image.new("RGBA", (30, 20), (1, 2, 3, 4)).save(folder / "a.png")
    save(folder / "b.jpg")
    run("compress", "a.png", "b.jpg")
    message = run("decompress", "--format", "bmp", "a.png.idfz", code=1).stderr
    assert "BMP does not hold RGBA" in message
    assert "a stored JPEG" in run("decompress", "--format", "png", "b.jpg.idfz", code=1).stderr


def bad(folder):
    save(folder / "good.png")
    run("compress", folder / "good.png")
    packed = (folder / "good.png.idfz").read_bytes()
    (folder / "text.png").write_text("no image")
    (folder / "empty.png").write_bytes(b"")
    (folder / "dir").mkdir()
    (folder / "cut.idfz").write_bytes(packed[:100])
    flipped = bytearray(packed)
    flipped[200] ^= 4
    (folder / "flip.idfz").write_bytes(flipped)
    (folder / "text.idfz").write_text("no image")
    (folder / "noname").write_bytes(packed)


@pytest.mark.parametrize(
    ("command", "name", "message"),
    [
        ("compress", "text.png", "not an image"),
        ("compress", "empty.png", "empty"),
        ("compress", "dir", "directory"),
        ("compress", "absent.png", "No such file"),
        ("decompress", "cut.idfz", "cut"),
        ("decompress", "flip.idfz", "damaged"),
        ("decompress", "text.idfz", "not an .idfz file"),
        ("decompress", "noname", "does not end in .idfz"),
        ("test", "flip.idfz", "damaged"),
        ("test", "cut.idfz", "cut"),
        ("info", "cut.idfz", "cut"),
    ],
)
def test_bad_input_is_one_line_and_no_output(folder, command, name, message):
    bad(folder)
    before = sorted(os.listdir(folder))
    result = run(command, name, code=1)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert name in result.stderr
    assert sorted(os.listdir(folder)) == before


def test_one_bad_file_does_not_stop_the_others(folder):
    save(folder / "a.png")
    save(folder / "c.png")
    (folder / "b.png").write_text("no image")
    run("compress", "a.png", "b.png", "c.png", code=1)
    assert (folder / "a.png.idfz").exists()
    assert (folder / "c.png.idfz").exists()
    assert not (folder / "b.png.idfz").exists()


def test_salvage_writes_what_is_good_and_fails(folder, monkeypatch):
    from idfzip.container import tiling

    monkeypatch.setattr(tiling, "TILE_ROWS", 10)
    pixels = save(folder / "a.png")
    run("compress", "a.png")
    data = bytearray((folder / "a.png.idfz").read_bytes())
    data[-9] ^= 1
    (folder / "a.png.idfz").write_bytes(data)
    run("decompress", "-o", "b.png", "a.png.idfz", code=1)
    assert not (folder / "b.png").exists()
    result = run("decompress", "--salvage", "-o", "b.png", "a.png.idfz", code=1)
    assert "damaged tiles 3" in result.stderr
    np.testing.assert_array_equal(pixels_of(folder / "b.png")[:30], pixels[:30])


def test_salvage_of_a_cut_file(folder, monkeypatch):
    from idfzip.container import tiling

    monkeypatch.setattr(tiling, "TILE_ROWS", 10)
    pixels = save(folder / "a.png")
    run("compress", "a.png")
    data = (folder / "a.png.idfz").read_bytes()
    (folder / "cut.idfz").write_bytes(data[:-9])
    (folder / "long.idfz").write_bytes(data + b"more")
    assert "file is cut" in run("decompress", "-o", "b.png", "cut.idfz", code=1).stderr
    assert "follow the end" in run("decompress", "-o", "b.png", "long.idfz", code=1).stderr
    told = run("decompress", "--salvage", "-o", "b.png", "cut.idfz", code=1).stderr
    assert "damaged tiles 3" in told
    np.testing.assert_array_equal(pixels_of(folder / "b.png")[:30], pixels[:30])
    run("decompress", "--salvage", "-o", "c.png", "long.idfz")
    np.testing.assert_array_equal(pixels_of(folder / "c.png"), pixels)


def test_missing_and_hostile_models(folder, monkeypatch):
    save(folder / "a.png")
    run("compress", "a.png")
    (folder / "bad.idfm").write_bytes(b"\xff" * 100)
    assert "not a model file" in run("compress", "-f", "-m", "bad.idfm", "a.png", code=1).stderr
    assert "no such model file" in run("compress", "-m", "no.idfm", "a.png", code=1).stderr
    assert "installed: grey, photo" in run("compress", "-m", "none", "a.png", code=1).stderr
    assert (
        "codes grey, the image is RGB"
        in run("compress", "-f", "-m", "grey", "a.png", code=1).stderr
    )
    hash_ = json.loads(run("models", "--json").stdout)[1]["hash"]
    monkeypatch.setattr(registry, "folders", lambda: [folder / "none", folder])
    result = run("decompress", "-f", "a.png.idfz", code=1)
    assert f"photo ({hash_[:16]}) is not installed" in result.stderr


def test_a_model_is_taken_by_path_name_and_hash(folder):
    save(folder / "a.png")
    (folder / "mine.idfm").write_bytes(model_file.dump(make_flagship(3, seed=5), "mine"))
    run("compress", "-m", "mine.idfm", "a.png")
    run("decompress", "-f", "a.png.idfz", code=1)
    run("decompress", "-f", "-m", "mine.idfm", "a.png.idfz")
    assert "model mine" in run("info", "a.png.idfz").stdout
    row = json.loads(run("models", "--json").stdout)[1]
    run("compress", "-f", "-m", row["hash"][:12], "a.png")
    run("test", "a.png.idfz")


def test_a_bipartite_model_is_used_like_any_other(folder):
    pixels = save(folder / "a.bmp")
    (folder / "bipartite.idfm").write_bytes(model_file.dump(make_idf(3), "bipartite"))
    run("compress", "--rm", "-m", "bipartite.idfm", "a.bmp")
    (row,) = json.loads(run("info", "--json", "a.bmp.idfz").stdout)
    assert (row["models"][0]["name"], row["raw_tiles"]) == ("bipartite", 0)
    result = run("decompress", "a.bmp.idfz", code=1)
    assert "bipartite" in result.stderr
    run("decompress", "-m", "bipartite.idfm", "a.bmp.idfz")
    np.testing.assert_array_equal(pixels_of(folder / "a.bmp"), pixels)


def test_models_name_their_architecture(folder, monkeypatch):
    (folder / "bipartite.idfm").write_bytes(model_file.dump(make_idf(1), "bipartite"))
    monkeypatch.setattr(registry, "folders", lambda: [folder, folder / "none"])
    (row,) = json.loads(run("models", "--json").stdout)
    assert (row["architecture"], row["channels"]) == ("idf", 1)
    assert row["products_per_pixel"] == make_idf(1).operations


def test_info_as_json(folder):
    save(folder / "a.png")
    run("compress", "a.png")
    (row,) = json.loads(run("info", "--json", "a.png.idfz").stdout)
    assert (row["kind"], row["mode"], row["width"], row["height"]) == ("lossless", "RGB", 50, 40)
    assert row["models"][0]["name"] == "photo"
    assert row["bytes"] == (folder / "a.png.idfz").stat().st_size
    assert row["bpd"] == pytest.approx(8 * row["bytes"] / (50 * 40 * 3), abs=1e-3)


def test_usage_errors_exit_2(folder):
    save(folder / "a.png")
    run("compress", "-o", "x", "a.png", "a.png", code=2)
    run("compress", "--rm", "--no-verify", "a.png", code=2)
    run("compress", code=2)
    run("nothing", code=2)
    assert (folder / "a.png").exists()


def test_a_wrong_result_is_never_written(folder, monkeypatch):
    from idfzip.cli import compress as module

    save(folder / "a.png")
    real = module.choice.smallest

    def spoiled(found, *rest):
        pixels = found.pixels.copy()
        pixels[3, 4] ^= 1
        return real(module.Picture(pixels, found.format, found.metadata), *rest)

    monkeypatch.setattr(module.choice, "smallest", spoiled)
    result = run("compress", "--rm", "a.png", code=1)
    assert "nothing was written" in result.stderr
    assert (folder / "a.png").exists()
    assert not (folder / "a.png.idfz").exists()


def test_an_output_that_cannot_be_written_is_named(folder, monkeypatch):
    save(folder / "a.png")
    result = run("compress", "-o", "nowhere/x.idfz", "a.png", code=1)
    assert "nowhere/x.idfz: cannot be written (No such file" in result.stderr
    from idfzip.cli import files

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    before = sorted(os.listdir(folder))
    result = run("compress", "--rm", "a.png", code=1)
    assert "a.png.idfz: cannot be written (No space left on device)" in result.stderr
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError(2, "No such file or directory", "x"), "idfzip: x: No such file or dir"),
        (OSError("what no system says"), "idfzip: what no system says"),
    ],
)
def test_errors_of_the_system_are_one_line(folder, monkeypatch, error, told):
    def fail(*_):
        raise error

    monkeypatch.setattr(work, "each", fail)
    result = CliRunner().invoke(main, ["preview", "a.idfz"])
    assert result.exit_code == 1
    assert result.output.startswith(told)
    assert result.output.count("\n") == 1
