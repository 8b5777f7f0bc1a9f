from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import picture
from test_adversary import NVIL
from test_vqvae_twin import one_thread, place  # noqa: F401

from idfzip.codecs import vqvae
from idfzip.errors import ModelError
from idfzip.flows import colour

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[train]")


def values(count=400, size=3, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(1, size, 20, count // 20, generator=random)


def chances(book, vectors):
    """Return the probabilities of all codes for vectors (rows, D), by distances.

    Those of bits are in units of the sides.
    """
    sides = getattr(book, "heights", torch.ones(()))
    gaps = ((vectors[:, None] - book.entries) / sides).square().sum(2)
    return torch.softmax(-gaps * book.sharp.exp(), 1)


def test_drawn_bits_are_drawn_as_distances_have_it():
    from idfzip.training.latents import TwinBits

    book = TwinBits(3)
    book.heights.copy_(torch.tensor([0.5, 0.25, 1.0]))
    one = torch.tensor([0.1, -0.2, 0.05])
    plane = one[None, :, None, None].expand(1, 3, 100, 200)
    wanted = chances(book, one[None])[0].detach()
    with torch.no_grad():
        chosen = book.choose(plane, 1.0, torch.Generator().manual_seed(0))
    share = torch.bincount(chosen.codes.flatten(), minlength=8) / 20_000
    error = (wanted * (1 - wanted) / 20_000).sqrt()
    assert ((share - wanted).abs() / error).max() < 5
    torch.testing.assert_close(chosen.score.exp(), wanted[chosen.codes], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(chosen.entries, book.looked_up(chosen.codes))
    nats = (wanted * wanted.log()).sum() + math.log(8)
    torch.testing.assert_close(chosen.cost, nats)


def test_fine_sides_are_drawn_as_surely_as_coarse_ones():
    """They were not: bits of small values were noise, which no later stage took back."""
    from idfzip.training.latents import TwinBits

    book = TwinBits(2)
    book.heights.copy_(torch.tensor([4.0, 1 / 16]))
    plane = (book.heights / 2)[None, :, None, None].expand(1, 2, 100, 200)
    with torch.no_grad():
        chosen = book.choose(plane, 1.0, torch.Generator().manual_seed(0))
    shares = (chosen.entries > 0).float().mean((0, 2, 3))
    assert (shares > 0.95).all()


def test_the_nearest_corner_is_the_likeliest():
    from idfzip.training.latents import TwinBits

    book = TwinBits(3)
    plane = values()
    book.follow(plane, book(plane)[1], 0, 0.0)
    torch.testing.assert_close(book.heights, plane.abs().mean((0, 2, 3)))
    _, index = book(plane)
    likeliest = chances(book, plane[0].flatten(1).T).argmax(1)
    assert torch.equal(index.flatten(), likeliest)
    signs = (plane[0].flatten(1).T > 0).long() @ torch.tensor([1, 2, 4])
    assert torch.equal(index.flatten(), signs)


def test_an_embedding_mixes_and_then_chooses():
    from idfzip.training.latents import TwinEmbedding

    book = TwinEmbedding(8, 3, 0)
    plane = values()
    for exact in (False, True):
        book.exact = exact
        chosen = book.choose(plane, 0.5, torch.Generator().manual_seed(0))
        single = (chosen.entries - book.looked_up(chosen.codes)).abs().max() < 1e-6
        assert bool(single) is exact
        book.zero_grad()
        chosen.entries.square().sum().backward()
        assert float(book.weight.grad.abs().sum()) > 0
        assert float(book.sharp.grad.abs()) > 0
    vectors = plane[0].flatten(1).T
    wanted = chances(book, vectors)
    torch.testing.assert_close(
        chosen.cost, (wanted * wanted.log()).sum(1).mean() + math.log(8), rtol=1e-4, atol=1e-4
    )
    before = book.points().detach().clone()
    for step in range(300):
        book.follow(plane, torch.zeros(1, 20, 20, dtype=torch.long), step, 0.0)
    moved = (book.points() - before).abs().amax(1) > 0
    assert not moved[0]
    assert moved[1:].all()  # what is not used begins anew


@pytest.mark.parametrize("latents", ["gumbel", "binary"])
def test_a_twin_paints_what_the_kernels_paint(latents):
    from idfzip.training.freeze_vqvae import freeze_vqvae, thaw_vqvae
    from idfzip.training.vqvae import VqvaeShape, VqvaeTwin

    torch.manual_seed(1)
    twin = VqvaeTwin(3, VqvaeShape((2,), 16, 4, 8, 1, 4, 6, latents))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    twin.set_exact(True)
    model = freeze_vqvae(twin)
    pixels = picture("smooth", 32, 48, 3)
    batch = torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy())
    for count in (1, 2):
        with torch.no_grad():
            found = twin(batch, torch.tensor([count]))
        parts, painted = vqvae.encode_stages(model, colour.forward(pixels), count)
        exact = (found.pictures[0].clamp(0, 1) * 255).round().numpy().transpose(1, 2, 0)
        np.testing.assert_array_equal(exact, colour.inverse(painted))
        bits = float(found.bits[0, :count].sum())
        assert 8 * sum(map(len, parts)) == pytest.approx(bits, rel=0.02, abs=80)
    again = freeze_vqvae(thaw_vqvae(model, VqvaeTwin, latents))
    one, other = (vqvae.encode_stages(m, colour.forward(pixels), 2)[0] for m in (model, again))
    assert one == other
    if latents == "gumbel":
        with pytest.raises(ModelError, match="whose codes are not binary"):
            thaw_vqvae(model, VqvaeTwin, "binary")


def test_the_score_teaches_the_encoder_and_the_picture_does_not():
    """Bits of one latent: NVIL finds the code that costs less."""
    from idfzip.training.estimators import Signal
    from idfzip.training.latents import TwinBits

    book = TwinBits(2)
    torch.manual_seed(0)
    plane = torch.nn.Parameter(torch.zeros(1, 2, 4, 4))
    wanted = torch.tensor([0.5, -0.5])[None, :, None, None]
    signal = Signal(constant=True, normalised=True)
    optimizer = torch.optim.Adam([plane], 0.02)
    for step in range(300):
        chosen = book.choose(plane, 1.0, torch.Generator().manual_seed(step))
        assert not chosen.entries.requires_grad
        cost = (chosen.entries - wanted).square().sum(1)
        left, _ = signal(cost, plane)
        optimizer.zero_grad()
        (left * chosen.score).mean().backward()
        optimizer.step()
    found, _ = book(plane)
    torch.testing.assert_close(found, wanted.expand_as(found))


def small(place):  # noqa: F811
    """Return a training of drawn bits."""
    from idfzip.training import folder, recipe_file
    from idfzip.training.paintings import Paintings

    (place / "tiny.toml").write_text(NVIL)
    sources = folder.read([place / "images"]).sources
    read = recipe_file.read(str(place / "tiny.toml"), 3)
    return Paintings(read, sources, sources, 0, torch.device("cpu"))


def test_the_likeliest_codes_are_no_news(place):  # noqa: F811
    """What pictures are like is no signal: costs are beside those of the likeliest codes."""
    from idfzip.training.estimators import Signal

    class Heard(Signal):
        def forward(self, cost, seen):
            self.last = cost
            return super().forward(cost, seen)

    task = small(place)
    torch.manual_seed(0)
    network = task.network()
    network.signal = Heard(constant=True, normalised=True)
    for step in range(30):  # the sides find their sizes
        network.anneal(step, 1.0)
        task.bits(network, task.batch(step, 0, 1))
    assert float(network.signal.last.abs().max()) > 0.01
    for book in network.all_codebooks:
        book.sharp.data.fill_(20.0)
    task.bits(network, task.batch(30, 0, 1))
    assert float(network.signal.last.abs().max()) < 1e-5


def test_what_learns_from_a_signal_alone_is_slower(place):  # noqa: F811
    from idfzip.training import loop, vqvae
    from idfzip.training.group import Group

    task = small(place)
    torch.manual_seed(0)
    before = task.network()
    alone = Group(0, 1, torch.device("cpu"))
    after = loop.fit(task, loop.Limit(steps=1), alone, lambda report: None)
    (old,), (new,) = before.all_levels, after.all_levels
    moved = [
        (getattr(new, name).layers[0][0].weight - getattr(old, name).layers[0][0].weight).abs()
        for name in ("encoder", "lift")
    ]
    told, taught = (float(one.max().detach()) for one in moved)
    assert told == pytest.approx(vqvae.PACE * taught, rel=0.02)
