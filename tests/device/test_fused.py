"""Fused kernels give the processor's bytes: run where there is a GPU, elsewhere interpreted."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from conftest import CONTENTS, check_frees, make_flagship, numbers, poisoned

from idfzip.codecs import block
from idfzip.codecs import flagship as kernels
from idfzip.codecs.flagship import STATIC, Learning
from idfzip.coding import turns
from idfzip.flows import colour
from idfzip.integer.dense import Layer
from idfzip.integer.network import Network

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")
if find_spec("triton") is None:
    pytest.skip("fused kernels need triton", allow_module_level=True)
if not torch.cuda.is_available():  # must be said before triton is imported
    os.environ["TRITON_INTERPRET"] = "1"
    import triton

    if triton.__version__ < "3.9" and np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        pytest.skip("older interpreters do not know this numpy", allow_module_level=True)

from idfzip.device import flagship as device  # noqa: E402
from idfzip.device import graph  # noqa: E402
from idfzip.device.machine import Machine  # noqa: E402
from idfzip.device.schedule import Group  # noqa: E402

EVERY = Learning(900, 0, 1)
SECOND = Learning(1 << 14, 1, 2)


@pytest.fixture
def fused():
    """Return a device whose kernels are fused."""
    name = "cuda" if torch.cuda.is_available() else "cpu"
    return Machine(torch.device(name), poisoned, fused=True)


@pytest.fixture(autouse=True)
def _several_states(monkeypatch):
    """All but the shortest streams have several states, from 2 to 8."""
    monkeypatch.setattr(turns, "SHARE", 6)


def small(channels, how=STATIC, near=1):
    """Return a model whose expert sees so many neighbours: an interpreter takes long to solve."""
    model = make_flagship(channels, learning=how)
    known = model.design.regressors
    kept = known[[i for i in range(len(known)) if i % 4 < near]]
    return replace(model, design=model.design._replace(regressors=kept))


def tiles_of(sizes, channels, values=256):
    return [
        colour.forward(numbers(CONTENTS[i % 7], *size, channels, values, i))
        for i, size in enumerate(sizes)
    ]


def crosswise(machine, model, sizes, values=256):
    """Code tiles on a device and by the processor's kernels; decode there what these made."""
    tiles = tiles_of(sizes, model.channels, values)
    streams = kernels.encode(model, tiles, alphabet=values)
    assert [b"".join(f()) for f in device.encode(machine, model, tiles, values)] == streams
    for read, tile in zip(
        device.read(machine, model, streams, sizes, False, values), tiles, strict=True
    ):
        assert read.finished
        np.testing.assert_array_equal(read.seen.planes, tile)


@pytest.mark.parametrize(("how", "most"), [(EVERY, 1), (SECOND, 64)])
def test_grey(fused, monkeypatch, how, most):
    """The second tile has pixels left after its second period, the last is a column."""
    monkeypatch.setattr(turns, "MOST", most)
    crosswise(fused, small(1, how, 4), [(1, 1), (9, 45), (7, 2), (9, 1)])


def test_colour(fused):
    crosswise(fused, small(3, STATIC, 3), [(4, 3), (1, 3)])


def test_colour_that_learns(fused):
    crosswise(fused, small(3, EVERY), [(10, 13)])


@pytest.mark.parametrize(
    ("values", "share"), [(1, 6), (2, 6), (257, 6), (257, 99), (65536, 6), (65536, 99)]
)
def test_any_depth(fused, monkeypatch, values, share):
    monkeypatch.setattr(turns, "SHARE", share)
    crosswise(fused, small(1), [(4, 6), (3, 1)], values)


def test_deep_colour(fused):
    crosswise(fused, small(3), [(3, 4)], 5000)


def test_layers_of_odd_widths(fused):
    """Programs take sixteen and more at once; a layer may have other numbers."""
    model = small(1, EVERY)
    rng = np.random.default_rng(0)

    def layer(inputs, outputs):
        weight = rng.integers(-40, 41, (inputs, outputs)).astype(np.int16)
        return Layer(weight, rng.integers(-4000, 4001, outputs).astype(np.int32))

    inputs = model.network.inputs
    odd = Network((layer(inputs, 67), layer(67, 5)), (layer(5, 3),), (layer(3, 15),))
    crosswise(fused, replace(model, network=odd), [(9, 16)])


def test_blocks_of_tiles(fused):
    """Tiles side by side in a group, of two groups of which one is done before the other."""
    model = small(1, EVERY)
    tiles = tiles_of([(4, 5), (6, 6), (1, 1), (13, 9), (8, 3)], 1)
    blocks = [(tiles, 3), (tiles[:2], 2)]
    expected = [block.encode(model, *one) for one in blocks]
    noted = device.encode_blocks(fused, model, blocks)
    assert [device.pushed(one) for one in noted] == expected
    groups = [Group(tuple(t.shape[1:] for t in mine), step) for mine, step in blocks]
    found = device.decode_blocks(fused, model, [one.stream for one in expected], groups)
    for one, (mine, _) in zip(found, blocks, strict=True):
        for planes, tile in zip(one, mine, strict=True):
            np.testing.assert_array_equal(planes, tile)


def test_periods_of_more_rows_than_are_summed_at_once(fused):
    """140 tiles side by side: the first period has 140 pixels, the second 280."""
    model = small(1, EVERY)
    tiles = tiles_of([(2, 4)] * 140, 1)
    coded = block.encode(model, tiles, 140)
    assert coded.stream != block.encode(small(1), tiles, 140).stream
    (noted,) = device.encode_blocks(fused, model, [(tiles, 140)])
    assert device.pushed(noted) == coded
    group = Group(tuple(tile.shape[1:] for tile in tiles), 140)
    (found,) = device.decode_blocks(fused, model, [coded.stream], [group])
    for planes, tile in zip(found, tiles, strict=True):
        np.testing.assert_array_equal(planes, tile)


def test_a_cut_stream_shows_what_the_kernels_see(fused):
    model = small(1, EVERY)
    sizes = [(7, 9), (3, 12), (7, 9)]
    one, other, last = kernels.encode(model, tiles_of(sizes, 1))
    streams = [one[:8], other[: len(other) // 8 * 4], last]
    reads = device.read(fused, model, streams, sizes, True, 256)
    for read, stream, size in zip(reads, streams, sizes, strict=True):
        expected = kernels.preview(model, stream, size, True)
        np.testing.assert_array_equal(read.seen.known, expected.known)
        planes = (each.planes[:, expected.known] for each in (read.seen, expected))
        np.testing.assert_array_equal(*planes)


def test_damage_harms_only_its_own_image(fused):
    model = small(1, EVERY)
    sizes = [(7, 9)] * 3
    tiles = tiles_of(sizes, 1)
    streams = kernels.encode(model, tiles)
    broken = bytearray(streams[1])
    broken[len(broken) // 2] ^= 0x10
    given = [streams[0], bytes(broken), b""]
    reads = device.read(fused, model, given, sizes, False, 256)
    for read, expected in zip(reads, kernels.decode(model, given, sizes), strict=True):
        assert read.finished == (expected is not None)
        assert expected is None or np.array_equal(read.seen.planes, expected)
    np.testing.assert_array_equal(reads[0].seen.planes, tiles[0])
    assert not (reads[1].finished and np.array_equal(reads[1].seen.planes, tiles[1]))


def test_steps_taken_before_a_graph_is_captured_leave_no_trace(fused, monkeypatch):
    """On a GPU a step is run before it is captured; here it is run only."""

    def prepare(self, work):
        for _ in range(graph.WARM + 1):
            work()

    if not fused.is_gpu:
        monkeypatch.setattr(graph.Replayed, "prepare", prepare)
    crosswise(fused, small(1, EVERY), [(9, 16), (2, 3)])


def test_memory_is_free_after_each_batch(fused):
    model = small(1, EVERY)
    check_frees(fused, lambda watched: crosswise(watched, model, [(5, 4), (2, 3)]))


@pytest.mark.parametrize("values", [256, 4096])
@pytest.mark.parametrize("name", ["photo", "grey"])
@pytest.mark.parametrize("sizes", [[(256, 1024)], [(32, 32)] * 12])
def test_memory_is_what_is_counted(name, sizes, values):
    from idfzip.container import models
    from idfzip.device import costs, waves
    from idfzip.device.model import model
    from idfzip.device.schedule import side_by_side
    from idfzip.flows.alphabet import alphabet

    taken = []

    def counted(shape, dtype, device):
        one = torch.empty(shape, dtype=dtype, device=device)
        taken.append(one.nbytes)
        return one

    machine = Machine(torch.device("cpu"), counted, fused=True)
    codec = models.by_name(name).flagship
    group = Group(tuple(sizes), 4)
    one, runs = model(machine, codec, alphabet(values)), side_by_side([group])
    for encoding in (True, False):
        taken.clear()
        if encoding:
            waves.Encoder(one, codec.learning, runs, 1)
        else:
            waves.Decoder(one, codec.learning, runs, turns.decoder([np.zeros(4, np.uint32)]))
        expected = costs.coding(machine, codec, group, values, encoding)
        assert 0.9 * sum(taken) <= expected <= 1.5 * sum(taken)


CODE = """
import re, subprocess, tempfile
from collections import Counter
from functools import partial
import numpy as np, torch, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime import JITFunction
from conftest import make_flagship, make_lattice
from idfzip.codecs.flagship import Learning
from idfzip.coding import ans, turns
from idfzip.container import models
from idfzip.device import levels, waves
from idfzip.device.machine import Machine
from idfzip.device.model import model
from idfzip.device.schedule import Group, side_by_side
from idfzip.flows.alphabet import alphabet

SPILLED = 0 if triton.__version__ >= "3.9" else 16  # bytes: older ones keep a register or two
TYPES = {torch.int64: "*i64", torch.int32: "*i32", torch.float32: "*fp32", torch.float64: "*fp64"}
TYPES[torch.int16] = "*i16"
OPTIONS = "num_warps", "enable_fp_fusion"

def kind(value):
    if isinstance(value, torch.Tensor):
        return TYPES[value.dtype]
    return "fp32" if isinstance(value, float) else "i32"

def run(kernel, *args, grid, warmup, **fixed):
    counts[kernel.__name__] += 1
    how = {name: fixed.pop(name) for name in OPTIONS if name in fixed}
    fixed |= {p.name: 1 for p, a in zip(kernel.params, args) if type(a) is int and a == 1}
    types = {p.name: kind(a) for p, a in zip(kernel.params, args)}
    types |= dict.fromkeys(fixed, "constexpr")
    key = kernel.__name__, str(types), str(fixed), str(how)
    if key not in done:
        done.add(key)
        source = ASTSource(kernel, {p.name: types[p.name] for p in kernel.params}, fixed)
        check(kernel.__name__, triton.compile(source, GPUTarget("cuda", 90, 32), how))

def check(name, made):
    for inexact in ("fma.rn", "div.full", "sqrt.approx", "rcp.approx"):
        assert inexact not in made.asm["ptx"], (name, inexact)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        tool = triton.knobs.nvidia.cuobjdump.path
        told = subprocess.check_output([tool, "-res-usage", file.name], text=True)
    (stack,) = re.findall(r"STACK:(\\d+)", told)
    assert int(stack) <= SPILLED, (name, told)

def launches(codec, values, tiles, states):
    pictures = [np.zeros((codec.channels, 4, 6), np.int32)] * (2 * codec.looks)
    one = model(Machine(torch.device("cpu")), codec, alphabet(values), pictures)
    runs = side_by_side([Group(((4, 6),) * tiles, tiles)] * 2)
    found = []
    nothing = np.zeros(0, np.int32)
    host = turns.decoder([turns.push(nothing, nothing, states)] * 2)
    with torch.inference_mode():
        decoder = waves.Decoder(one, codec.learning, runs, host)
        wave = decoder._wave
        for work in (partial(wave._advance, decoder._take), wave.follower.learn, wave.follower.end):
            before = counts.total()
            work()
            found.append(counts.total() - before)
        encoder = waves.Encoder(one, codec.learning, runs, 2)
        encoder._wave._advance(encoder._note)
    return found

def pieces_of(codec, cut):
    machine, sizes = Machine(torch.device("cpu")), [(4, 6), (300, 2)]
    first = np.zeros((2, codec.channels), np.int32)
    host = turns.going_on(ans.decoder([np.zeros(3, np.uint32)] * 2))
    found = []
    with torch.inference_mode():
        decoder = levels.Decoder(machine, codec, host, sizes, first, cut)
        pieces = decoder._pieces
        follower = pieces.follower
        for work in (partial(pieces._advance, decoder._take), follower.learn, follower.end):
            before = counts.total()
            work()
            found.append(counts.total() - before)
        tiles = [np.zeros((codec.channels, *size), np.int32) for size in sizes]
        encoder = levels.Encoder(machine, codec, tiles, first)
        encoder._pieces._advance(encoder._note)
    return found

counts, done = Counter(), set()
JITFunction.run = run
launches(make_flagship(1, learning=Learning(900, 0, 3)), 5000, 2, 64)
for states in (1, 8):
    assert launches(models.by_name("photo").flagship, 256, 1, states) == [17, 21, 1]
either = [make_flagship(3, learning=Learning(900, 0, 1), looks=looks) for looks in (False, True)]
plain, looking = (launches(codec, 256, 1, 1)[0] for codec in either)
assert looking == plain + 1
pieces_of(make_lattice(1, learning=Learning(900, 1, 2)), False)
assert pieces_of(models.by_name("progressive").codec, True) == [14, 21, 1]
print(*sorted(counts))
"""


def test_kernels_compile_for_a_gpu_that_is_not_here():
    """What an interpreter takes a compiler may not; nothing is fused, approximate or spilled."""
    env = {**os.environ, "TRITON_INTERPRET": "0"}
    where = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=where, env=env, check=True, stdout=subprocess.PIPE
    )
    kernels_of = "place sums solve gather dense head take note finish add slopes advance"
    assert done.stdout.decode().split() == sorted(
        [*kernels_of.split(), "back", "move", "move_bias", "close", "find", "settle", "look"]
    )
