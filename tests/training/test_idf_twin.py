from __future__ import annotations

import numpy as np
import pytest
from conftest import make_idf, picture

from idfzip.codecs import idf
from idfzip.flows import bipartite, colour
from idfzip.flows.permutation import KINDS

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[train]")


@pytest.fixture(autouse=True)
def one_thread():
    """Small operations on several threads wait for each other where other work keeps a core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def batch(*pictures):
    """Return pixels (N, C, H, W) of pictures."""
    return torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())


def scrambled(channels, kind="inverted", rezero=True):
    """Return a twin whose weights are far from zero."""
    from idfzip.training.idf import IdfShape, IdfTwin

    torch.manual_seed(1)
    shape = IdfShape(2, 2, 2, 9, 2, kind, rezero)
    twin = IdfTwin(channels, shape, 3)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.1 if parameter.dim() else 1))
    twin.set_exact(True)
    return twin


@pytest.mark.parametrize("rezero", [False, True])
def test_twin_gives_the_integers_of_the_kernels(rezero):
    from idfzip.training.freeze_idf import freeze_idf

    twin = scrambled(3, rezero=rezero)
    model = freeze_idf(twin)
    rng = np.random.default_rng(0)
    for net, integers in zip(twin.all_nets, model.nets, strict=True):
        values = rng.integers(-128, 128, (7, 10, integers.inputs)).astype(np.int32)
        values[0, :5] = rng.choice([-128, 127], values[0, :5].shape)
        with torch.no_grad():
            sums = net(torch.from_numpy(values.transpose(2, 0, 1)[None]).float())[0]
        whole = sums.double().numpy().transpose(1, 2, 0) * (1 << 14)
        np.testing.assert_array_equal(whole, integers.sums(values))
        assert np.abs(whole).max() > 1 << 13


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_twin_gives_the_latents_of_the_flow(channels, kind):
    from idfzip.training.freeze_idf import freeze_idf

    twin = scrambled(channels, kind)
    model = freeze_idf(twin)
    pixels = picture("half", 9, 14, channels)
    values = idf.to_values(model, colour.forward(pixels))
    np.testing.assert_array_equal(twin.values(batch(pixels))[0].permute(1, 2, 0).numpy(), values)
    found = bipartite.forward(model.levels, values)
    with torch.no_grad():
        latents = twin.latents(batch(pixels))
    for known, (mine, _) in zip(found, latents, strict=True):
        np.testing.assert_array_equal(mine[0].permute(1, 2, 0).numpy(), known.values)


@pytest.mark.parametrize("channels", [1, 3])
def test_thawing_and_freezing_change_nothing(channels):
    from idfzip.training.freeze_idf import freeze_idf, thaw_idf

    model = make_idf(channels)
    again = freeze_idf(thaw_idf(model))
    np.testing.assert_array_equal(model.constants, again.constants)
    for a, b in zip(model.levels, again.levels, strict=True):
        np.testing.assert_array_equal(a.permutations, b.permutations)
    for a, b in zip(model.nets, again.nets, strict=True):
        for one, other in zip(a.layers, b.layers, strict=True):
            np.testing.assert_array_equal(one.weight, other.weight)
            np.testing.assert_array_equal(one.bias, other.bias)


def test_models_that_no_twin_fits_are_refused():
    import dataclasses

    from idfzip.errors import ModelError
    from idfzip.training.freeze_idf import thaw_idf

    model = make_idf(3)
    first, second = model.levels
    fewer = dataclasses.replace(
        second, couplings=second.couplings[:1], permutations=second.permutations[:2]
    )
    with pytest.raises(ModelError, match="differ in size"):
        thaw_idf(dataclasses.replace(model, levels=(first, fewer)))
    none = dataclasses.replace(first, couplings=(), permutations=first.permutations[:1])
    with pytest.raises(ModelError, match="without couplings"):
        thaw_idf(dataclasses.replace(model, levels=(none, second)))


def test_couplings_add_nothing_before_training():
    from idfzip.training.idf import IdfShape, IdfTwin

    pixels = batch(picture("smooth", 8, 8, 3))
    for rezero in (False, True):
        twin = IdfTwin(3, IdfShape(1, 3, 1, 4, 2, "inverted", rezero))
        with torch.no_grad():
            ((values, _),) = twin.latents(pixels)
        expected = twin.values(pixels).reshape(1, 3, 4, 2, 4, 2).permute(0, 3, 5, 1, 2, 4)
        torch.testing.assert_close(values, expected.reshape(1, 12, 4, 4))


def test_a_mixture_of_one_begins_in_the_middle():
    from idfzip.training.idf import IdfShape, IdfTwin

    twin = IdfTwin(1, IdfShape(2, 1, 1, 4, 1))
    assert (twin.constants[:, 1] == 0).all()
    with torch.no_grad():
        sums = twin.latents(batch(picture("constant", 8, 8, 1)))[0][1]
    assert sums.reshape(1, -1, 3, 4, 4)[:, :, 1].abs().max() < 1


def test_trained_twin_tells_the_length_of_the_file():
    from idfzip.training.freeze_idf import freeze_idf
    from idfzip.training.idf import IdfShape, IdfTwin

    torch.manual_seed(0)
    twin = IdfTwin(3, IdfShape(2, 2, 2, 12, 3))
    pictures = [picture("smooth", 48, 48, 3, i) for i in range(4)]
    pixels = batch(*pictures)
    optimizer = torch.optim.AdamW(twin.parameters(), lr=1e-2)
    bits = []
    for step in range(120):
        twin.set_exact(step >= 80)
        loss = twin.bits(pixels).mean() / (3 * 48 * 48)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        optimizer.step()
        bits.append(loss.item())
    assert bits[-1] < 0.75 * bits[0]
    with torch.no_grad():
        expected = twin.bits(pixels).sum().item()
    planes = [colour.forward(p) for p in pictures]
    streams = idf.encode(freeze_idf(twin), planes)
    found = 8 * sum(map(len, streams)) - 32 * len(streams)
    assert abs(found / expected - 1) < 0.005
