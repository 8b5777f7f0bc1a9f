"""Archives: made, listed, extracted, tested, damaged."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from conftest import make_flagship, picture
from PIL import Image
from test_commands import folder, opened, pixels_of, run, save

from idfzip.codecs.flagship import Learning
from idfzip.container import block, idfz, index, model_file, sections
from idfzip.container import models as registry
from idfzip.container.archive import Archive, Writer
from idfzip.container.index import Entry, Index
from idfzip.container.sections import Section

__all__ = ["folder"]


def small(path, seed, channels=3, size=(9, 11), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = picture("smooth", *size, channels, seed)
    Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(path, **options)


@pytest.fixture
def images(folder, monkeypatch):
    """Small images in two blocks of colour and one of grey, and some that are no small ones."""
    monkeypatch.setattr(block, "PIXELS", 900)
    top = folder / "set"
    for i in range(12):
        small(top / "rgb" / f"{i:02}.png", i, size=(9 + i % 3, 11))
    for i in range(3):
        small(top / "grey" / f"{i}.tif", i, 1)
    small(top / "dpi.png", 20, dpi=(300, 300))
    save(top / "noise.png", content="noise")
    small(top / "large.png", 0, size=(300, 40))
    opened(top / "dpi.png").save(top / "a.jpg")
    (top / "notes.txt").write_text("no image")
    return top


def files_below(top):
    return {str(p.relative_to(top)): p for p in sorted(top.rglob("*")) if p.is_file()}


def assert_same(top, back, names=None):
    found, expected = files_below(back), files_below(top)
    expected.pop("notes.txt")
    assert set(found) == set(names or expected)
    for name, path in found.items():
        np.testing.assert_array_equal(pixels_of(path), pixels_of(expected[name]))
        assert opened(path).format == opened(expected[name]).format


def test_a_folder_becomes_one_file_and_comes_back(images, folder):
    os.utime(images / "rgb" / "03.png", (1_000_000_000, 1_000_000_000))
    (images / "rgb" / "03.png").chmod(0o604)
    result = run("compress", "-r", images, "-o", "set.idfz")
    assert "19 files" in result.stderr
    assert "left out: 1 files that are no images" in result.stderr
    assert (folder / "set.idfz").stat().st_size < sum(p.stat().st_size for p in images.rglob("*"))
    run("test", "set.idfz")
    run("decompress", "set.idfz", "--output-dir", "back")
    assert_same(images, folder / "back")
    assert (folder / "back/a.jpg").read_bytes() == (images / "a.jpg").read_bytes()
    assert opened(folder / "back/dpi.png").info["dpi"] == opened(images / "dpi.png").info["dpi"]
    found = (folder / "back/rgb/03.png").stat()
    assert found.st_mtime == 1_000_000_000
    assert stat.S_IMODE(found.st_mode) == 0o604


def test_threads_do_not_change_a_byte(images, folder):
    for threads in (1, 2, 5):
        run("compress", "-T", threads, "-r", images, "-o", f"{threads}.idfz")
    data = (folder / "1.idfz").read_bytes()
    assert (folder / "2.idfz").read_bytes() == data == (folder / "5.idfz").read_bytes()
    run("decompress", "-T", 3, "1.idfz", "-o", "out")
    assert_same(images, folder / "out")


def test_the_default_folder_is_named_after_the_archive(images, folder):
    images.rename(folder / "source")
    run("compress", "-r", "source", "-o", "set.idfz")
    run("decompress", "--rm", "set.idfz")
    assert_same(folder / "source", folder / "set")
    assert not (folder / "set.idfz").exists()


def test_several_files_become_an_archive(folder):
    for i in range(3):
        small(folder / f"{i}.png", i)
    run("compress", "0.png", "1.png", "2.png", "-o", "set.idfz", "--rm")
    assert not (folder / "1.png").exists()
    rows = json.loads(run("info", "--json", "set.idfz").stdout)
    assert [image["name"] for image in rows[0]["images"]] == ["0.png", "1.png", "2.png"]
    run("compress", "set.idfz", "set.idfz", "-o", "other", code=2)


def test_members_are_listed(images):
    run("compress", "-r", images, "-o", "set.idfz")
    (row,) = json.loads(run("info", "--json", "set.idfz").stdout)
    assert (row["kind"], row["members"], len(row["blocks"])) == ("archive", 19, 4)
    assert {model["name"] for model in row["models"]} == {"photo", "grey"}
    found = {image["name"]: image for image in row["images"]}
    assert found["rgb/04.png"]["width"] == 11
    assert found["rgb/04.png"]["height"] == 10
    assert found["dpi.png"]["block"] == 0
    assert found["grey/0.tif"]["mode"] == "grey"
    assert found["a.jpg"]["kind"] == "stored"
    assert "block" not in found["large.png"]
    in_blocks = sum(image["bytes"] for image in row["images"] if image.get("block") == 0)
    assert abs(in_blocks - row["blocks"][0]["bytes"]) < 12
    text = run("info", "set.idfz").stdout
    assert "archive of 19 images" in text
    assert "  rgb/04.png: lossless PNG, 11x10 RGB" in text


def test_one_member_costs_its_block_only(images, folder, monkeypatch):
    run("compress", "-r", images, "-o", "set.idfz")
    decoded = []
    real = block.decode

    def watched(row, *args, **how):
        decoded.append(row)
        return real(row, *args, **how)

    monkeypatch.setattr(block, "decode", watched)
    run("decompress", "set.idfz", "--member", "rgb/03.png", "-o", "x.png")
    np.testing.assert_array_equal(pixels_of(folder / "x.png"), pixels_of(images / "rgb/03.png"))
    assert len(decoded) == 1
    out = run("decompress", "set.idfz", "--member", "a.jpg", "-c").stdout_bytes
    assert out == (images / "a.jpg").read_bytes()
    assert len(decoded) == 1
    run("decompress", "set.idfz", "--member", "a.jpg", "--member", "large.png", "-o", "two")
    assert_same(images, folder / "two", ["a.jpg", "large.png"])
    result = run("decompress", "set.idfz", "--member", "none", "-o", "y.png", code=1)
    assert "no member none" in result.stderr
    assert "--member" in run("decompress", "set.idfz", "-c", code=1).stderr
    save(folder / "single.png")
    run("compress", "single.png")
    result = run("decompress", "single.png.idfz", "--member", "a", "-o", "z", code=1)
    assert "not an archive" in result.stderr


def test_pipes(images, folder):
    data = run("compress", "-r", images, "-c").stdout_bytes
    (folder / "set.idfz").write_bytes(data)
    run("test", "-", data=data)
    run("decompress", "-", "--output-dir", "back", data=data)
    assert_same(images, folder / "back")
    assert "--output-dir" in run("decompress", "-", data=data, code=1).stderr
    member = run("decompress", "-", "--member", "a.jpg", "-c", data=data).stdout_bytes
    assert member == (images / "a.jpg").read_bytes()


def test_models_go_in_and_are_enough(images, folder, monkeypatch):
    run("compress", "-r", images, "-o", "set.idfz", "--embed-model")
    run("compress", "-r", images, "-o", "without.idfz")
    monkeypatch.setattr(registry, "folders", lambda: [folder / "none"])
    run("decompress", "set.idfz", "--output-dir", "back")
    assert_same(images, folder / "back")
    result = run("decompress", "without.idfz", "--output-dir", "other", code=1)
    assert result.stderr.count("is not installed") == 17
    assert (folder / "other/a.jpg").is_file()
    assert (folder / "other/noise.png").is_file()


def test_a_network_that_learns_goes_on_from_image_to_image(folder):
    learning = make_flagship(3, learning=Learning(4000, 0))
    (folder / "m.idfm").write_bytes(model_file.dump(learning, "m"))
    for i in range(40):
        small(folder / "set" / f"{i}.png", i, size=(24, 24))
    run("compress", "-m", "m.idfm", "-r", "set", "-o", "set.idfz")
    with (folder / "set.idfz").open("rb") as file:
        (row,) = Archive(file).index.blocks
    assert row.rate == 4000
    run("decompress", "-m", "m.idfm", "set.idfz", "-o", "back")
    assert_same_plain(folder / "set", folder / "back")


def assert_same_plain(top, back):
    assert set(files_below(top)) == set(files_below(back))
    for name, path in files_below(back).items():
        np.testing.assert_array_equal(pixels_of(path), pixels_of(top / name))


def test_a_damaged_block_harms_its_own_members_only(images, folder):
    run("compress", "-r", images, "-o", "set.idfz")
    data = bytearray((folder / "set.idfz").read_bytes())
    with (folder / "set.idfz").open("rb") as file:
        box = Archive(file)
        start = sum(row.length for row in (*box.index.blocks, *box.index.files))
        second = box.index.blocks[1]
    at = len(data) - start + box.index.blocks[0].length + 30
    data[at] ^= 4
    (folder / "set.idfz").write_bytes(data)
    mine = {member.entry.name for member in second.members}
    result = run("decompress", "set.idfz", "--output-dir", "back", code=1)
    assert result.stderr.count("damaged") == len(mine)
    assert_same(images, folder / "back", set(files_below(images)) - mine - {"notes.txt"})
    assert result.stderr.count("set.idfz: rgb/") == len(mine)
    assert run("test", "set.idfz", code=1).stderr.count("damaged") == len(mine)


def test_an_archive_that_is_cut_gives_what_it_has(images, folder):
    run("compress", "-r", images, "-o", "set.idfz")
    data = (folder / "set.idfz").read_bytes()
    (folder / "set.idfz").write_bytes(data[:-1])
    result = run("decompress", "set.idfz", "--output-dir", "back", code=1)
    assert result.stderr.count("file is cut") == 1
    assert len(files_below(folder / "back")) == 18
    (folder / "set.idfz").write_bytes(data + b"x")
    assert "bytes follow" in run("test", "set.idfz", code=1).stderr


def test_salvage_paints_a_damaged_file_of_an_archive(folder, monkeypatch):
    small(folder / "set" / "large.png", 0, size=(600, 40))
    run("compress", "-r", "set", "-o", "set.idfz")
    data = bytearray((folder / "set.idfz").read_bytes())
    data[-20] ^= 1
    (folder / "set.idfz").write_bytes(data)
    run("decompress", "set.idfz", "-o", "out", code=1)
    assert not (folder / "out" / "large.png").exists()
    result = run("decompress", "set.idfz", "-o", "out", "--salvage", code=1)
    assert "damaged tiles" in result.stderr
    found, before = pixels_of(folder / "out/large.png"), pixels_of(folder / "set/large.png")
    assert np.array_equal(found[:200], before[:200])


EVIL = ["../evil.png", "/tmp/evil.png", "a/../../evil.png", "C:evil.png", "..\\evil.png"]


def hostile(names):
    """An archive whose members have such names."""
    writer = Writer(io.BytesIO(), io.BytesIO())
    writer.add_file(Entry("good.png"), stored(b"good"))
    out = io.BytesIO()
    for name in names:
        writer.add_file(Entry(name), stored(b"evil"))
    writer.finish(out)
    return out.getvalue()


def stored(data):
    from idfzip.container import idfz

    return idfz.store(data, "")


@pytest.mark.parametrize("name", EVIL)
def test_names_that_leave_the_folder_are_refused(folder, name):
    (folder / "set.idfz").write_bytes(hostile([name]))
    (folder / "out").mkdir()
    result = run("decompress", "set.idfz", "--output-dir", "out/in", code=1)
    assert "name is refused" in result.stderr
    assert name.strip("\\./") in result.stderr
    assert set(files_below(folder)) == {"set.idfz", "out/in/good.png"}
    assert "name is refused" in run("test", "set.idfz", code=1).stderr


def test_links_below_the_folder_are_not_followed(folder):
    (folder / "set.idfz").write_bytes(hostile(["a/b/evil.png", "link.png"]))
    (folder / "outside").mkdir()
    (folder / "out" / "a").mkdir(parents=True)
    (folder / "out" / "a" / "b").symlink_to(folder / "outside")
    (folder / "victim").write_text("victim")
    (folder / "out" / "link.png").symlink_to(folder / "victim")
    result = run("decompress", "-f", "set.idfz", "--output-dir", "out", code=1)
    assert "is a link" in result.stderr
    assert not list((folder / "outside").iterdir())
    assert (folder / "victim").read_text() == "victim"
    assert (folder / "out" / "link.png").read_bytes() == b"evil"


def test_no_member_is_written_over_another(folder):
    (folder / "set.idfz").write_bytes(hostile(["good.png"]))
    result = run("decompress", "-f", "set.idfz", "--output-dir", "out", code=1)
    assert "there twice" in result.stderr
    assert (folder / "out" / "good.png").read_bytes() == b"good"


def test_a_name_that_cannot_be_carried_is_not_put_in(folder):
    small(folder / "set" / "ok.png", 0)
    small(folder / "set" / "back\\slash.png", 0)
    small(folder / "set" / "new\nline.png", 0)
    result = run("compress", "-r", "set", "-o", "set.idfz", code=1)
    assert result.stderr.count("name is refused") == 2
    run("decompress", "set.idfz", "-o", "out")
    assert set(files_below(folder / "out")) == {"ok.png"}


def test_existing_files_are_not_overwritten_unasked(images, folder):
    run("compress", "-r", images, "-o", "set.idfz")
    assert "exists already" in run("compress", "-r", images, "-o", "set.idfz", code=1).stderr
    (folder / "back").mkdir()
    (folder / "back" / "dpi.png").write_text("mine")
    result = run("decompress", "set.idfz", "--output-dir", "back", code=1)
    assert result.stderr.count("exists already") == 1
    assert (folder / "back" / "dpi.png").read_text() == "mine"
    assert len(files_below(folder / "back")) == 19


def test_files_that_fail_are_left_out_and_said(images, folder):
    (images / "bad.png").write_bytes(b"no PNG")
    result = run("compress", "-r", images, "-o", "set.idfz", "--rm", code=1)
    assert "bad.png: not an image" in result.stderr
    assert set(files_below(images)) == {"bad.png", "notes.txt"}
    run("decompress", "set.idfz", "-o", "back")
    assert len(files_below(folder / "back")) == 19


def test_a_folder_without_images_gives_no_archive(folder):
    (folder / "set").mkdir()
    (folder / "set" / "notes.txt").write_text("no image")
    assert "no image" in run("compress", "-r", "set", "-o", "set.idfz", code=1).stderr
    assert set(files_below(folder)) == {"set/notes.txt"}


def test_a_small_file_that_a_block_would_make_larger_goes_in_alone(folder):
    for i in range(4):
        small(folder / "set" / f"{i}.png", i)
    Image.new("RGB", (200, 200)).save(folder / "set" / "flat.png")
    run("compress", "-r", "set", "-o", "set.idfz")
    (row,) = json.loads(run("info", "--json", "set.idfz").stdout)
    found = {image["name"]: image for image in row["images"]}
    assert found["flat.png"]["bytes"] <= (folder / "set/flat.png").stat().st_size + 64
    assert "block" in found["0.png"]


def test_a_huge_index_is_refused_quickly(folder):
    parts = [Section(sections.ARCHIVE, zlib.compress(bytes(index.MAX_INDEX + 1), 9))]
    (folder / "set.idfz").write_bytes(sections.write(parts, []))
    assert "over" in run("test", "set.idfz", code=1).stderr
    many = Index((), (), ())
    packed = bytearray(zlib.decompress(index.pack(many)))
    packed[-1:] = struct.pack("<5B", 255, 255, 255, 255, 15)
    parts = [Section(sections.ARCHIVE, zlib.compress(bytes(packed)))]
    (folder / "set.idfz").write_bytes(sections.write(parts, []))
    assert "do not fit" in run("test", "set.idfz", code=1).stderr


def test_an_archive_in_a_tree_of_files(images, folder):
    (folder / "tree" / "sub").mkdir(parents=True)
    run("compress", "-r", images, "-o", "tree/sub/set.idfz")
    run("compress", images / "dpi.png", "-o", "tree/one.png.idfz")
    run("test", "-r", "tree")
    run("decompress", "-r", "tree", "--output-dir", "back")
    assert_same(images, folder / "back" / "sub" / "set")
    assert (folder / "back" / "one.png").is_file()


def test_salvage_of_an_archive_with_bytes_at_its_end(images, folder):
    run("compress", "-r", images, "-o", "set.idfz")
    with (folder / "set.idfz").open("ab") as file:
        file.write(b"more")
    assert "follow the end" in run("decompress", "set.idfz", "-o", "out", code=1).stderr
    run("decompress", "--salvage", "set.idfz", "-o", "out")
    assert_same(images, folder / "out")


def test_a_damaged_block_whose_images_are_sound_is_told(images):
    """A bit that no pixel hangs on: the last word's, which only fills up."""
    run("compress", "-r", images, "-o", "set.idfz")
    with open("set.idfz", "rb") as file:
        box = Archive(file)
        rows = [replace(row, crc=row.crc ^ (i == 1)) for i, row in enumerate(box.index.blocks)]
        bodies = [box.block(i) for i in range(len(rows))]
        wholes = [(one.entry, box.file(i)) for i, one in enumerate(box.index.files)]
    writer = Writer(io.BytesIO(), io.BytesIO())
    for name in ("photo", "grey"):
        writer.place(registry.by_name(name))
    for row, body in zip(rows, bodies, strict=True):
        writer.add_block(row, body)
    for one in wholes:
        writer.add_file(*one)
    with open("other.idfz", "wb") as out:
        writer.finish(out)
    assert "ok, 19 of 19 members" in run("test", "set.idfz").stderr
    told = run("test", "other.idfz", code=1).stderr
    assert "other.idfz: block 1 is damaged (checksum), its images are not" in told
    assert "other.idfz: 19 of 19 members" in told
    run("decompress", "other.idfz", "--output-dir", "back")
    assert_same(images, images.parent / "back")


def test_too_many_images_are_refused_before_the_work(images, monkeypatch):
    monkeypatch.setattr(index, "MAX_MEMBERS", 18)
    monkeypatch.setattr(block, "encode", None)
    told = run("compress", "-r", images, "-o", "set.idfz", "--rm", code=1).stderr
    assert "set.idfz: an archive has at most 18 members, not 19: make several archives" in told
    assert len(files_below(images)) == 20


def test_images_beyond_the_usual_limit_go_in(images, monkeypatch):
    """`--max-pixels` also goes with what was packed."""
    monkeypatch.setattr(idfz.parse, "__defaults__", (20, False))
    run("compress", "-r", images, "-o", "set.idfz")
    monkeypatch.undo()
