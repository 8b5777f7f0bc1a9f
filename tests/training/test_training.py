from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import picture

from idfzip.codecs import flagship
from idfzip.errors import TrainingError
from idfzip.flows import colour

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[train]")


def make_task(folder, channels, count=3, **changes):
    from idfzip.training import folder as folders
    from idfzip.training import recipe_file
    from idfzip.training.pixels import Pixels

    pixels = np.stack([picture("smooth", 64, 80, channels, i) for i in range(count)])
    np.save(folder / "images.npy", pixels)
    sources = folders.read([folder]).sources
    small = dataclasses.replace(
        recipe_file.read("default", channels), hidden=(16, 16), head=8, rows=512, **changes
    )
    return Pixels(small, small.design, sources, sources, 0, torch.device("cpu"))


def fit(task, steps, reports=None, **options):
    from idfzip.training import loop
    from idfzip.training.group import Group

    alone = Group(0, 1, torch.device("cpu"))
    note = reports.append if reports is not None else lambda report: None
    return loop.fit(task, loop.Limit(steps), alone, note, every=50, **options)


@pytest.fixture(scope="module", params=[1, 3])
def trained(request, tmp_path_factory):
    task = make_task(tmp_path_factory.mktemp("images"), request.param, mirrored=False)
    reports = []
    return task, fit(task, 150, reports), reports


def test_bits_fall(trained):
    *_, reports = trained
    assert [report.step for report in reports] == list(range(1, 151))
    measured = [report.held_out for report in reports if report.held_out is not None]
    assert len(measured) == 3
    assert measured[-1] < measured[0] - 0.02
    assert reports[-1].share == 1


def test_slow_steps_are_measured_after_some_time(tmp_path, monkeypatch):
    from idfzip.training import loop

    monkeypatch.setattr(loop, "PATIENCE", 0.0)
    reports = []
    fit(make_task(tmp_path, 1), 3, reports)
    assert all(report.held_out is not None for report in reports)


def test_files_agree_with_the_training_loss(trained):
    from idfzip.training.freeze import freeze

    task, twin, _ = trained
    model = freeze(task.recipe.design, twin)
    pictures = [colour.forward(picture("smooth", 64, 80, model.channels, i)) for i in range(3)]
    streams = flagship.encode(model, pictures)
    sizes = [p.shape[1:] for p in pictures]
    for back, planes in zip(flagship.decode(model, streams, sizes), pictures, strict=True):
        np.testing.assert_array_equal(back, planes)
    bits = 8 * sum(map(len, streams)) / sum(p.size for p in pictures)
    assert bits == pytest.approx(task.evaluate(twin), rel=0.005)


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_steps_repeat(trained):
    task, *_ = trained
    assert same(fit(task, 5, seed=3), fit(task, 5, seed=3))
    assert not same(fit(task, 5, seed=3), fit(task, 5, seed=4))


def test_divergence_stops_with_a_message(tmp_path):
    task = make_task(tmp_path, 3, rate=1e38, float_share=1.0)
    with pytest.raises(TrainingError, match="the loss is nan at step"):
        fit(task, 200)


def test_rounds_of_images_that_do_not_fit_at_once(tmp_path, monkeypatch):
    from idfzip.training import rounds

    monkeypatch.setattr(rounds, "MAX_SAMPLES", 3000)
    monkeypatch.setattr(rounds, "ROUND", 4)
    task = make_task(tmp_path, 1, count=5)
    assert task.rounds.count > 1
    first = [task.batch(step, 0, 1).inputs.clone() for step in range(12)]
    again = make_task(tmp_path, 1, count=5)
    assert torch.equal(again.batch(9, 0, 1).inputs, first[9])
    halves = [again.batch(9, part, 2).inputs for part in range(2)]
    assert len(torch.unique(torch.cat(halves), dim=0)) > len(torch.unique(halves[0], dim=0))


KILLED = """
import os, signal, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from pathlib import Path
import torch
from test_training import make_task
from idfzip.training import loop
from idfzip.training.group import Group
from idfzip.training.loop import Keeping

torch.set_num_threads(1)
task = make_task(Path(sys.argv[3]), 3)

def die(report):
    if report.step == 14:
        os.kill(os.getpid(), signal.SIGKILL)

keeping = Keeping(Path(sys.argv[3]) / "c.safetensors", "p", seconds=0.0)
loop.fit(task, loop.Limit(20), Group(0, 1, torch.device("cpu")), die, keeping)
"""


def test_a_killed_training_ends_with_the_same_weights(tmp_path):
    from idfzip.training.loop import Keeping

    here = os.path.dirname(__file__)
    arguments = [here, os.path.dirname(here), tmp_path]
    result = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert result.returncode == -9
    torch.set_num_threads(1)
    path = tmp_path / "c.safetensors"
    resumed = []
    task = make_task(tmp_path, 3)
    twin = fit(task, 20, resumed, keeping=Keeping(path, "p", resume=True))
    assert resumed[0].step > 10
    assert same(twin, fit(task, 20))
    with pytest.raises(TrainingError, match="made with other images"):
        fit(task, 20, keeping=Keeping(path, "other", resume=True))
    with pytest.raises(TrainingError, match="no checkpoint to resume from"):
        fit(task, 20, keeping=Keeping(tmp_path / "none", "p", resume=True))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(TrainingError, match="not a checkpoint"):
        fit(task, 20, keeping=Keeping(path, "p", resume=True))


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    from idfzip.training.loop import Keeping

    task = make_task(tmp_path, 1)
    keeping = Keeping(tmp_path / "c.safetensors", "p")
    fit(task, 2, keeping=keeping)
    before = keeping.path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=r"cannot be written \(No space left on device\)"):
        fit(task, 2, keeping=keeping)
    assert keeping.path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_widening_changes_nothing_until_it_learns():
    from idfzip.integer.twin import TwinNetwork
    from idfzip.training.widen import widen

    narrow = TwinNetwork(20, 3, (16, 8), 8, 2)
    wide = widen(narrow, TwinNetwork(20, 3, (24, 16), 12, 2))
    rng = torch.Generator().manual_seed(0)
    inputs = torch.randint(-511, 512, (50, 20), generator=rng) / 64
    extras = [torch.randint(-511, 512, (50, 4 * c), generator=rng) / 64 for c in range(3)]
    for exact in (False, True):
        for net in (narrow, wide):
            net.set_exact(exact)
        for a, b in zip(narrow(inputs, extras), wide(inputs, extras), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0 if exact else 1e-5)
    with pytest.raises(TrainingError, match="cannot become one of"):
        widen(wide, TwinNetwork(20, 3, (16, 8), 8, 2))
    with pytest.raises(TrainingError, match="same depth"):
        widen(narrow, TwinNetwork(20, 3, (16, 8, 8), 8, 2))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's tracer of its own functions
def test_one_graph_without_a_break(tmp_path):
    """What CUDA compiles is captured whole: torch's tracer meets nothing it must leave."""
    from idfzip.training.task import Loss

    task = make_task(tmp_path, 3)
    network = task.network()
    network.set_exact(True)
    loss = torch.compile(Loss(task, network), backend="aot_eager", fullgraph=True)
    batch = task.batch(0, 0, 1)
    bits = loss(batch)
    bits.backward()
    assert bits.item() == pytest.approx(task.bits(network, batch).item(), rel=1e-5)
    assert all(parameter.grad is not None for parameter in network.parameters())
