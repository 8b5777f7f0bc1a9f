"""The script that writes the README's tables, on small images and models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import reproduce
from click.testing import CliRunner
from conftest import picture
from doubles import double, flip, images, shelf
from PIL import Image

from idfzip.bench import codecs

pytest.importorskip("matplotlib", reason="it comes with the extra idfzip[bench]")

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of three images, a mosaic, a README; three codecs and one that is broken."""
    monkeypatch.setenv("IDFZIP_MODELS", str(shelf(tmp_path / "shelf")))
    monkeypatch.chdir(tmp_path)
    listed = codecs.listed
    few = [c for c in listed(codecs.How(1)) if c.name in ("idfzip", "png", "jpeg2000")]
    monkeypatch.setattr(codecs, "listed", lambda how: [*few, double("bad", decode=flip)])
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    Image.fromarray(picture("smooth", 16, 24, 3)).save(tmp_path / "mosaic.png")
    return images(tmp_path / "kodak", height=32, width=40)


def call(*arguments, code=0):
    arguments = [*map(str, arguments), "--repeat", "2"]
    result = CliRunner().invoke(reproduce.main, arguments)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def lines(marker):
    text = Path("README.md").read_text()
    return text.split(f"<!-- {marker} -->")[1].split(f"<!-- end of {marker} -->")[0].splitlines()


def test_tables_and_figures_set_by_set(folder):
    call("kodak=kodak")
    call("cifar10=mosaic.png@8", "--mosaic", "kodak", "--megapixels", "0.006")
    data = json.loads(Path("docs/results.json").read_text())
    assert list(data["sets"]) == ["kodak", "cifar10"]
    by_name = {row["codec"]: row for row in data["sets"]["kodak"]["codecs"]}

    table = lines("results")
    assert table[1].split(" | ")[:2] == ["| images", "idfzip"]
    assert table[3].startswith(f"| kodak (3) | {by_name['idfzip']['bpd']:.3f} |")
    assert "| error |" in table[3]
    assert table[4].startswith("| cifar10 (6) |")

    speeds = lines("speed")
    assert sum(line.startswith("| kodak, 0.0 MP |") for line in speeds) == 4
    assert sum(line.startswith("| kodak, a mosaic, ") for line in speeds) == 4
    assert data["mosaics"]["kodak"]["megapixels"] == 6 * 32 * 40 / 1e6

    png = next(row for row in data["sets"]["cifar10"]["codecs"] if row["codec"] == "png")
    paper = lines("cifar10")
    assert "| IDF | 3.34 |  |" in paper
    assert f"| PNG | 5.89 | {png['bpd']:.3f} |" in paper
    assert any(line.startswith("| idfzip |  | ") for line in paper)

    assert lines("figure")[1].endswith("(docs/bench-kodak.png)")
    assert Path("docs/bench-kodak.png").read_bytes().startswith(b"\x89PNG")


def test_the_worst_image_is_that_of_the_greatest_ratio(folder):
    call("kodak=kodak")
    found = json.loads(Path("docs/results.json").read_text())["sets"]["kodak"]
    best = found["best_classical"]
    ratios = {name: bpd["idfzip"] / bpd[best] for name, bpd in found["per_image"].items()}
    assert found["worst"]["image"] == max(ratios, key=ratios.get)


def test_of_codecs_that_are_not_measured_again_the_sizes_are_kept(folder):
    call("kodak=kodak")
    first = json.loads(Path("docs/results.json").read_text())["sets"]["kodak"]
    call("kodak=kodak", "--codec", "png")
    again = json.loads(Path("docs/results.json").read_text())["sets"]["kodak"]
    assert set(again["speeds"]) == {"idfzip", "png"}
    assert again["settings"].keys() == first["settings"].keys()
    for field in ("bpd", "saving_vs_png", "saving_vs_best_classical"):
        sizes = [{row["codec"]: row[field] for row in f["codecs"]} for f in (first, again)]
        assert sizes[0].keys() == sizes[1].keys()
        for name, value in sizes[0].items():
            assert value == pytest.approx(sizes[1][name], abs=0.02), (field, name)
    assert again["worst"]["image"] == first["worst"]["image"]
    assert again["per_image"] == first["per_image"]
    assert not any("| jpeg2000 |" in line for line in lines("speed"))
    Image.fromarray(picture("noise", 16, 24, 3)).save(folder / "more.png")
    assert "the set has changed" in call("kodak=kodak", "--codec", "png", code=1).output


def test_the_same_results_give_the_same_text(folder):
    call("kodak=kodak")
    before = Path("README.md").read_text()
    call()
    assert Path("README.md").read_text() == before


def test_stages_have_their_table(folder):
    call("--stages", folder / "0.png")
    assert any(line.startswith("| learn, solve | ") for line in lines("stages"))


def test_a_missing_marker_is_named(folder):
    Path("README.md").write_text("nothing")
    assert "one '<!-- cifar10 -->'" in call(code=1).output


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("data/kodak", ("data/kodak", Path("data/kodak"), 0)),
        ("a/b=c=d/e@32", ("a/b=c", Path("d/e"), 32)),
        ("x@home", ("x@home", Path("x@home"), 0)),
    ],
)
def test_sets_are_named_and_cut(argument, parts):
    assert reproduce.parse(argument) == parts
