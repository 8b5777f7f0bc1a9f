"""Training of networks that look at a lossy picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import make_vqvae, picture

from idfzip.codecs import flagship
from idfzip.container import lossy, model_file, models
from idfzip.errors import TrainingError
from idfzip.flows import colour

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[train]")

TINY = Path(__file__).parents[2] / "idfzip" / "training" / "recipes" / "tiny.toml"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A training from a model without a picture, of images that a small model paints."""
    from idfzip.training import loop, session
    from idfzip.training.group import Group

    folder = tmp_path_factory.mktemp("images")
    pixels = np.stack([picture("smooth", 48, 56, 3, i) for i in range(3)])
    np.save(folder / "images.npy", pixels)
    painter = folder / "painter.idfm"
    painter.write_bytes(model_file.dump(make_vqvae(3), "painter"))
    recipe = folder / "first.toml"
    rest = TINY.read_text().replace('"flagship"\n', f'"flagship"\npainter = "{painter}"\n', 1)
    recipe.write_text(rest)
    alone = Group(0, 1, torch.device("cpu"))

    def plan(name, recipe, origin):
        return session.Plan([folder / "images.npy"], loop.Limit(20), name, None, recipe, origin)

    plain = session.prepare(plan("plain", "tiny", None))
    task = session.make_task(plain, alone)
    start = folder / "plain.idfm"
    start.write_bytes(session.to_file(plain, task, task.network()))
    return session.prepare(plan("first", str(recipe), str(start))), alone, painter, pixels


def test_a_network_learns_to_look(prepared):
    from idfzip.training import session

    found, alone, painter, pixels = prepared
    task = session.make_task(found, alone)
    start = task.network()
    start.set_exact(True)
    before = task.evaluate(start)
    twin = session.run(found, task, alone, None, False, lambda report: None, lambda: False)
    assert task.evaluate(twin) < before
    model = model_file.load(session.to_file(found, task, twin), "trained")
    assert model.codec.looks
    found_file = lossy.compress_first(
        lossy.Picture(pixels[0]), models.open_file(painter), model, quality=50
    )
    assert len(found_file) > 0


def test_what_is_new_changes_nothing_at_first(prepared):
    from idfzip.training import session

    found, alone, _, pixels = prepared
    model = session.make_task(found, alone).freeze(session.make_task(found, alone).network())
    plain = found.start.codec
    planes = colour.forward(pixels[0])
    assert flagship.encode(model, [planes], picture=planes) == flagship.encode(plain, [planes])


def test_a_painter_must_be_lossy(prepared, tmp_path):
    import dataclasses

    from idfzip.training import session

    found, alone, *_ = prepared
    wrong = dataclasses.replace(found, recipe=dataclasses.replace(found.recipe, painter="grey"))
    with pytest.raises(TrainingError, match="painter grey: a lossy model expected"):
        session.make_task(wrong, alone)


def test_inputs_may_be_added_and_not_left_out():
    from idfzip.integer.twin import TwinNetwork
    from idfzip.training.widen import widen

    few, many = (TwinNetwork(n, 3, (16, 8), 8, 2) for n in (20, 30))
    with pytest.raises(TrainingError, match="no more inputs"):
        widen(many, few)
    widen(few, many)
    inputs = torch.randn(50, 30)
    extras = [torch.randn(50, 4 * c) for c in range(3)]
    for net in (few, many):
        net.set_exact(False)
    for a, b in zip(few(inputs[:, :20], extras), many(inputs, extras), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)
