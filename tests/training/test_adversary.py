from __future__ import annotations

import pytest
from test_vqvae_twin import RECIPE, one_thread, place, train  # noqa: F401

from idfzip.errors import TrainingError

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[train]")


def pictures(seed, blurred=False):
    random = torch.Generator().manual_seed(seed)
    found = torch.rand(4, 3, 32, 32, generator=random)
    return torch.nn.functional.avg_pool2d(found, 3, 1, 1) if blurred else found


@pytest.mark.parametrize("loss", ["hinge", "squares", "wasserstein"])
def test_an_adversary_learns_to_tell_and_a_painter_to_deceive(loss):
    from idfzip.training import adversary as rival

    torch.manual_seed(0)
    adversary = rival.Discriminator(3)
    optimizer = torch.optim.Adam(adversary.parameters(), 1e-3, betas=(0.5, 0.9))
    for step in range(40):
        real, painted = pictures(step), pictures(step, True)
        total = rival.judged(loss, adversary(real)[-1], adversary(painted)[-1])
        if loss == "wasserstein":
            total = total + rival.PENALTY * rival.penalty(adversary, real, painted, torch.rand(4))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    real, painted = pictures(99), pictures(99, True).requires_grad_()
    verdicts = [float(adversary(one)[-1].detach().mean()) for one in (real, painted)]
    assert verdicts[0] > verdicts[1] + 0.2
    lie = rival.deceived(loss, adversary(painted)[-1])
    (slope,) = torch.autograd.grad(lie, painted)
    better = painted.detach() - 0.05 * slope / slope.abs().amax()
    assert rival.deceived(loss, adversary(better)[-1]) < lie


def test_slopes_near_one_have_no_penalty():
    from idfzip.training import adversary as rival

    class Straight(torch.nn.Module):
        """A verdict whose slope is `size` everywhere."""

        def __init__(self, size):
            super().__init__()
            self.size = torch.nn.Parameter(torch.tensor(size))

        def forward(self, given):
            return [given, self.size * given.sum((1, 2, 3)).reshape(-1, 1, 1, 1)]

    count = 3 * 32 * 32
    for size, wanted in ((count**-0.5, 0.0), (3 * count**-0.5, 4.0)):
        straight = Straight(size)
        found = rival.penalty(straight, pictures(0), pictures(1), torch.rand(4))
        assert float(found.detach()) == pytest.approx(wanted, abs=1e-4)
        if wanted:
            found.backward()
            assert float(straight.size.grad) > 0


def test_features_of_the_same_pictures_are_alike():
    from idfzip.training import adversary as rival

    torch.manual_seed(0)
    adversary = rival.Discriminator(3)
    first, second = adversary(pictures(0)), adversary(pictures(1, True))
    assert float(rival.unlike(first, first).detach()) == 0
    assert float(rival.unlike(first, second).detach()) > 0.1


def test_a_balance_gives_both_losses_equal_slopes():
    from idfzip.training.adversary import balance

    last = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    first, second = (last**2).sum(), 0.01 * last.sum()
    weight = balance(first, second, last)
    assert not weight.requires_grad
    slopes = [torch.autograd.grad(one, last)[0].norm() for one in (first, weight * second)]
    assert float(slopes[1] / slopes[0]) == pytest.approx(1, rel=0.01)


def contest(place, text):  # noqa: F811
    (place / "tiny.toml").write_text(text)
    return "--recipe", place / "tiny.toml"


VQGAN = RECIPE.replace('"vqvae"', '"vqgan"') + "silent = 3\n"
DVAE = RECIPE.replace('"vqvae"', '"dvae"')
NVIL = RECIPE.replace('"vqvae"', '"nvil"').replace("[1, 2]", "[2]").replace("= 8\ns", "= 64\ns")


@pytest.mark.parametrize("text", [VQGAN + 'loss = "wasserstein"\n', DVAE, NVIL])
def test_a_training_and_its_resumption(place, monkeypatch, text):  # noqa: F811
    from idfzip.training import loop

    recipe = contest(place, text)
    whole = train(place, "a.idfm", *recipe, "--steps", "10", "--name", "x")
    assert whole.architecture.lossy
    step, count, keeping = loop._step, [0], loop.Keeping

    def stop(task, state, loss, share, group):
        count[0] += 1
        if count[0] == 6:
            raise KeyboardInterrupt
        return step(task, state, loss, share, group)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_step", stop)
        patch.setattr("idfzip.training.session.Keeping", lambda *a: keeping(*a, seconds=0.0))
        with pytest.raises(AssertionError):
            train(place, "b.idfm", *recipe, "--steps", "10", "--name", "x")
    assert count[0] == 6
    again = train(place, "b.idfm", *recipe, "--steps", "10", "--name", "x", "--resume")
    assert again.identity == whole.identity
    further = train(place, "c.idfm", *recipe, "--from", place / "a.idfm", "--steps", "20")
    assert further.identity != whole.identity


def test_the_painter_hears_of_the_adversary_when_it_may(place):  # noqa: F811
    never = VQGAN.replace("silent = 3", "silent = 99")
    texts = (VQGAN, never, never + "adversary = 0.1\n", VQGAN + "adversary = 0.1\n")
    heard, silent, other, less = (
        train(place, f"{i}.idfm", *contest(place, text), "--steps", "5", "--name", "x").identity
        for i, text in enumerate(texts)
    )
    assert silent == other
    assert len({heard, silent, less}) == 3


def test_bits_are_of_one_level(place):  # noqa: F811
    from idfzip.training import recipe_file

    for text in (NVIL.replace("[2]", "[1, 1]"), NVIL.replace("entries = 64", "entries = 32")):
        (place / "wrong.toml").write_text(text)
        with pytest.raises(TrainingError, match="one level of codes of 2"):
            recipe_file.read(str(place / "wrong.toml"), 3)
