from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import make_lattice, picture

from idfzip.codecs import lattice as codec
from idfzip.codecs.flagship import STATIC
from idfzip.flows import colour

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[train]")


@pytest.fixture(autouse=True)
def one_thread():
    """Small operations on several threads wait for each other where other work keeps a core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=[1, 3])
def task(request, tmp_path_factory):
    from idfzip.training import folder as folders
    from idfzip.training import recipe_file
    from idfzip.training.lattice import Lattices

    folder = tmp_path_factory.mktemp("images")
    pixels = np.stack([picture("smooth", 64, 80, request.param, i) for i in range(3)])
    np.save(folder / "images.npy", pixels)
    sources = folders.read([folder]).sources
    small = dataclasses.replace(
        recipe_file.read("progressive", request.param),
        hidden=(16, 16),
        head=8,
        rows=600,
        mirrored=False,
        learning_rate=0,
    )
    return Lattices(small, small.design, sources, sources, 0, torch.device("cpu"))


def test_samples_are_threes_of_all_phases(task):
    batch = task.batch(0, 0, 1)
    assert len(batch.inputs) == 600
    halves = [task.batch(0, part, 2).inputs for part in range(2)]
    assert not torch.equal(*halves)
    assert torch.equal(task.batch(5, 0, 1).inputs, task.batch(5, 0, 1).inputs)
    network = task.network()
    network.set_exact(True)
    sums = network(batch.inputs, batch.extras)
    for phase, net in enumerate(network.nets):
        mine = net(batch.inputs[phase::3], [extra[phase::3] for extra in batch.extras])
        assert all(torch.equal(a[phase::3], b) for a, b in zip(sums, mine, strict=True))


def test_files_agree_with_the_training_loss(task):
    from idfzip.training import loop
    from idfzip.training.group import Group

    alone = Group(0, 1, torch.device("cpu"))
    reports = []
    twin = loop.fit(task, loop.Limit(120), alone, reports.append, every=60)
    measured = [report.held_out for report in reports if report.held_out is not None]
    assert measured[-1] < measured[0] - 0.02
    model = task.freeze(twin)
    assert model.learning.rate == 0
    pictures = [colour.forward(picture("smooth", 64, 80, model.channels, i)) for i in range(3)]
    streams = codec.encode(model, pictures)
    for back, planes in zip(codec.decode(model, streams, [(64, 80)] * 3), pictures, strict=True):
        np.testing.assert_array_equal(back, planes)
    bits = 8 * sum(map(len, streams)) / sum(p.size for p in pictures)
    assert bits == pytest.approx(task.evaluate(twin), rel=0.01)


@pytest.mark.parametrize("channels", [1, 3])
def test_thawing_and_freezing_change_nothing(channels):
    from idfzip.training.lattice import freeze_lattice, thaw_lattice

    model = make_lattice(channels)
    again = freeze_lattice(model.design, thaw_lattice(model), STATIC)
    for a, b in zip(model.networks, again.networks, strict=True):
        for name in ("trunk", "heads", "outs"):
            for one, other in zip(getattr(a, name), getattr(b, name), strict=True):
                np.testing.assert_array_equal(one.weight, other.weight)
                np.testing.assert_array_equal(one.bias, other.bias)


def test_a_pixel_of_one_place_gives_no_samples():
    from idfzip.training.lattice import observe

    planes = colour.forward(picture("smooth", 1, 1, 3))
    assert len(observe(make_lattice(3).design, planes, 1.0, np.random.default_rng(0))) == 0
