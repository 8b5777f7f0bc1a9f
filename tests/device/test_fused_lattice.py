"""Progressive tiles by fused kernels: the processor's bytes, both ways (see `test_fused`)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import check_damage, check_frees, flipped, make_lattice, tiles_of
from test_fused import fused, reordered  # noqa: F401  # a fixture, and what to skip for

from idfzip.codecs import lattice as kernels
from idfzip.codecs.flagship import STATIC, Learning
from idfzip.coding import ans, turns
from idfzip.container import model_file, models
from idfzip.device import check, engine, levels
from idfzip.device import lattice as device
from idfzip.device.machine import Machine
from idfzip.device.plan import plan
from idfzip.device.worker import Worker
from idfzip.flows.lattice import PHASES
from idfzip.integer.learning import PERIOD

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")

EVERY = Learning(9000, 0, 1)
SECOND = Learning(1 << 15, 1, 2)
pytestmark = pytest.mark.usefixtures("several_states")


def crosswise(machine, model, sizes):
    """Code tiles on a device and by the processor's kernels; decode there what these made."""
    tiles = tiles_of(sizes, model.channels)
    expected = kernels.encode_levels(model, tiles)
    assert [parts() for parts in device.encode(machine, model, tiles, 256)] == expected
    streams = [b"".join(parts) for parts in expected]
    for read, tile in zip(
        device.read(machine, model, streams, sizes, False, 256), tiles, strict=True
    ):
        assert (read.finished, read.seen.share, read.seen.known) == (True, 1.0, None)
        np.testing.assert_array_equal(read.seen.planes, tile)
    return expected


def test_the_steps_of_a_tile():
    """Rows of pieces, the longest of which bounds the steps."""
    assert plan([(256, 1024)]).steps == 2111
    assert plan([(256, 1024), (3, 5)]).steps == 2111
    assert plan([(1, 1)]).steps == 1


def test_periods_of_groups_end_with_a_piece():
    """Each phase of each tile has a period of its own, which ends as `codecs.phase` has it."""
    sizes = [(5, 300), (40, 30), (5, 300), (1, 1)]
    made = plan(sizes)
    expected = np.zeros((len(sizes), len(PHASES), made.steps), bool)
    for i, which in enumerate(made.whose):
        pending = [0] * len(PHASES)
        for t, (_, phase, _, _, count) in enumerate(made.table[which].tolist()):
            pending[phase] += count
            expected[i, phase, t] = count and pending[phase] >= PERIOD
            pending[phase] *= not expected[i, phase, t]
    np.testing.assert_array_equal(made.closings().reshape(expected.shape), expected)
    assert (expected[0] != expected[1]).any()
    assert expected[:3].any((1, 2)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_sizes_side_by_side(fused, channels):  # noqa: F811
    crosswise(fused, make_lattice(channels), [(4, 3), (1, 1), (1, 6), (5, 1)])


def test_nothing_but_first_pixels(fused):  # noqa: F811
    crosswise(fused, make_lattice(3, learning=EVERY), [(1, 1), (1, 1)])


@pytest.mark.parametrize(("channels", "how", "size"), [(3, EVERY, (1, 264)), (1, SECOND, (1, 530))])
def test_phases_that_learn(fused, channels, how, size):  # noqa: F811
    """Rows of several pieces; periods that end within a level, and go on in the next."""
    parts = crosswise(fused, make_lattice(channels, learning=how), [size, (2, 2)])
    assert parts[0] != kernels.encode_levels(make_lattice(channels), tiles_of([size], channels))[0]


@pytest.mark.parametrize("share", [turns.SHARE, 2])
def test_a_cut_stream_shows_what_the_kernels_see(fused, monkeypatch, share):  # noqa: F811
    """Nothing is learned from means: a stream of 1 x 300 pixels is cut within its last level.

    Another one is cut where its four states begin.
    """
    monkeypatch.setattr(turns, "SHARE", share)
    model = make_lattice(1, learning=EVERY)
    sizes = [(1, 300), (6, 5), (6, 5), (6, 5), (6, 5)]
    tiles = tiles_of(sizes, 1)
    whole = kernels.encode(model, tiles)
    ends = [len(whole[0]) * 5 // 8 // 4 * 4, 0, 4, 12, len(whole[4])]
    streams = [stream[:end] for stream, end in zip(whole, ends, strict=True)]
    reads = device.read(fused, model, streams, sizes, True, 256)
    for read, stream, size in zip(reads, streams, sizes, strict=True):
        expected = kernels.preview(model, stream, size, True)
        np.testing.assert_array_equal(read.seen.planes, expected.planes)
        assert read.seen.share == expected.share
    assert reads[1].seen.share == 0 < reads[0].seen.share < 1
    assert round(reads[0].seen.share * 300) % turns.MOST  # not just where a turn ends
    states = [turns.decoder([ans.from_bytes(stream)]).states[0] for stream in whole[::3]]
    assert states == ([1, 1] if share > 2 else [32, 4])


def test_damage_harms_only_its_own_image(fused):  # noqa: F811
    model = make_lattice(1, learning=EVERY)
    sizes = [(6, 7)] * 3
    tiles = tiles_of(sizes, 1)
    streams = kernels.encode(model, tiles)
    given = [streams[0], flipped(streams[1]), b""]
    reads = device.read(fused, model, given, sizes, False, 256)
    check_damage(reads, kernels.decode(model, given, sizes), tiles, [0])


def test_what_only_gpus_do_leaves_no_trace(fused, monkeypatch):  # noqa: F811
    if not fused.is_gpu:
        reordered(monkeypatch)
    crosswise(fused, make_lattice(1, learning=EVERY), [(2, 130), (1, 2)])


def test_memory_is_free_after_each_batch(fused):  # noqa: F811
    model = make_lattice(1, learning=EVERY)
    check_frees(fused, lambda watched: crosswise(watched, model, [(5, 4), (2, 3)]))


@pytest.mark.parametrize("how", [STATIC, EVERY])
@pytest.mark.parametrize("name", ["progressive", "progressive-grey"])
@pytest.mark.parametrize("sizes", [[(300, 512)], [(32, 32)] * 12])
def test_memory_is_what_is_counted(name, sizes, how):
    taken = []

    def counted(shape, dtype, device):
        one = torch.empty(shape, dtype=dtype, device=device)
        taken.append(one.nbytes)
        return one

    machine = Machine(torch.device("cpu"), counted, fused=True)
    model = replace(models.by_name(name).codec, learning=how)
    first = np.zeros((len(sizes), model.channels), np.int32)
    host = turns.going_on(ans.decoder([np.zeros(3, np.uint32)] * len(sizes)))
    for encoding in (True, False):
        taken.clear()
        if encoding:
            tiles = [np.zeros((model.channels, *size), np.int32) for size in sizes]
            made = levels.Encoder(machine, model, tiles, first)
            truth = made._truth.nbytes
        else:
            made = levels.Decoder(machine, model, host, sizes, first, False)
            truth = 0
        kept = 0 if how.rate else sum(one.nbytes for one in made._pieces.follower.weights.trunk)
        expected = sum(device.memory(machine, model, size, 256, encoding) for size in sizes)
        assert 0.9 * (sum(taken) + truth + kept) <= expected <= 1.5 * (sum(taken) + truth + kept)


def test_a_worker_codes_them(fused, monkeypatch):  # noqa: F811
    """After a check of the model, whose sums of three networks stand side by side."""
    monkeypatch.setattr(check, "SIDE", 5)
    codec = make_lattice(1)
    model = model_file.load(model_file.dump(codec, "small"), "test")
    worker = Worker(fused, True, 1, None, pytest.fail)
    tiles = tiles_of([(4, 5), (3, 3)], 1)
    found = [later.result() for later in worker.encode(model, codec, tiles, 256)]
    assert found == kernels.encode_levels(codec, tiles)
    streams = [b"".join(parts) for parts in found]
    for later, tile in zip(
        worker.decode(model, codec, streams, [(4, 5), (3, 3)], 256), tiles, strict=True
    ):
        np.testing.assert_array_equal(later.result(), tile)
    (seen,) = worker.preview(model, codec, [streams[0][:8]], [(4, 5)], True, 256)
    expected = kernels.preview(codec, streams[0][:8], (4, 5), True)
    np.testing.assert_array_equal(seen.result().planes, expected.planes)


def test_without_kernels_the_processor_codes(fused):  # noqa: F811
    model = make_lattice(1)
    assert engine.codes(fused, model)
    assert not engine.codes(replace(fused, fused=False), model)
