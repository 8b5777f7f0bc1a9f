from __future__ import annotations

import pytest
from doubles import compare, double, flip, images, stop

from idfzip.bench import plot
from idfzip.errors import BenchError


@pytest.fixture(autouse=True)
def matplotlib():
    return pytest.importorskip("matplotlib", reason="it comes with the extra idfzip[bench]")


def test_the_plot_is_a_file_of_its_suffix(tmp_path):
    result = compare([images(tmp_path / "images")], [double("png"), double("bad", decode=flip)])
    assert plot.draw(result, ".png").startswith(b"\x89PNG")
    text = plot.draw(result, ".svg").decode()
    assert "<svg" in text
    with pytest.raises(BenchError, match="a plot cannot be written as"):
        plot.check(".docx")


def test_there_is_a_plot_where_there_are_no_figures(tmp_path):
    folder = images(tmp_path / "images")
    assert plot.draw(compare([folder], [double("png", decode=flip)]))
    assert plot.draw(compare([folder / "2.png"], [double("stopping", encode=stop)]))


def test_the_front_holds_what_no_other_beats():
    points = [(1.0, 3.0), (2.0, 2.5), (2.0, 2.7), (0.5, 2.0), (0.1, 2.0), (9.0, 9.0)]
    assert plot.front(points) == [(0.5, 2.0), (2.0, 2.5), (9.0, 9.0)]
    assert plot.front([]) == []
