from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[train]")

from idfzip.codecs import discrete as codec  # noqa: E402
from idfzip.flows import modular  # noqa: E402
from idfzip.training import discrete  # noqa: E402
from idfzip.training.discrete import Shape, TwinFlow  # noqa: E402


@pytest.mark.parametrize("base", ["factorised", "shared", "autoregressive"])
@pytest.mark.parametrize("layers", [(((-1,), None), ((1, 2), None)), (((-1, 1), 0), ((-1, 1), 1))])
def test_a_frozen_flow_gives_the_bits_of_training(base, layers):
    torch.manual_seed(0)
    shape = Shape(6, 5, layers, hidden=16, base=base)
    flow = TwinFlow(shape)
    values = np.random.default_rng(0).integers(0, 6, (200, 5))
    flow.base.data.normal_()
    expected = float(flow(torch.as_tensor(values)).detach())
    latents = modular.forward(flow.freeze(), values)
    logs = torch.log_softmax(flow.base.detach(), -1).numpy()
    before = np.concatenate([np.full((200, 1), 6), latents[:, :-1]], 1)
    rows = np.zeros_like(latents) + (np.arange(5) if base == "factorised" else 0)
    seen = before if base == "autoregressive" else np.zeros_like(latents)
    found = -logs[rows, seen, latents].mean() / np.log(2)
    assert abs(found - expected) < 1e-4


def test_the_gradient_is_that_of_the_circular_convolution():
    torch.manual_seed(1)
    size = 7
    mu, x = (
        torch.nn.functional.one_hot(torch.randint(size, (9,)), size).double().requires_grad_()
        for _ in range(2)
    )
    direction = torch.randn(9, size, dtype=torch.float64)
    (discrete.convolve(mu, None, x) * direction).sum().backward()
    soft = torch.fft.irfft(torch.fft.rfft(mu) * torch.fft.rfft(x), size)
    expected = torch.autograd.grad((soft * direction).sum(), (mu, x))
    for tensor, gradient in zip((mu, x), expected, strict=True):
        torch.testing.assert_close(tensor.grad, gradient)


def test_training_finds_a_shift():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 5, 2000)
    values = np.stack([first, (3 * first + 1) % 5], 1)
    shape = Shape(5, 2, (((-1,), None),), hidden=32, scales=False)
    flow = TwinFlow(shape)
    discrete.fit(flow, torch.as_tensor(values), 200, 256, 1e-2, 0)
    frozen = flow.freeze()
    base = discrete.counted_base(modular.forward(frozen, values), shape)
    model = codec.Discrete(frozen, base)
    assert model.bits(values) / 2000 < 3.0  # log2(5) = 2.32 for the first, little for the second
    np.testing.assert_array_equal(
        codec.decode(model, codec.encode(model, values[:50]), 50, 2), values[:50]
    )
