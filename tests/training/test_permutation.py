from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import picture

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[train]")


@pytest.fixture(autouse=True)
def one_thread():
    """Small operations on several threads wait for each other where other work keeps a core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_relaxed_sort_becomes_the_hard_one():
    from idfzip.training.permutation import neural_sort

    scores = torch.tensor([0.3, -1.0, 2.0, 0.9, -0.2])
    hard = torch.eye(5)[torch.argsort(scores, descending=True)]
    distances = []
    for temperature in (10.0, 1.0, 0.3, 0.1, 0.01):
        soft = neural_sort(scores, temperature)
        torch.testing.assert_close(soft.sum(1), torch.ones(5))
        distances.append((soft - hard).abs().max().item())
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-6
    assert torch.equal(neural_sort(scores, 1.0).argmax(1), torch.argsort(scores, descending=True))


def test_the_gradient_sorts_values():
    """Scores learn to bring the channel of ones to the front, where it is wanted."""
    from idfzip.training.permutation import LearnedPermutation

    start = torch.tensor([3, 1, 4, 0, 2])
    learned = LearnedPermutation(start)
    assert torch.equal(learned.mode, start)
    values = torch.zeros(2, 5, 3, 3)
    values[:, 2] = 1
    optimizer = torch.optim.Adam(learned.parameters(), lr=0.05)
    for step in range(150):
        learned.temperature, learned.seed = 1 - step / 160, step
        loss = (learned(values, start)[:, 0] - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert learned.mode[0] == 2


def test_draws_follow_the_scores():
    """Of a Plackett-Luce distribution: channel i comes first with probability softmax(scores)."""
    from idfzip.training.permutation import LearnedPermutation

    learned = LearnedPermutation(torch.arange(3))
    with torch.no_grad():
        learned.scores.copy_(torch.tensor([1.0, 0.0, -0.5]))
    learned.temperature = 1.0
    values = torch.arange(3.0).reshape(1, 3, 1, 1)
    firsts = []
    for seed in range(2000):
        learned.seed = seed
        drawn = learned(values, torch.arange(3)).flatten()
        assert sorted(drawn.round().int().tolist()) == [0, 1, 2]
        firsts.append(round(drawn[0].item()))
    found = np.bincount(firsts, minlength=3) / len(firsts)
    np.testing.assert_allclose(found, torch.softmax(learned.scores, 0).detach(), atol=0.04)


def trained(folder, steps, **changes):
    from idfzip.training import folder as folders
    from idfzip.training import loop, recipe_file
    from idfzip.training.crops import Flows
    from idfzip.training.group import Group

    np.save(folder / "x.npy", np.stack([picture("smooth", 16, 16, 3, i) for i in range(8)]))
    sources = folders.read([folder]).sources
    small = dataclasses.replace(
        recipe_file.read("idf-small", 3),
        **{"levels": 2, "couplings": 2, "depth": 1, "growth": 6, "crop": 16, "images": 4},
        **changes,
    )
    task = Flows(small, sources, sources, 0, torch.device("cpu"))
    alone = Group(0, 1, torch.device("cpu"))
    return task, loop.fit(task, loop.Limit(steps), alone, lambda report: None)


def test_permutations_are_learned_and_then_frozen(tmp_path):
    from idfzip.codecs import idf
    from idfzip.flows import colour, permutation

    task, twin = trained(tmp_path, 150, permutation="learned", float_share=0.8, rate=5e-2)
    fresh = task.network()
    moved = False
    for level, before in zip(twin.all_levels, fresh.all_levels, strict=True):
        rows = level.permutations.numpy()
        permutation.check(rows, 2, rows.shape[1])
        moved |= not torch.equal(level.permutations, before.permutations)
    assert moved
    model = task.freeze(twin)
    for level, known in zip(twin.all_levels, model.levels, strict=True):
        np.testing.assert_array_equal(level.permutations, known.permutations)
    planes = [colour.forward(picture("smooth", 16, 16, 3, i)) for i in range(8)]
    streams = idf.encode(model, planes)
    for back, tile in zip(idf.decode(model, streams, [(16, 16)] * 8), planes, strict=True):
        np.testing.assert_array_equal(back, tile)
    bits = (8 * sum(map(len, streams)) - 8 * 32) / sum(p.size for p in planes)
    pixels = torch.from_numpy(np.stack([picture("smooth", 16, 16, 3, i) for i in range(8)]))
    with torch.no_grad():
        expected = twin.bits(pixels.permute(0, 3, 1, 2)).sum().item() / pixels.numel()
    assert bits == pytest.approx(expected, rel=0.02)


def test_other_permutations_stay(tmp_path):
    task, twin = trained(tmp_path, 5, permutation="random")
    for level, before in zip(twin.all_levels, task.network().all_levels, strict=True):
        assert torch.equal(level.permutations, before.permutations)
