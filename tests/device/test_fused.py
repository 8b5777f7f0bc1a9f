"""Fused kernels give the processor's bytes: run where there is a GPU, elsewhere interpreted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import check_damage, check_frees, flipped, make_flagship, poisoned, tiles_of

from idfzip.codecs import block
from idfzip.codecs import flagship as kernels
from idfzip.codecs.flagship import STATIC, Learning
from idfzip.coding import turns
from idfzip.integer.dense import Layer
from idfzip.integer.learning import PERIOD
from idfzip.integer.network import Network, fan_sums

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")
if find_spec("triton") is None:
    pytest.skip("fused kernels need triton", allow_module_level=True)
if not torch.cuda.is_available():  # must be said before triton is imported
    os.environ["TRITON_INTERPRET"] = "1"
    import triton

    if triton.__version__ < "3.9" and np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        pytest.skip("older interpreters do not know this numpy", allow_module_level=True)
    import interpreter

    interpreter.hasten()

from idfzip.device import flagship as device  # noqa: E402
from idfzip.device import fused as device_kernels  # noqa: E402
from idfzip.device import graph, layers  # noqa: E402
from idfzip.device.fused import window  # noqa: E402
from idfzip.device.machine import Machine  # noqa: E402
from idfzip.device.schedule import Group  # noqa: E402

SPILLED = 128 if version("triton") >= "3.9" else 256
"""Bytes: what a program of many registers keeps in memory for a while."""
EVERY = Learning(900, 0, 1)
SECOND = Learning(1 << 14, 1, 2)


pytestmark = pytest.mark.usefixtures("several_states")


def device_machine():
    """Return a device whose kernels are fused."""
    name = "cuda" if torch.cuda.is_available() else "cpu"
    return Machine(torch.device(name), poisoned, fused=True).aside()


@pytest.fixture
def fused(monkeypatch):
    """Return a device; interpreters, which take long for a program, have larger ones there."""
    machine = device_machine()
    if not machine.is_gpu:
        monkeypatch.setattr(window, "TERMS", 64)
    return machine


def small(channels, how=STATIC, near=1):
    """Return a model whose expert sees so many neighbours: an interpreter takes long to solve."""
    model = make_flagship(channels, learning=how)
    known = model.design.regressors
    kept = known[[i for i in range(len(known)) if i % 4 < near]]
    return replace(model, design=model.design._replace(regressors=kept))


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


@pytest.mark.parametrize(("how", "most", "width"), [(EVERY, 1, 20), (SECOND, 64, 33)])
def test_grey(fused, monkeypatch, how, most, width):
    """The second tile has pixels left after it was learned from, the last is a column."""
    monkeypatch.setattr(turns, "MOST", most)
    crosswise(fused, small(1, how, 4), [(1, 1), (9, width), (7, 2), (9, 1)])


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


def test_layers_of_odd_widths():
    """Programs take sixteen and more at once; a layer may have other numbers.

    Windows are summed by programs of the size that GPUs have.
    """
    model = small(1, EVERY)
    rng = np.random.default_rng(0)

    def layer(inputs, outputs):
        weight = rng.integers(-40, 41, (inputs, outputs)).astype(np.int16)
        return Layer(weight, rng.integers(-4000, 4001, outputs).astype(np.int32))

    inputs = model.network.inputs
    odd = Network((layer(inputs, 67), layer(67, 5)), (layer(5, 3),), (layer(3, 15),))
    crosswise(device_machine(), replace(model, network=odd), [(9, 16)])


@pytest.mark.parametrize("widths", [[40, 19, 7], [40, 19, 21, 150, 7]])
def test_trunks_of_any_depth(fused, widths):
    rng = np.random.default_rng(0)
    trunk = [
        Layer(rng.integers(-40, 41, one).astype(np.int16), rng.integers(-400, 401, one[1]))
        for one in pairwise(widths)
    ]
    *trunk, last = [replace(one, bias=one.bias.astype(np.int32)) for one in trunk]
    out = Layer(np.ones((7, 9), np.int16), np.zeros(9, np.int32))
    network = Network(tuple(trunk), (last,), (out,))
    inputs = rng.integers(-511, 512, (70, 40)).astype(np.int16)
    np.testing.assert_array_equal(
        layers.fan_sums(fused, network, inputs), fan_sums(network, inputs)
    )


@pytest.mark.parametrize("how", [EVERY, STATIC])
def test_blocks_of_tiles(fused, how):
    """Tiles side by side in a group, of two groups of which one is done before the other."""
    model = small(1, how)
    sizes = [(4, 5), (6, 6), (1, 1), (13, 9), (8, 3)] if how.rate else [(2, 3), (1, 1), (3, 2)]
    tiles = tiles_of(sizes, 1)
    blocks = [(tiles, (len(tiles) + 1) // 2), (tiles[:2], 2)]
    expected = [block.encode(model, *one) for one in blocks]
    noted = device.encode_blocks(fused, model, blocks)
    assert [one() for one in noted] == expected
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
    assert noted() == coded
    group = Group(tuple(tile.shape[1:] for tile in tiles), 140)
    (found,) = device.decode_blocks(fused, model, [coded.stream], [group])
    for planes, tile in zip(found, tiles, strict=True):
        np.testing.assert_array_equal(planes, tile)


def test_a_cut_stream_shows_what_the_kernels_see(fused):
    model = small(1, EVERY)
    sizes = [(5, 7), (3, 8), (5, 7)]
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
    given = [streams[0], flipped(streams[1]), b""]
    reads = device.read(fused, model, given, sizes, False, 256)
    check_damage(reads, kernels.decode(model, given, sizes), tiles, [0])


def reordered(monkeypatch):
    """Do what only GPUs do: a step before it is captured, and at once what nobody waits for."""

    def both(self, one, other):
        other()
        one()

    monkeypatch.setattr(graph.Replayed, "try_out", lambda self, work: work())
    monkeypatch.setattr(Machine, "both", both)


def test_what_only_gpus_do_leaves_no_trace(fused, monkeypatch):
    if not fused.is_gpu:
        reordered(monkeypatch)
    crosswise(fused, small(1, Learning(1 << 14, 0, 1)), [(9, 18)])


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
import json, sys
from conftest import make_flagship, make_lattice
from kernel_counts import Compiler
from idfzip.codecs.flagship import Learning
from idfzip.container import models
from idfzip.flows.alphabet import alphabet

how, photo = Learning(900, 0, 1), models.by_name("photo").codec
works = [
    (photo, 1), (photo, 32), (models.by_name("progressive").codec,),
    (make_flagship(3, learning=how, looks=True),),
    (make_flagship(1, learning=how), 64, alphabet(5000)),
    (make_lattice(1, learning=Learning(900, 1, 2)),),
    (make_lattice(3, learning=how), 8, alphabet(256), True),
]
compiler = Compiler()
json.dump([compiler.counted(*work) for work in works], sys.stdout)
"""


def test_kernels_compile_for_a_gpu_that_is_not_here():
    """What an interpreter takes a compiler may not; nothing is fused, approximate or spilled."""
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests.parent / "scripts"), *sys.path])
    env = {**os.environ, "TRITON_INTERPRET": "0", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", CODE], env=env, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout)
    from kernel_counts import WHENS

    launches = [[sum(row[when] for row in one.values()) for when in WHENS] for one in found]
    assert launches[:3] == [[17, 3, 14, 1], [17, 3, 14, 1], [15, 3, 12, 0]]
    assert launches[3][0] == 18
    for one in found:
        for name, row in one.items():
            assert row["instructions"] > row["loop"], name
            assert row["inexact"] == [], name
            assert row["spilled"] <= SPILLED, name
    assert len({name for one in found for name in one}) == 22


def test_a_period_that_is_timed_is_learned_from(fused):
    """Or kernels would be timed that have nothing to do."""
    from kernel_counts import recorded, step

    host = turns.decoder([np.zeros(0, np.uint32)])
    made = step(fused, small(1, EVERY), host, [(3, 4)])
    made.due()
    launch = device_kernels.launch
    with torch.inference_mode(), recorded(launch) as launches:
        made.learn()
    moves = [one for one in launches if one.name.startswith("learning.move")]
    (pending,) = {id(one.args[0]): one.args[0] for one in moves}.values()
    assert moves
    assert pending.tolist() == [PERIOD]


def test_kernels_are_timed(fused, tmp_path):
    """In interpreters it says nothing; that the script runs is all that is tested there."""
    import kernel_times

    how = ["--device", str(fused.device), "-m", "grey", "--tiles", "2", "--size", "3", "4"]
    out = tmp_path / "x.json"
    found = CliRunner().invoke(kernel_times.main, [*how, "-k", "symbols", "--json", str(out)])
    assert found.exit_code == 0, found.output
    rows = json.loads(out.read_text())
    assert {row["kernel"] for row in rows} == {"symbols.probe", "symbols.take"}
    assert {row["setting"] for row in rows} >= {"as it is", "8 warps", "PROBED 32"}
    assert all(row["microseconds"] > 0 for row in rows)


def test_products_are_exact_as_far_as_sums_go(fused):
    """The cores of a GPU count whole numbers up to 2**24, which the largest operands reach."""
    rng = np.random.default_rng(0)
    x = rng.choice([-511, 511, 510, 1], (50, 32)).astype(np.float32)
    weight = rng.choice([-1023, 1023, 1022, 1], (32, 40)).astype(np.float32)
    x[0], weight[:, 0] = 511, 1023
    expected = x.astype(np.int64) @ weight.astype(np.int64)
    assert expected[0, 0] == 32 * 511 * 1023 > (1 << 24) * 0.99
    none, all_rows = (fused.tensor(np.array([count])) for count in (0, len(x)))
    span = layers.Span(1, len(x), len(x), none, all_rows)
    with torch.inference_mode():
        bias, out = (fused.empty(*shape, dtype=torch.float32) for shape in ((40,), (50, 40)))
        left, right = (fused.tensor(one, torch.float16) for one in (x, weight))
        layers.forwards(span, left, right, bias, out, active=False)
        np.testing.assert_array_equal(out.cpu().numpy().astype(np.int64), expected)
