from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import picture

from idfzip.codecs import flagship
from idfzip.errors import TrainingError
from idfzip.flows import colour

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[torch]")


@pytest.fixture(scope="module", params=["photo", "grey"])
def trained(request):
    from idfzip.training import loop, samples
    from idfzip.training.recipe import RECIPES

    recipe = dataclasses.replace(RECIPES[request.param], hidden=(16, 16), head=8, rows=512)
    pictures = [colour.forward(picture("smooth", 64, 80, recipe.channels, i)) for i in range(3)]
    found = samples.gather(recipe.design, pictures, 1.0, 0)
    reports = []
    twin = loop.fit(recipe, found, loop.Limit(steps=150), {"same": found}, reports.append, every=50)
    return recipe, found, pictures, twin, reports


def test_bits_fall(trained):
    *_, reports = trained
    assert reports[-1].step == 151
    assert reports[-1].validation["same"] < reports[0].validation["same"] - 0.02


def test_files_agree_with_the_training_loss(trained):
    from idfzip.training import loop
    from idfzip.training.freeze import freeze

    recipe, found, pictures, twin, _ = trained
    model = freeze(recipe.design, twin)
    streams = flagship.encode(model, pictures)
    sizes = [p.shape[1:] for p in pictures]
    for back, planes in zip(flagship.decode(model, streams, sizes), pictures, strict=True):
        np.testing.assert_array_equal(back, planes)
    bits = 8 * sum(map(len, streams)) / sum(p.size for p in pictures)
    expected = loop.evaluate(twin, found)
    assert bits == pytest.approx(expected, rel=0.005)


def test_steps_repeat(trained):
    from idfzip.training import loop

    recipe, found, *_ = trained
    twins = [loop.fit(recipe, found, loop.Limit(steps=5), {}, print, seed=3) for _ in range(2)]
    for a, b in zip(twins[0].parameters(), twins[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_divergence_stops_with_a_message(trained):
    from idfzip.training import loop

    recipe, found, *_ = trained
    wild = dataclasses.replace(recipe, rate=1e38, float_share=1.0)
    with pytest.raises(TrainingError, match="the loss is nan at step"):
        loop.fit(wild, found, loop.Limit(steps=200), {}, print)
