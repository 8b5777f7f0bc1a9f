"""Each estimator against the exact gradient of a problem of 3 latents of 3 categories.

Bounds are in standard errors of the mean over draws, which are independent; seeds are fixed, so
that a test that passes once passes always.
"""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[train]")

DRAWS = 40_000
LATENTS, KINDS = 3, 3
SURE = 5.0
"""Standard errors that an unbiased mean may lie from the truth: 1 of 10**6 would lie further."""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def enumerated(logits, cost):
    """Return the expected cost of logits (M, K), a scalar: exact, over all K**M latents."""
    from idfzip.training.estimators import one_hot, score

    count, kinds = logits.shape
    every = torch.tensor(list(itertools.product(range(kinds), repeat=count)))
    latents = one_hot(every, torch.zeros(len(every), count, kinds, dtype=logits.dtype))
    chances = score(logits.expand_as(latents), latents).sum(1).exp()
    return (chances * cost(latents)).sum()


class Problem:
    """A cost in which all latents play together, far from 0 in the mean."""

    def __init__(self, linear=False):
        random = torch.Generator().manual_seed(7)
        self.logits = torch.randn(LATENTS, KINDS, generator=random, dtype=torch.float64)
        self.weight = torch.randn(LATENTS * KINDS, 4, generator=random, dtype=torch.float64)
        self.linear = linear

    def cost(self, latents, weight=None):
        sums = latents.flatten(1) @ (self.weight if weight is None else weight)
        return 3 + (sums.sum(1) if self.linear else sums.tanh().sum(1).square())

    def exact(self):
        logits = self.logits.clone().requires_grad_()
        weight = self.weight.clone().requires_grad_()
        mean = enumerated(logits, lambda latents: self.cost(latents, weight))
        return torch.autograd.grad(mean, (logits, weight))

    def drawn(self, estimator, seed=0, scores=None, seen=None):
        """Return the gradients of independent draws, (DRAWS, M, K)."""
        start = self.logits if scores is None else scores
        leaf = start.expand(DRAWS, *start.shape[-2:]).clone().requires_grad_()
        random = torch.Generator().manual_seed(seed)
        losses = estimator(leaf, self.cost, leaf[:, 0] if seen is None else seen, random)
        assert losses.shape == (DRAWS,)
        return torch.autograd.grad(losses.sum(), leaf)[0]


def errors(drawn, exact):
    """Return how many standard errors each mean lies from the truth."""
    return (drawn.mean(0) - exact).abs() / (drawn.std(0) / len(drawn) ** 0.5 + 1e-12)


def spread(drawn):
    return float(drawn.var(0).sum())


def signal(mean=0.0, variance=1.0, **options):
    from idfzip.training.estimators import Signal

    found = Signal(**options).double().eval()
    found.mean.fill_(mean)
    found.variance.fill_(variance)
    return found


def unbiased():
    from idfzip.training.estimators import Rebar, Reinforce

    problem = Problem()
    mean = float(enumerated(problem.logits, problem.cost))
    return {
        "reinforce": Reinforce(signal()),
        "constant": Reinforce(signal(mean, constant=True)),
        "rebar": Rebar(),
        "cool rebar": Rebar(0.1),
    }


@pytest.mark.parametrize("name", ["reinforce", "constant", "rebar", "cool rebar"])
def test_unbiased_ones_are_exact_in_the_mean(name):
    problem = Problem()
    exact, _ = problem.exact()
    found = errors(problem.drawn(unbiased()[name]), exact)
    assert found.max() < SURE
    assert errors(problem.drawn(unbiased()[name]), exact + 0.1).max() > SURE  # it can fail


@pytest.mark.parametrize("name", ["straight", "reinforce", "rebar"])
def test_what_the_cost_is_made_of_has_the_exact_gradient(name):
    from idfzip.training.estimators import StraightThrough

    problem = Problem()
    _, exact = problem.exact()
    estimator = StraightThrough() if name == "straight" else unbiased()[name]
    weight = problem.weight.clone().expand(DRAWS, -1, -1).requires_grad_()

    def cost(latents):
        sums = (latents.flatten(1)[:, None] @ weight)[:, 0]
        return 3 + sums.tanh().sum(1).square()

    logits = problem.logits.expand(DRAWS, -1, -1)
    losses = estimator(logits, cost, logits[:, 0], torch.Generator().manual_seed(1))
    (found,) = torch.autograd.grad(losses.sum(), weight)
    assert errors(found, exact).max() < SURE


@pytest.mark.parametrize("kind", ["straight", "soft", "hard"])
def test_biased_ones_are_not(kind):
    from idfzip.training.estimators import GumbelSoftmax, StraightThrough

    problem = Problem()
    exact, _ = problem.exact()
    estimator = StraightThrough() if kind == "straight" else GumbelSoftmax(0.5, kind == "hard")
    assert errors(problem.drawn(estimator), exact).max() > 2 * SURE


def test_straight_through_is_exact_where_the_cost_is_linear():
    from idfzip.training.estimators import StraightThrough

    problem = Problem(linear=True)
    exact, _ = problem.exact()
    assert errors(problem.drawn(StraightThrough()), exact).max() < SURE


def test_cooling_trades_bias_for_variance():
    from idfzip.training.estimators import COOL, WARM, GumbelSoftmax

    problem = Problem()
    exact, _ = problem.exact()
    estimator = GumbelSoftmax()
    bias, variance = [], []
    for share, warmth in ((0.0, WARM), (0.5, (WARM * COOL) ** 0.5), (1.0, COOL)):
        estimator.anneal(share)
        assert estimator.warmth == pytest.approx(warmth)
        drawn = problem.drawn(estimator)
        bias.append(float((drawn.mean(0) - exact).norm()))
        variance.append(spread(drawn))
    assert bias[0] > 2 * bias[1] > 2 * bias[2]
    assert variance[0] < variance[1] < variance[2]


def test_control_variates_lower_the_variance():
    problem = Problem()
    found = {name: spread(problem.drawn(estimator)) for name, estimator in unbiased().items()}
    assert found["constant"] < 0.2 * found["reinforce"]
    assert found["rebar"] < 0.2 * found["reinforce"]


class Told(torch.nn.Module):
    """A baseline that knows the mean cost, which is what it sees."""

    def forward(self, seen):
        return seen[:, :1]


def test_a_baseline_of_the_input():
    from idfzip.training.estimators import Reinforce

    problem = Problem()
    exact, _ = problem.exact()
    mean = enumerated(problem.logits, problem.cost)
    seen = mean.expand(DRAWS, 1)
    told = problem.drawn(Reinforce(signal(baseline=Told())), seen=seen)
    assert errors(told, exact).max() < SURE
    assert spread(told) < 0.7 * spread(problem.drawn(unbiased()["reinforce"]))


def test_normalising_scales_the_gradient_and_nothing_else():
    from idfzip.training.estimators import Reinforce

    problem = Problem()
    exact, _ = problem.exact()
    for variance, scale in ((4.0, 2.0), (0.25, 1.0)):
        one = Reinforce(signal(9.0, variance, constant=True, normalised=True))
        assert float(one.signal.scale) == pytest.approx(1 / scale)
        assert errors(problem.drawn(one) * scale, exact).max() < SURE


def test_a_signal_follows_and_its_baseline_learns():
    from idfzip.training.estimators import Signal

    torch.manual_seed(0)
    signal = Signal(constant=True, baseline=torch.nn.Linear(2, 1), normalised=True)
    optimizer = torch.optim.Adam(signal.parameters(), 0.05)
    seen = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
    cost = 50 + 8 * seen[:, 0] + 3 * torch.sign(seen[:, 1])
    first, _ = signal(cost, seen)
    torch.testing.assert_close(first, cost - signal.baseline(seen)[:, 0], rtol=0.1, atol=2.0)
    for _ in range(1500):
        left, loss = signal(cost, seen)
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    assert float(left.abs().mean()) < 1.5  # in deviations
    assert float(loss.detach().mean()) < 4  # of 73 without a baseline
    before = signal.mean.clone()
    signal.eval()
    signal(cost + 1000, seen)
    assert torch.equal(signal.mean, before)


def test_a_cost_of_each_latent_is_its_own_signal():
    from idfzip.training.estimators import Reinforce

    problem = Problem()
    weight = problem.weight[:, 0].reshape(LATENTS, KINDS)

    def alone(latents):
        return 3 + (latents * weight).sum(2)  # no latent matters to another one's cost

    logits = problem.logits.clone().requires_grad_()
    enumerated(logits, lambda latents: alone(latents).sum(1)).backward()
    leaf = problem.logits.expand(DRAWS, -1, -1).clone().requires_grad_()
    random = torch.Generator().manual_seed(3)
    estimator = Reinforce(signal())
    own = torch.autograd.grad(estimator(leaf, alone, leaf, random).sum(), leaf)[0]
    assert errors(own, logits.grad).max() < SURE
    shared = estimator(leaf, lambda latents: alone(latents).sum(1), leaf, random)
    assert spread(own) < 0.5 * spread(torch.autograd.grad(shared.sum(), leaf)[0])


def test_quantisation_has_the_gradient_at_the_entry_and_no_variance():
    from idfzip.training.estimators import Quantised
    from idfzip.training.quantiser import TwinCodebook

    problem = Problem()
    book = TwinCodebook(KINDS, KINDS, 0).double()
    estimator = Quantised(book, commitment=0.0).eval()
    vectors = problem.logits
    found = problem.drawn(estimator, scores=vectors)
    assert spread(found) == pytest.approx(0, abs=1e-20)
    nearest = book.codes[torch.cdist(vectors, book.codes).argmin(1)][None].requires_grad_()
    (wanted,) = torch.autograd.grad(problem.cost(nearest).sum(), nearest)
    torch.testing.assert_close(found[0], wanted[0])
    moved, _ = book((vectors + 1e-6).T[None, ..., None])  # the true gradient is 0: nothing moves
    still, _ = book(vectors.T[None, ..., None])
    assert torch.equal(moved, still)
    assert float(found.abs().max()) > 0.1


def test_entries_follow_in_training():
    from idfzip.training.estimators import Quantised
    from idfzip.training.quantiser import TwinCodebook

    estimator = Quantised(TwinCodebook(KINDS, KINDS, 0))
    before = estimator.codebook.codes.clone()
    vectors = torch.randn(64, 2, KINDS, generator=torch.Generator().manual_seed(0))
    for one in (estimator.eval(), estimator.train()):
        one(vectors, lambda latents: latents.sum((1, 2)), vectors, torch.Generator())
        assert torch.equal(estimator.codebook.codes, before) is not estimator.training
