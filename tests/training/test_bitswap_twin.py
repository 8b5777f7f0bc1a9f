"""The twin of the bits-back codec gives the integers' sums and bits; bounds lie as they must."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from conftest import picture

from idfzip.codecs import bitswap
from idfzip.codecs.bitswap import Chain
from idfzip.container import bitswap_file
from idfzip.errors import TrainingError
from idfzip.flows import colour

torch = pytest.importorskip("torch", reason="training needs torch (the extra idfzip[train])")


def made(channels, levels, mixture, seed=0):
    """A twin on its grids whose weights are not those it begins with."""
    from idfzip.training.bitswap import BitswapShape, BitswapTwin

    torch.manual_seed(seed)
    twin = BitswapTwin(channels, BitswapShape((4, 6, 5)[:levels], 8, 1, mixture))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.03)
    twin.set_exact(True)
    return twin


def crops(count, channels, side=32):
    pixels = [picture("smooth", side, side, channels, i) for i in range(count)]
    return torch.from_numpy(np.stack(pixels).transpose(0, 3, 1, 2).copy())


@pytest.mark.parametrize("mixture", [1, 3])
@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_sums_are_those_of_the_integers(channels, levels, mixture):
    from idfzip.training.freeze_bitswap import freeze_bitswap

    twin = made(channels, levels, mixture)
    model = freeze_bitswap(twin)
    assert (model.channels, model.components, len(model.levels)) == (channels, mixture, levels)
    rng = np.random.default_rng(0)
    for (down, up), level in zip(twin.levels, model.levels, strict=True):
        for net, stack in ((down, level.posterior), (up, level.prior)):
            given = rng.integers(-511, 512, (8, 8, stack.inputs)).astype(np.int32)
            with torch.no_grad():
                real = net(torch.from_numpy(given / 64).float().permute(2, 0, 1)[None])[0]
            found = (real * (1 << 14)).permute(1, 2, 0).numpy()
            np.testing.assert_array_equal(found, stack.sums(given))


@pytest.mark.parametrize(("channels", "mixture"), [(1, 1), (3, 2)])
def test_the_bound_is_what_files_take(channels, mixture):
    """A chain's bits less the initial ones are minus the evidence bound, but for what is drawn."""
    from idfzip.training.freeze_bitswap import freeze_bitswap

    twin = made(channels, 2, mixture)
    model = freeze_bitswap(twin)
    pixels = crops(24, channels)
    tiles = [colour.forward(one) for one in pixels.numpy().transpose(0, 2, 3, 1)]
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        bound = float(torch.stack([twin(pixels, noise).sum() for _ in range(4)]).mean())
    chain = Chain(model, np.zeros(0, np.uint32))
    chain.push(tiles[0])
    before = chain.bits
    for tile in tiles:
        chain.push(tile)
    assert chain.bits - before == pytest.approx(bound, rel=0.01)
    coded = bitswap.encode_chain(model, tiles)
    assert 8 * len(coded.stream) > bound  # the initial bits are in the file


def test_more_samples_give_a_tighter_bound():
    """One sample gives the evidence bound; in the mean more never give more bits."""
    from idfzip.training.bitswap import bound

    twin, pixels = made(1, 2, 1), crops(6, 1, 8)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        costs = torch.stack([twin(pixels, noise).sum(1) for _ in range(64)])
    torch.testing.assert_close(bound(costs[:1]), costs[0].double())
    means = [torch.stack([bound(part) for part in costs.split(k)]).mean() for k in (1, 4, 16, 64)]
    assert all(more < fewer for fewer, more in pairwise(means))
    assert (bound(costs) >= costs.min(0).values - 1e-6).all()


def test_bound_is_the_log_of_the_mean():
    from idfzip.training.bitswap import bound

    costs = torch.tensor([[1.0, 3000.0], [2.0, 3002.0]])
    expected = -np.log2([(0.5 + 0.25) / 2, (1 + 0.25) / 2]) + [0, 3000]
    np.testing.assert_allclose(bound(costs).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(("channels", "levels", "mixture"), [(1, 1, 1), (3, 3, 2)])
def test_a_model_goes_on_from_where_it_was(channels, levels, mixture):
    from idfzip.training.freeze_bitswap import freeze_bitswap, thaw_bitswap

    model = freeze_bitswap(made(channels, levels, mixture))
    again = freeze_bitswap(thaw_bitswap(model))
    for name, tensor in bitswap_file.to_tensors(model).items():
        np.testing.assert_array_equal(bitswap_file.to_tensors(again)[name], tensor)


def test_crops_are_whole_squares():
    from idfzip.training.chains import Chains
    from idfzip.training.recipe import BitswapRecipe

    with pytest.raises(TrainingError, match="multiple of 4"):
        Chains(BitswapRecipe(latents=(2, 2), crop=34), [], [], 0, torch.device("cpu"))


@pytest.mark.parametrize(("channels", "mixture"), [(1, 1), (3, 2)])
def test_training_begins_with_a_transform_and_its_inverse(channels, mixture):
    """As many finest latents as pixels give these back: 2 / 64 of a step times 2 times 16."""
    from idfzip.training.bitswap import BitswapShape, BitswapTwin

    twin = BitswapTwin(channels, BitswapShape((4 * channels, 2), 8, 1, mixture))
    down, up = (net.shortcut.weight.detach()[:, :, 0, 0] for net in twin.levels[0])
    means = up.reshape(4 * channels, -1, 4 * channels)[:, mixture if mixture > 1 else 0]
    torch.testing.assert_close(means @ down[::2], 2 * torch.eye(4 * channels))
