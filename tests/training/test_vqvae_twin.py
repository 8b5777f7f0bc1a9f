from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import picture
from PIL import Image

from idfzip.cli.main import main
from idfzip.codecs import vqvae
from idfzip.container import models
from idfzip.flows import colour

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[train]")

RECIPE = """
architecture = "vqvae"
stages = [1, 2]
entries = 8
size = 6
width = 8
depth = 1
context = 4
hidden = 6
crop = 32
images = 2
float_share = 0.5
"""


@pytest.fixture(autouse=True)
def one_thread():
    """Small operations on several threads wait for each other where other work keeps a core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def scrambled(channels, stages=(1, 2)):
    """Return a twin whose weights are far from where they begin."""
    from idfzip.training.vqvae import VqvaeShape, VqvaeTwin

    torch.manual_seed(1)
    twin = VqvaeTwin(channels, VqvaeShape(stages, 8, 6, 8, 1, 4, 6))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    twin.set_exact(True)
    return twin


@pytest.mark.parametrize(("channels", "stages"), [(3, (1, 2)), (1, (2,))])
def test_twin_paints_what_the_kernels_paint(channels, stages):
    from idfzip.training.freeze_vqvae import freeze_vqvae, thaw_vqvae
    from idfzip.training.vqvae import VqvaeTwin

    twin = scrambled(channels, stages)
    model = freeze_vqvae(twin)
    pixels = picture("smooth", 32, 48, channels)
    batch = torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy())
    for count in range(1, model.stages + 1):
        with torch.no_grad():
            found = twin(batch, torch.tensor([count]))
        parts, painted = vqvae.encode_stages(model, colour.forward(pixels), count)
        exact = (found.pictures[0].clamp(0, 1) * 255).round().numpy().transpose(1, 2, 0)
        np.testing.assert_array_equal(exact, colour.inverse(painted))
        bits = float(found.bits[0, :count].sum())
        assert 8 * sum(map(len, parts)) == pytest.approx(bits, rel=0.02, abs=80)
    again = freeze_vqvae(thaw_vqvae(model, VqvaeTwin, "nearest"))
    one, other = (vqvae.encode_stages(m, colour.forward(pixels), 1)[0] for m in (model, again))
    assert one == other


def test_it_begins_as_a_cosine_transform():
    from idfzip.training.vqvae import VqvaeShape, VqvaeTwin

    torch.manual_seed(0)
    twin = VqvaeTwin(3, VqvaeShape((1, 1), 8, 16, 16, 1, 16, 6))
    twin.anneal(0, 0.0)  # nothing is quantised yet
    pixels = picture("smooth", 32, 32, 3)
    batch = torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy())
    with torch.no_grad():
        found = twin(batch, torch.tensor([2])).pictures[0] * 255
    error = (found - batch[0]).square().mean()
    assert 10 * np.log10(255**2 / float(error)) > 20


def test_entries_follow_and_begin_anew():
    from idfzip.training.quantiser import TwinCodebook

    book = TwinCodebook(8, 2, 0)
    corners = torch.tensor([[3.0, 3.0], [-3.0, 3.0], [3.0, -3.0], [-3.0, -3.0]])
    values = corners.repeat(16, 1).T.reshape(1, 2, 8, 8)
    for step in range(400):
        _, index = book(values)
        book.follow(values, index, step, 0.0)
    found, _ = book(values)
    assert (found - values).abs().max() < 0.05
    assert 4 <= book.perplexity <= 8


def test_gradients_pass_straight_through():
    twin = scrambled(3)
    batch = torch.from_numpy(picture("smooth", 32, 32, 3).transpose(2, 0, 1)[None].copy())
    twin(batch, torch.tensor([3])).pictures.square().mean().backward()
    assert float(twin.all_levels[1].encoder.layers[0][0].weight.grad.abs().sum()) > 0
    for _, prior in twin.all_levels[1].parts:
        assert prior.out.weight.grad is None


def test_likelihood_moves_the_prior_alone():
    twin = scrambled(3)
    batch = torch.from_numpy(picture("smooth", 32, 32, 3).transpose(2, 0, 1)[None].copy())
    twin(batch, torch.tensor([3])).bits.sum().backward()
    assert all(level.encoder.layers[0][0].weight.grad is None for level in twin.all_levels)
    assert all(p.out.weight.grad is not None for level in twin.all_levels for _, p in level.parts)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(4):
        pixels = picture("smooth", 40, 50, 3, i)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    return tmp_path


def train(place, name, *options):
    arguments = ["train", place / "images", "-o", place / name, "-q", "-T", "1", *options]
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    return models.open_file(place / name)


def test_a_training_and_its_resumption(place, monkeypatch):
    recipe = "--recipe", place / "tiny.toml"
    whole = train(place, "a.idfm", *recipe, "--steps", "12", "--name", "x")
    assert whole.architecture.lossy
    log = (place / "a.train" / "log.jsonl").read_text().splitlines()
    facts = json.loads(log[-1])["facts"]
    assert {"psnr", "bpp", "perplexity_0", "perplexity_2"} <= set(facts)
    from idfzip.training import loop

    count = [0]

    def stop(task, state, loss, share, group):
        count[0] += 1
        if count[0] == 6:
            raise KeyboardInterrupt
        return step(task, state, loss, share, group)

    step = loop._step
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_step", stop)

        keeping = loop.Keeping
        patch.setattr("idfzip.training.session.Keeping", lambda *a: keeping(*a, seconds=0.0))
        arguments = ["train", place / "images", "-o", place / "b.idfm", "-q", "-T", "1"]
        arguments += [*recipe, "--steps", "12", "--name", "x"]
        assert CliRunner().invoke(main, [str(a) for a in arguments]).exit_code != 0
    again = train(place, "b.idfm", *recipe, "--steps", "12", "--name", "x", "--resume")
    assert again.identity == whole.identity
    further = train(place, "c.idfm", "--from", place / "a.idfm", "--steps", "2")
    assert further.identity != whole.identity
