from __future__ import annotations

import numpy as np
import pytest
from conftest import picture
from doubles import ALL, compare, double, fail, flip, images, keep, stop
from PIL import Image

from idfzip.bench import memory, run, table
from idfzip.bench.codecs import Missing
from idfzip.bench.sample import Sample
from idfzip.errors import BenchError


def only(result, name):
    return next(row for row in table.rows(result) if row.codec == name)


def pad(one):
    """Return 960 bytes for an image in colour, 995 for a grey one."""
    return keep(one).ljust(960 if one.layout == "RGB" else 995)


def pad_less(one):
    return pad(one)[:-50]


def test_bits_by_hand(tmp_path):
    """Two images, one of 5 x 4 RGB and one of 10 x 3 grey: 60 + 30 subpixels."""
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(picture("noise", 5, 4, 3)).save(folder / "a.png")
    Image.fromarray(picture("noise", 10, 3, 1)[..., 0]).save(folder / "b.png")
    result = compare([folder], [double("png", pad), double("other", pad_less)])
    row = only(result, "png")
    assert row.bpd == round(8 * (960 + 995) / 90, 4)
    assert row.ratio == round(90 / 1955, 3)
    assert row.saving_vs_png == 0.0
    assert row.images == 2
    assert only(result, "other").saving_vs_png == round(100 * (1 - 1855 / 1955), 2)
    assert only(result, "other").saving_vs_best_classical == 0.0
    assert row.saving_vs_best_classical == round(100 * (1 - 1955 / 1855), 2)


def test_a_flipped_pixel_is_a_failure_and_no_number(tmp_path):
    folder = images(tmp_path / "images")
    result = compare([folder], [double("png"), double("broken", decode=flip)], repeat=2)
    row = only(result, "broken")
    figures = [getattr(row, name) for name in table.FIELDS[1:8]]
    assert figures == [None] * 7
    assert (row.images, row.failures) == (3, 3)
    assert "1 wrong pixels, the first in row 23, column 0" in result.failures["broken"][0]
    assert only(result, "png").failures == 0
    assert only(result, "png").bpd is not None
    assert table.best_classical(result) == "png"


def test_a_codec_that_raises_fails_in_one_line(tmp_path):
    result = compare([images(tmp_path / "images")], [double(), double("raising", encode=fail)])
    assert result.failures["raising"][0].endswith("0.png: ValueError: no luck")


@pytest.mark.parametrize(
    "wrong", [np.zeros((24, 20, 1), np.uint8), np.zeros((24, 20, 3), np.uint16)]
)
def test_other_shapes_and_types_are_no_match(wrong):
    assert "gave" in run.difference(wrong, np.zeros((24, 20, 3), np.uint8))


def test_unreadable_images_are_left_out_of_every_sum(tmp_path):
    folder = images(tmp_path / "images")
    codecs = [double("png"), double("other")]
    whole = table.to_csv(compare([folder], codecs)).splitlines()
    (folder / "torn.png").write_bytes((folder / "0.png").read_bytes()[:-20])
    result = compare([folder], codecs)
    assert [left.path.name for left in result.left] == ["torn.png"]
    again = table.to_csv(result).splitlines()
    assert [line.split(",")[:5] for line in again] == [line.split(",")[:5] for line in whole]
    assert {row.images for row in table.rows(result)} == {3}


def test_what_one_codec_cannot_hold_is_left_out_for_all(tmp_path):
    folder = images(tmp_path / "images")
    Image.fromarray(picture("smooth", 20, 20, 4)).save(folder / "alpha.png")
    Image.fromarray(picture("smooth", 20, 20, 1)[..., 0]).save(folder / "grey.png")
    codecs = [double("png"), double("colour", kinds={"RGB", "RGBA"}), double("deep", kinds={"x"})]
    result = compare([folder], codecs)
    assert {row.images for row in table.rows(result)} == {4}
    assert [row.codec for row in table.rows(result)] == ["png", "colour"]
    assert "deep does not hold images of kind RGB, RGBA, grey: not compared" in result.unheld
    assert "1 of kind grey left out for all, not held by colour as used here" in result.unheld


def test_where_nothing_can_be_compared(tmp_path):
    folder = images(tmp_path / "images")
    found = run.survey([folder])
    with pytest.raises(BenchError, match="no image that all codecs can hold"):
        run.plan(found, [double(kinds={"grey"})])
    with pytest.raises(BenchError, match="no codec is installed: qoi: pip install it"):
        run.plan(found, [Missing("qoi", "pip install it")])
    (folder / "2.png").write_bytes(b"")
    with pytest.raises(BenchError, match=r"no image to compare on \(first of 1 left out: .*2.png"):
        run.plan(run.survey([folder / "2.png"]), [double()])


def test_an_interrupt_keeps_what_is_done(tmp_path):
    folder = images(tmp_path / "images", 5)
    result = compare([folder], [double("png"), double("stopping", encode=stop)], repeat=3)
    assert result.interrupted
    assert [name[-5:] for name in result.images] == ["0.png", "1.png"]
    for row in table.rows(result):
        assert (row.images, row.failures) == (2, 0)
        assert row.bpd is not None
        assert row.encode_mps is not None


def test_times_are_of_as_many_passes_as_asked_and_take_turns(tmp_path):
    turns = []

    def noting(name):
        def encode(one):
            turns.append((name, one.name[-5:]))
            return keep(one)

        return encode

    folder = images(tmp_path / "images", 2)
    found = run.survey([folder])
    result = run.plan(found, [double(name, noting(name)) for name in "ab"])
    pixels = []
    result.peaks = {}
    run._warm_up(result.codecs, run.held(result, found), 0)
    turns.clear()
    for first in (True, False):
        run._pass(result, run.held(result, found), 0, first, pixels.append)
    once = [("a", "0.png"), ("b", "0.png"), ("a", "1.png"), ("b", "1.png")]
    assert turns == 2 * once
    assert sum(pixels) == 2 * 2 * 2 * 24 * 20
    assert len(result.passes) == 2
    assert [len(values) for values in table.speeds(result, "a")] == [2, 2]


def test_mosaics_are_many_images(tmp_path):
    Image.fromarray(picture("noise", 20, 30, 3)).save(tmp_path / "a.png")
    result = compare([tmp_path], [double()], tile=10)
    assert len(result.images) == 6
    assert {image.shape for image in result.images.values()} == {(10, 10, 3)}


def test_a_file_that_changes_is_noticed(tmp_path):
    folder = images(tmp_path / "images", 1)
    found = run.survey([folder])
    result = run.plan(found, [double()])
    (folder / "0.png").write_bytes(b"")
    with pytest.raises(BenchError, match="changed during the comparison"):
        run.run(result, found)


def grab(one):
    held = np.ones(20_000_000 if one.count > 256 else 1, np.uint8)
    return keep(one) + bytes(held[:0])


def test_memory_is_the_growth_of_a_fresh_process():
    one = Sample("a", picture("noise", 40, 40, 3))
    found = memory.peak(double(encode=grab, kinds=ALL), one)
    if not memory._CLEAR.exists():
        assert found is None
    else:
        assert 19 < found < 40
        assert memory.peak(double(encode=fail), one) is None
