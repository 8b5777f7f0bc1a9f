"""Folders as input, results beside the sources or mirrored."""

from __future__ import annotations

import os
import stat

import numpy as np
import pytest
from test_commands import folder, opened, pixels_of, run, save

from idfzip.images import reader

__all__ = ["folder"]


@pytest.fixture
def tree(folder):
    """Images of some kinds in folders, other files, links and a loop of them."""
    top = folder / "set"
    (top / "a" / "b").mkdir(parents=True)
    save(top / "one.png")
    save(top / "a" / "two.png", 1)
    save(top / "a" / "b" / "three.tif")
    opened(top / "one.png").save(top / "a" / "four.jpg")
    opened(top / "one.png").convert("RGBA").save(top / "a" / "no suffix", "PNG")
    (top / "notes.txt").write_text("no image")
    (top / "empty").write_bytes(b"")
    (top / "a" / "loop").symlink_to(top)
    (top / "nowhere.png").symlink_to("missing")
    (top / "link.png").symlink_to("one.png")
    return top


IMAGES = ["a/b/three.tif", "a/four.jpg", "a/no suffix", "a/two.png", "link.png", "one.png"]


def names(top):
    return sorted(str(p.relative_to(top)) for p in top.rglob("*") if p.is_file())


def test_results_lie_beside_the_sources(tree):
    result = run("compress", "-r", tree)
    for name in IMAGES:
        assert (tree / f"{name}.idfz").is_file()
    assert not (tree / "notes.txt.idfz").exists()
    assert "left out: 2 files that are no images" in result.stderr
    assert "left out: 1 links to folders" in result.stderr
    assert "left out: 1 broken links" in result.stderr
    run("test", "-r", tree)
    assert "exists already" in run("compress", "-r", tree, code=1).stderr


def test_results_mirror_the_folders_and_come_back(tree, folder):
    (tree / "a" / "b").chmod(0o750)
    os.utime(tree / "a" / "b", (1_000_000_000, 1_000_000_000))
    os.utime(tree / "one.png", (1_100_000_000, 1_100_000_000))
    run("compress", "-r", tree, "--output-dir", folder / "packed")
    assert names(folder / "packed") == sorted(f"{name}.idfz" for name in IMAGES)
    run("decompress", "-r", folder / "packed", "--output-dir", folder / "back")
    assert names(folder / "back") == sorted(IMAGES)
    for name in IMAGES:
        np.testing.assert_array_equal(pixels_of(folder / "back" / name), pixels_of(tree / name))
    assert (folder / "back" / "a" / "four.jpg").read_bytes() == (tree / "a/four.jpg").read_bytes()
    for made in ("packed", "back"):
        found = (folder / made / "a" / "b").stat()
        assert stat.S_IMODE(found.st_mode) == 0o750
        assert found.st_mtime == 1_000_000_000
    assert (folder / "back" / "one.png").stat().st_mtime == 1_100_000_000


def test_several_folders_are_told_apart_by_their_names(folder):
    for name in ("x", "y"):
        (folder / name).mkdir()
        save(folder / name / "a.png")
    run("compress", "-r", "x", "y", "--output-dir", "out")
    assert names(folder / "out") == ["x/a.png.idfz", "y/a.png.idfz"]


def test_two_results_never_go_to_one_place(folder):
    for name in ("x", "y"):
        (folder / name).mkdir()
        save(folder / name / "a.png", content="smooth" if name == "x" else "noise")
    result = run("compress", "-f", "x/a.png", "y/a.png", "--output-dir", "out", code=1)
    assert "output of another input" in result.stderr
    run("decompress", "out/a.png.idfz")
    np.testing.assert_array_equal(pixels_of(folder / "out/a.png"), pixels_of(folder / "x/a.png"))


def test_a_damaged_image_fails_and_the_others_are_done(tree):
    (tree / "a" / "bad.png").write_bytes(b"no PNG at all")
    result = run("compress", "-r", tree, code=1)
    assert "bad.png: not an image" in result.stderr
    assert (tree / "one.png.idfz").is_file()


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="needs permissions that hold")
def test_a_folder_that_cannot_be_read_is_said(tree):
    (tree / "a").chmod(0)
    try:
        assert "Permission denied" in run("compress", "-r", tree, code=1).stderr
    finally:
        (tree / "a").chmod(0o700)


def test_a_folder_needs_the_option(tree):
    assert "a directory" in run("compress", tree, code=1).stderr
    assert "a directory" in run("decompress", tree, code=1).stderr


def test_output_dir_and_output_exclude_each_other(folder):
    save(folder / "a.png")
    run("compress", "a.png", "-o", "b.idfz", "--output-dir", "c", code=2)
    run("compress", "a.png", "-c", "--output-dir", "c", code=2)


def test_what_pillow_trips_over_fails_alone(tree, monkeypatch):
    """Readers raise all kinds of things for damaged files; here one that is no OSError."""
    load = reader.opened

    def trips(image, data, *limits):
        if image.format == "TIFF":
            raise TypeError("Missing dimensions")
        return load(image, data, *limits)

    monkeypatch.setattr(reader, "opened", trips)
    told = run("compress", "-r", tree, code=1).stderr
    assert "three.tif: damaged image (Missing dimensions)" in told
    assert (tree / "one.png.idfz").is_file()
    told = run("compress", "-r", tree, "-o", "set.idfz", code=1).stderr
    assert "three.tif: damaged image (Missing dimensions)" in told
    assert "set.idfz: " in told
