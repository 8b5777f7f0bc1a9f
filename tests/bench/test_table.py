from __future__ import annotations

import csv
import io
import json

from doubles import compare, double, flip, images, stop

from idfzip.bench import report, table
from idfzip.bench.codecs import Missing

COLUMNS = [
    *("codec", "bpd", "ratio", "saving_vs_png", "saving_vs_best_classical"),
    *("encode_mps", "decode_mps", "peak_mb", "images", "failures"),
]


def measured(tmp_path, extra=()):
    folder = images(tmp_path / "images")
    (folder / "torn.png").write_bytes(b"")
    doubles = [
        double(name) for name in ("png", "a-codec-with-quite-a-long-name-of-its-own", *extra)
    ]
    broken = double("broken", decode=flip)
    return compare([folder], [*doubles, broken, Missing("qoi", "pip install it")], repeat=3)


def test_all_forms_have_the_same_figures(tmp_path):
    result = measured(tmp_path)
    lines = list(csv.reader(io.StringIO(table.to_csv(result))))
    assert lines[0] == COLUMNS
    found = json.loads(json.dumps(table.to_json(result)))["codecs"]
    text = report.to_text(result).splitlines()
    assert len(lines) - 1 == len(found) == 3
    for i, (row, line) in enumerate(zip(found, lines[1:], strict=True)):
        assert list(row) == lines[0]
        for value, cell in zip(row.values(), line, strict=True):
            assert (str(value) if isinstance(value, str) else value) == (
                cell if isinstance(value, str) else float(cell) if cell else None
            )
        shown = [cell for cell in text[4 + i].split()[1:] if not cell.startswith("+-")]
        wanted = [cell or "-" for cell in line[1:]]
        if row["failures"]:
            wanted[0] = "error"
        assert shown == wanted


def test_the_text_fits_and_says_all(tmp_path):
    result = measured(tmp_path, [f"codec-{i}" for i in range(9)])
    text = report.to_text(result, per_image=True)
    assert max(map(len, text.splitlines())) <= 100
    for word in ("FAILED broken: ", "torn.png: the file is empty", "not installed: qoi", "+-"):
        assert "".join(word.split()) in "".join(text.split()), word
    for name in ("without start-up, verification", "decoded and compared", "png: a double"):
        assert "".join(name.split()) in "".join(text.split()), name
    assert text.count("bpd of each image") == 2


def test_bits_of_each_image_are_in_json_if_asked(tmp_path):
    result = measured(tmp_path)
    assert "per_image" not in table.to_json(result)
    found = table.to_json(result, per_image=True)["per_image"]
    assert len(found) == 3
    size = result.sizes["png"][next(iter(found))]
    assert next(iter(found.values()))["png"] == round(8 * size / (24 * 20 * 3), 4)
    assert all("broken" not in line for line in found.values())


def test_where_every_codec_failed(tmp_path):
    result = compare([images(tmp_path / "images")], [double("png", decode=flip)])
    assert "error" in report.to_text(result, per_image=True)
    assert table.to_json(result)["best_classical"] is None


def test_an_interrupt_before_the_first_image_leaves_an_empty_table(tmp_path):
    file = images(tmp_path / "images") / "2.png"
    result = compare([file], [double("png"), double("stopping", encode=stop)])
    assert result.interrupted
    assert {row.bpd for row in table.rows(result)} == {None}
    assert {row.images for row in table.rows(result)} == {0}
    assert "Interrupted" in report.to_text(result, per_image=True)
    assert table.to_json(result, per_image=True)["per_image"] == {}
