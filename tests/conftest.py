"""Models with random weights, small enough for many runs, and pictures of every character."""

from __future__ import annotations

import gc
import signal
import weakref
from dataclasses import replace

import numpy as np
import pytest

from idfzip.codecs.bitswap import Bitswap
from idfzip.codecs.bitswap import Level as ChainLevel
from idfzip.codecs.flagship import STATIC, Flagship, Learning
from idfzip.codecs.idf import Idf
from idfzip.codecs.lattice import Lattice
from idfzip.codecs.painter import Level as VqLevel
from idfzip.codecs.painter import Vqvae
from idfzip.coding import turns
from idfzip.container import model_file
from idfzip.container.model_file import Model
from idfzip.flows import autoregressive, colour, context, lattice, permutation
from idfzip.flows.autoregressive import Design
from idfzip.flows.bipartite import Level
from idfzip.integer.conv import Conv
from idfzip.integer.dense import Layer
from idfzip.integer.densenet import DenseNet
from idfzip.integer.log2 import log2_table
from idfzip.integer.network import Network
from idfzip.integer.stack import Block, Stack
from idfzip.priors import mixture
from idfzip.priors.codes import CodePrior, Tables, exp_table
from idfzip.priors.mixture import tables


def pytest_configure() -> None:
    """A shell that runs tests in the background has them ignore what some of them are about."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def make_design(channels: int) -> Design:
    near = [(0, -1), (-1, 0), (-1, -1), (-1, 1)]
    return Design(
        np.array([(c, *o) for c in range(channels) for o in near], np.int64),
        np.array([*near, (-2, 3), (-4, -1), (0, -4)], np.int64),
        np.array(near, np.int64),
        np.array([16], np.int64),
        context.Tables(log2_table(), context.gain_table()),
    )


def make_flagship(
    channels: int,
    seed: int = 0,
    size: int = 40,
    learning: Learning = STATIC,
    looks: bool = False,
) -> Flagship:
    rng = np.random.default_rng(seed)
    design = make_design(channels)
    inputs = autoregressive.width(design, channels, looks)

    def layer(i: int, o: int, bias: int = 4000) -> Layer:
        weight = rng.integers(-size, size + 1, (i, o)).astype(np.int16)
        return Layer(weight, rng.integers(-bias, bias + 1, o).astype(np.int32))

    return Flagship(
        design,
        Network(
            (layer(inputs, 24), layer(24, 16)),
            tuple(layer(16 + 4 * c, 8) for c in range(channels)),
            tuple(layer(8, 9, 20000) for _ in range(channels)),
        ),
        mixture.tables(context.SCALES),
        learning,
    )


def make_lattice(channels: int, seed: int = 0, learning: Learning = STATIC) -> Lattice:
    rng = np.random.default_rng(seed)
    corners = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    sides = [(0, -1), (0, 1), (-1, 0), (1, 0)]
    phases = [[*corners, (-2, 2), (3, -4)], [*sides, (0, 3), (-2, 0)], [*sides, (1, 1), (4, 0)]]
    design = lattice.Design(
        np.array(phases, np.int64),
        np.array([phase[:5] for phase in phases], np.int64),
        context.Tables(log2_table(), context.gain_table()),
    )
    inputs = lattice.width(6, 5, channels)

    def layer(i: int, o: int, bias: int = 4000) -> Layer:
        weight = rng.integers(-40, 41, (i, o)).astype(np.int16)
        return Layer(weight, rng.integers(-bias, bias + 1, o).astype(np.int32))

    def network() -> Network:
        return Network(
            (layer(inputs, 20), layer(20, 12)),
            tuple(layer(12 + 3 * c, 8) for c in range(channels)),
            tuple(layer(8, 9, 20000) for _ in range(channels)),
        )

    nets = tuple(network() for _ in lattice.PHASES)
    return Lattice(design, nets, mixture.tables(context.SCALES), learning)


def make_conv(taps: int, inputs: int, outputs: int, rng: np.random.Generator, size=40) -> Conv:
    weight = rng.integers(-size, size + 1, (taps, inputs, outputs)).astype(np.int16)
    return Conv(weight, rng.integers(-4000, 4001, outputs).astype(np.int32))


def make_net(inputs: int, outputs: int, rng: np.random.Generator, growth=6, size=40) -> DenseNet:
    return DenseNet(
        tuple(make_conv(1, inputs + i * growth, growth, rng, size) for i in range(2)),
        tuple(make_conv(9, growth, growth, rng, size) for _ in range(2)),
        make_conv(9, inputs + 2 * growth, outputs, rng, -(-size // 8)),
    )


def make_idf(channels: int, kind: str = "inverted", levels: int = 2, seed: int = 0) -> Idf:
    """Return a random model of two logistics, broad enough to code smooth pictures."""
    rng = np.random.default_rng(seed)
    broad = np.array([0, 0, 0, 0, 20000, 30000], np.int32)

    def condition(channels: int) -> DenseNet:
        net = make_net(channels, 6 * channels, rng)
        net.last.bias[:] += np.tile(broad, channels)
        return net

    widths = [channels << (i + 2) for i in range(levels)]
    return Idf(
        tuple(
            Level(
                permutation.chain(kind, 2, n, rng),
                tuple(make_net(3 * n // 4, n // 4, rng) for _ in range(2)),
            )
            for n in widths
        ),
        tuple(condition(n // 2) for n in widths[:-1]),
        rng.integers(-20000, 20000, (widths[-1], 6)).astype(np.int32) + broad,
        mixture.tables(context.SCALES),
    )


def make_vqvae(channels: int, stages: tuple[int, ...] = (1, 2), seed: int = 0) -> Vqvae:
    """Return a random lossy model of squares of 4 pixels, 8 in a coarser level."""
    rng = np.random.default_rng(seed)
    size, width, context, hidden, entries = 5, 8, 3, 6, 9

    def block(taps: int, i: int, o: int, squeeze: int = 1, spread: int = 1) -> Block:
        return Block((make_conv(taps, i * squeeze**2, o * spread**2, rng),), squeeze, spread)

    def twice(n: int) -> Block:
        return Block((make_conv(9, n, n, rng), make_conv(9, n, n, rng)), residual=True)

    def prior(known: int) -> CodePrior:
        return CodePrior(
            Stack((block(9, known, hidden), block(1, hidden, hidden))),
            rng.integers(-40, 41, (4, size, hidden)).astype(np.int16),
            make_conv(1, hidden, entries, rng, 900),
            rng.integers(-300, 301, (entries, size)).astype(np.int16),
        )

    def stack(direct: bool, *blocks: Block) -> Stack:
        plain = Stack(blocks)
        ends = plain.inputs * plain.squeezed**2, plain.outputs * plain.spread**2
        return Stack(blocks, make_conv(1, *ends, rng) if direct else None)

    levels = []
    for i, count in enumerate(stages):
        finest, given = i == len(stages) - 1, context if i else 0
        known = given + size
        if finest:
            first = block(9, channels, width, 4)
            encoder = stack(True, first, twice(width), block(1, width, width))
            painter = block(9, width, width, 1, 2), block(9, width, channels, 1, 2)
            lift = stack(True, block(9, known, width), twice(width), *painter)
        else:
            encoder = stack(True, block(9, width, width, 2))
            lift = stack(False, block(9, known, width), block(1, width, context, 1, 2))
        head = stack(i == 0, block(1, width + given, size))
        levels.append(VqLevel(encoder, head, tuple(prior(known) for _ in range(count)), lift))
    return Vqvae(tuple(levels), Tables(exp_table(), log2_table()))


def make_bitswap(
    channels: int, latents: tuple[int, ...] = (4, 6), mixture: int = 2, seed: int = 0
) -> Bitswap:
    """Return a random bits-back model of narrow posteriors, which codes smooth pictures."""
    rng = np.random.default_rng(seed)
    width = 8

    def down(fine: int, coarse: int) -> Stack:
        first = Block((make_conv(9, 4 * fine, width, rng),), 2)
        twice = Block(
            (make_conv(9, width, width, rng), make_conv(9, width, width, rng)), 1, 1, True
        )
        last = make_conv(1, width, 2 * coarse, rng, 4)
        last.bias[1::2] -= 30000
        return Stack((first, twice, Block((last,))), make_conv(1, 4 * fine, 2 * coarse, rng, 9))

    def up(coarse: int, fine: int, parts: int) -> Stack:
        last = make_conv(9, width, 4 * fine * parts, rng, 4)
        if fine == channels:  # differences of colours are small
            scales = last.bias.reshape(4, fine, -1)[..., -(1 if parts == 2 else parts // 3) :]
            scales += np.array([26000, 6000, 6000], np.int32)[:fine, None]
        return Stack((Block((make_conv(9, coarse, width, rng),)), Block((last,), spread=2)))

    widths = (channels, *latents)
    levels = []
    for i, coarse in enumerate(latents):
        parts = 2 if i or mixture == 1 else 3 * mixture
        levels.append(ChainLevel(down(widths[i], coarse), up(coarse, widths[i], parts)))
    constants = np.tile(np.array([[0, 16384]], np.int32), (latents[-1], 1))
    return Bitswap(tuple(levels), constants, tables(context.SCALES))


@pytest.fixture(scope="session")
def chain_models() -> dict[int, Model]:
    return {
        channels: model_file.load(model_file.dump(make_bitswap(channels), f"bs{channels}"), "test")
        for channels in (1, 3)
    }


@pytest.fixture(scope="session")
def lossy_models() -> dict[int, Model]:
    return {
        channels: model_file.load(model_file.dump(make_vqvae(channels), f"vq{channels}"), "test")
        for channels in (1, 3)
    }


@pytest.fixture(scope="session")
def flagships() -> dict[int, Flagship]:
    return {channels: make_flagship(channels) for channels in (1, 3)}


@pytest.fixture(scope="session")
def idf_models() -> dict[int, Model]:
    return {
        channels: model_file.load(model_file.dump(make_idf(channels), f"idf{channels}"), "test")
        for channels in (1, 3)
    }


@pytest.fixture(scope="session")
def models(flagships) -> dict[int, Model]:
    return {
        channels: model_file.load(model_file.dump(flagship, f"small{channels}"), "test")
        for channels, flagship in flagships.items()
    }


def picture(content: str, height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """Return uint8 pixels (height, width, channels) of a kind of content."""
    rng = np.random.default_rng(seed)
    shape = (height, width, channels)
    y, x = np.mgrid[0:height, 0:width]
    if content == "noise":
        return rng.integers(0, 256, shape).astype(np.uint8)
    if content == "constant":
        return np.full(shape, 77, np.uint8)
    if content == "saturated":
        return (rng.integers(0, 2, shape) * 255).astype(np.uint8)
    if content == "checkerboard":
        return np.repeat((((x + y) & 1) * 255).astype(np.uint8)[..., None], channels, 2)
    if content == "half":
        pixels = rng.integers(0, 256, shape).astype(np.uint8)
        pixels[: height // 2] = 0
        return pixels
    if content == "dot":
        pixels = np.zeros(shape, np.uint8)
        pixels[height // 2, width // 2] = 255
        return pixels
    smooth = 128 + 60 * np.sin(x / 9) + 50 * np.cos(y / 7)
    levels = smooth[..., None] + np.arange(channels) * 9 + rng.normal(0, 2, shape)
    return np.clip(levels, 0, 255).astype(np.uint8)


def numbers(
    content: str, height: int, width: int, channels: int, values: int, seed: int = 0
) -> np.ndarray:
    """Return uint16 samples (height, width, channels) below `values`, of a kind of content."""
    rng = np.random.default_rng(seed)
    shape = (height, width, channels)
    if content == "noise":
        return rng.integers(0, values, shape).astype(np.uint16)
    whole = picture(content, height, width, channels, seed) / 255 * (values - 1)
    if content == "smooth":
        whole += rng.normal(0, values / 1000, shape)
    return np.clip(np.round(whole), 0, values - 1).astype(np.uint16)


CONTENTS = ("noise", "constant", "saturated", "checkerboard", "half", "dot", "smooth")


def tiles_of(sizes: list[tuple[int, int]], channels: int, values: int = 256) -> list[np.ndarray]:
    """Return planes (channels, height, width) of these sizes, each of another content."""
    return [
        colour.forward(numbers(CONTENTS[i % 7], *size, channels, values, i))
        for i, size in enumerate(sizes)
    ]


def flipped(stream: bytes, at: int | None = None) -> bytes:
    """Return a stream one of whose bits is wrong, in the middle if it is not said where."""
    broken = bytearray(stream)
    broken[len(broken) // 2 if at is None else at] ^= 0x10
    return bytes(broken)


def check_damage(reads, expected, tiles, whole):
    """Check what a device reads of streams of which only some are `whole`.

    The kernels find what is `expected`: planes, or None where they see the damage.
    """
    for i, (read, other, tile) in enumerate(zip(reads, expected, tiles, strict=True)):
        assert read.finished == (other is not None)
        assert other is None or np.array_equal(read.seen.planes, other)
        assert (read.finished and np.array_equal(read.seen.planes, tile)) == (i in whole)


def poisoned(shape, dtype, device):
    """Return a tensor of what would be noticed: NaN, or numbers far out of range."""
    import torch

    worst = float("nan") if dtype.is_floating_point else torch.iinfo(dtype).max // 3
    return torch.full(shape, worst, dtype=dtype, device=device)


def check_frees(machine, work):
    """Check that no tensor of a device outlives the work, though no garbage is collected.

    What the first call makes may be kept.
    """
    made = []

    def allocate(*given):
        one = machine.allocate(*given)
        made.append(weakref.ref(one))
        return one

    watched = replace(machine, allocate=allocate)
    work(watched)
    made.clear()
    gc.collect()
    gc.disable()
    try:
        work(watched)
        assert made
        assert not [one().shape for one in made if one() is not None]
    finally:
        gc.enable()


@pytest.fixture
def several_states(monkeypatch):
    """All but the shortest streams have several states, from 2 to 32."""
    monkeypatch.setattr(turns, "SHARE", 6)


@pytest.fixture(params=["cpu", "cuda", "cuda by operators"])
def machine(request):
    """Return a device of torch's: a processor everywhere, a GPU where there is one.

    There fused kernels are run where Triton is, and torch's operators.
    """
    torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")
    from idfzip.device.machine import Machine

    name, _, operators = request.param.partition(" by ")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # operators are small: more threads only wait for each other
    yield Machine(torch.device(name), poisoned, fused=False if operators else None)
    torch.set_num_threads(threads)
