"""Threads bring tiles, the worker codes them together; it falls back, or fails, in one line."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import make_flagship, make_idf, make_vqvae, picture

from idfzip.codecs import block, lossy_first, vqvae
from idfzip.codecs import flagship as kernels
from idfzip.codecs.flagship import STATIC, Learning
from idfzip.codecs.lossy_first import LossyFirst
from idfzip.container import fit, model_file
from idfzip.errors import DeviceError
from idfzip.flows import colour

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")

from idfzip.device import check, engine, flagship, rule, worker  # noqa: E402
from idfzip.device.machine import Machine  # noqa: E402
from idfzip.device.schedule import Group, side_by_side  # noqa: E402
from idfzip.device.worker import Worker  # noqa: E402


@pytest.fixture
def model():
    return model_file.load(model_file.dump(make_flagship(3), "small"), "test")


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def alone(machine, warnings):
    return Worker(machine, True, 1, None, warnings.append)


@pytest.fixture
def auto(machine, warnings):
    return Worker(machine, False, 1, None, warnings.append)


@pytest.fixture
def batches(monkeypatch):
    """Return the sizes of the batches that were encoded on the device."""
    seen = []
    encode = flagship.encode_blocks

    def watched(machine, codec, blocks, alphabet=256):
        seen.append(len(blocks))
        return encode(machine, codec, blocks, alphabet)

    monkeypatch.setattr(flagship, "encode_blocks", watched)
    return seen


def whole(futures):
    """Return the streams to come."""
    return [b"".join(future.result()) for future in futures]


def tile(height, width, seed=0):
    return colour.forward(picture("smooth", height, width, 3, seed))


def test_what_threads_bring_is_coded_together(alone, model, batches):
    tiles = [tile(6, 5, seed) for seed in range(12)]
    alone.encode(model, model.codec, tiles[:1], 256)[0].result()
    batches.clear()
    with ThreadPoolExecutor(12) as pool:
        found = list(
            pool.map(lambda t: whole(alone.encode(model, model.codec, [t], 256))[0], tiles)
        )
    assert found == kernels.encode(model.codec, tiles)
    assert sum(batches) == 12
    assert len(batches) < 12


def test_kinds_do_not_mix(alone, model):
    learning = make_flagship(3, learning=Learning(900, 1, 3))
    tiles = [tile(9, 8), tile(3, 4)]
    plain = alone.encode(model, model.codec, tiles, 256)
    moving = alone.encode(model, learning, tiles, 256)
    deep = alone.encode(model, model.codec, tiles, 700)
    assert whole(plain) == kernels.encode(model.codec, tiles)
    streams = whole(moving)
    assert streams == kernels.encode(learning, tiles)
    assert whole(deep) == kernels.encode(model.codec, tiles, alphabet=700)
    back = alone.decode(model, learning, streams, [(9, 8), (3, 4)], 256)
    for one, expected in zip(back, tiles, strict=True):
        np.testing.assert_array_equal(one.result(), expected)


def test_blocks(alone, auto, model, monkeypatch):
    monkeypatch.setattr(rule, "least_batch", lambda *args: rule.NEVER)
    tiles = [tile(4, 5, seed) for seed in range(5)]
    expected = block.encode(model.codec, tiles, 2)
    for one in (alone, auto):
        assert one.encode_block(model, model.codec, tiles, 2).result() == expected
        back = one.decode_block(model, model.codec, expected.stream, [(4, 5)] * 5, 2).result()
        assert all(np.array_equal(a, b) for a, b in zip(back, tiles, strict=True))


def test_batches_have_no_more_pixels_than_are_allowed(machine, model, batches):
    one = Worker(machine, True, 1, 100, print)
    tiles = [tile(6, 5, seed) for seed in range(7)]
    found = whole(one.encode(model, model.codec, tiles, 256))
    assert found == kernels.encode(model.codec, tiles)
    assert max(batches) == 3


def test_batches_have_no_more_callers_than_are_allowed(alone, model, batches, monkeypatch):
    """What one caller brings stays together, and those who came first come first."""
    alone.encode(model, model.codec, [tile(2, 2)], 256)[0].result()
    batches.clear()
    monkeypatch.setattr(worker, "CALLERS", 2)
    tiles = [tile(5 + seed % 2, 5, seed) for seed in range(9)]
    with alone._news:  # the worker sees all of them at once
        coming = [alone.encode(model, model.codec, tiles[i : i + 3], 256) for i in range(0, 9, 3)]
    found = [stream for futures in coming for stream in whole(futures)]
    assert found == kernels.encode(model.codec, tiles)
    assert batches == [6, 3]


def test_a_full_batch_does_not_wait_for_news(alone, model, monkeypatch):
    alone.encode(model, model.codec, [tile(2, 2)], 256)[0].result()
    monkeypatch.setattr(worker, "CALLERS", 1)
    monkeypatch.setattr(worker, "QUIET", 1000)
    (future,) = alone.encode(model, model.codec, [tile(6, 5)], 256)
    assert future.result(60) == kernels.encode(model.codec, [tile(6, 5)])


def test_a_batch_that_is_wide_enough_does_not_wait_either(alone, model, monkeypatch):
    alone.encode(model, model.codec, [tile(2, 2)], 256)[0].result()
    monkeypatch.setattr(worker, "FULL", 6)
    monkeypatch.setattr(worker, "QUIET", 1000)
    tiles = [tile(6, 5), tile(4, 9)]  # of 3 and 4 pixels in a step
    coming = alone.encode(model, model.codec, tiles, 256)
    found = [b"".join(future.result(60)) for future in coming]
    assert found == kernels.encode(model.codec, tiles)


def out_of_memory(*args):
    raise torch.cuda.OutOfMemoryError("CUDA out of memory.")


def test_out_of_memory_is_one_line(alone, model, monkeypatch):
    alone.encode(model, model.codec, [tile(2, 2)], 256)[0].result()
    monkeypatch.setattr(flagship, "encode_blocks", out_of_memory)
    (future,) = alone.encode(model, model.codec, [tile(6, 5)], 256)
    with pytest.raises(DeviceError, match=r"not enough memory for 30 pixels at once.*--max-batch"):
        future.result()


def test_auto_goes_on_on_the_processor(auto, model, monkeypatch, warnings):
    monkeypatch.setattr(rule, "least_batch", lambda *args: 1)
    monkeypatch.setattr(flagship, "read", out_of_memory)
    monkeypatch.setattr(check, "passes", lambda *args: True)
    stream = kernels.encode(model.codec, [tile(6, 5)])
    (future,) = auto.decode(model, model.codec, stream, [(6, 5)], 256)
    np.testing.assert_array_equal(future.result(), tile(6, 5))
    assert len(warnings) == 1
    assert "not enough memory" in warnings[0]


class CompilerError(Exception):
    """As those of triton, which are no RuntimeError."""


def fails(*args):
    raise CompilerError("no compiler here\nand much more")


def test_auto_goes_on_where_kernels_cannot_be_compiled(auto, alone, model, monkeypatch, warnings):
    monkeypatch.setattr(rule, "least_batch", lambda *args: 1)
    monkeypatch.setattr(check, "passes", lambda *args: True)
    monkeypatch.setattr(flagship, "encode_blocks", fails)
    found = whole(auto.encode(model, model.codec, [tile(6, 5)], 256))
    assert found == kernels.encode(model.codec, [tile(6, 5)])
    assert warnings == [f"{auto}: no compiler here; going on on the processor"]
    (future,) = alone.encode(model, model.codec, [tile(6, 5)], 256)
    with pytest.raises(DeviceError, match=r"no compiler here$"):
        future.result(60)


def test_nobody_waits_for_a_worker_that_fails(alone, model, monkeypatch):
    monkeypatch.setattr(Worker, "_fitting", fails)
    for _ in range(2):
        (future,) = alone.encode(model, model.codec, [tile(6, 5)], 256)
        with pytest.raises(CompilerError):
            future.result(60)


def test_a_gpu_that_failed_has_no_room(alone, monkeypatch):
    def free(_):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(Machine, "is_gpu", True)
    monkeypatch.setattr(Machine, "free", free)
    assert alone._room() == 0


def test_streams_of_a_machine_are_nobody_elses(machine):
    """What another launches on one while it is captured would become part of the graph."""
    first, second = machine.aside(), machine.aside()
    assert first.aside() is first
    if not machine.is_gpu:
        assert first is second is machine
        return
    mine = {one.cuda_stream for one in (*first.streams, *second.streams)}
    others = {torch.cuda.Stream().cuda_stream for _ in range(64)}
    assert len(mine) == 4
    assert not mine & others


def test_a_device_that_counts_wrongly_is_not_used(alone, auto, model, monkeypatch, warnings):
    monkeypatch.setattr(check, "passes", lambda *args: False)
    (future,) = alone.encode(model, model.codec, [tile(6, 5)], 256)
    with pytest.raises(DeviceError, match="self-test"):
        future.result()
    found = whole(auto.encode(model, model.codec, [tile(6, 5)], 256))
    assert found == kernels.encode(model.codec, [tile(6, 5)])
    assert "self-test" in warnings[0]


def test_a_check_notices_another_model(machine, model):
    assert check.passes(machine, model.codec, model.test)
    sums = model.test["test.sums"].copy()
    sums[3, 2] += 1
    assert not check.passes(machine, model.codec, {**model.test, "test.sums": sums})


def test_small_batches_of_auto_stay_on_the_processor(auto, model, monkeypatch, batches):
    monkeypatch.setattr(rule, "least_batch", lambda *args: 3)
    monkeypatch.setattr(check, "passes", lambda *args: True)
    for count, expected in ((2, []), (3, [3])):
        tiles = [tile(3, 3, seed) for seed in range(count)]
        found = whole(auto.encode(model, model.codec, tiles, 256))
        assert found == kernels.encode(model.codec, tiles)
        assert batches == expected


def test_the_rule_is_measured_once_and_kept(machine, model, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(rule, "SIDE", 4)
    monkeypatch.setattr(rule, "BATCHES", (1, 2))
    times = iter([1.0, 5.0, 1.5])  # of one tile here, of one and of two tiles there
    monkeypatch.setattr(rule, "_seconds", lambda work: next(times))
    for _ in range(2):
        assert rule.least_batch(machine, model.codec, model.identity, 1) == 2
    rule.cache().write_text("[]")
    times = iter([1.0, 5.0, 5.0])
    assert rule.least_batch(machine, model.codec, model.identity, 1) == rule.NEVER


@pytest.fixture(params=["flow", "painter"])
def other(request):
    """Return a model of another codec."""
    codec = {"flow": make_idf, "painter": make_vqvae}[request.param](3)
    return model_file.load(model_file.dump(codec, request.param), "test")


def test_other_codecs(alone, machine, other, warnings):
    tiles = [tile(9 + i % 2, 10 + i % 3, i) for i in range(5)]
    sizes = [one.shape[1:] for one in tiles]
    here = other.architecture
    assert check.passes(machine, other.codec, other.test)
    assert check.passes(alone.machine, other.codec, other.test)
    found = [future.result() for future in alone.encode(other, other.codec, tiles)]
    assert found == here.encode_levels(other.codec, tiles)
    streams = [b"".join(parts) for parts in found]
    back = alone.decode(other, other.codec, streams, sizes)
    for future, expected in zip(back, here.decode(other.codec, streams, sizes), strict=True):
        np.testing.assert_array_equal(future.result(), expected)
    (seen,) = alone.preview(other, other.codec, [streams[0][:8]], sizes[:1], True)
    expected = here.preview(other.codec, streams[0][:8], sizes[0], True)
    np.testing.assert_array_equal(seen.result().planes, expected.planes)
    assert warnings == []


def test_a_painting_to_come(alone):
    codec = make_vqvae(3)
    model = model_file.load(model_file.dump(codec, "painter"), "test")
    given = (tile(16, 24), 2, 300, (1, 0, 0, 1))
    parts, painted = alone.paint(model, codec, *given).result()
    expected = vqvae.encode_stages(codec, *given)
    assert parts == expected[0]
    np.testing.assert_array_equal(painted, expected[1])


@pytest.fixture
def pair():
    """Return the two models of lossy-first tiles."""
    rest = make_flagship(3, learning=Learning(900, 1, 3), looks=True)
    models = [
        model_file.load(model_file.dump(codec, name), "test")
        for codec, name in ((rest, "rest"), (make_vqvae(3), "painter"))
    ]
    return fit.Pair(*models, LossyFirst(models[1].codec, models[0].codec))


def test_lossy_first_tiles_to_come(alone, pair):
    codec, given = pair.codec, (tile(16, 24), 2, 300, (1, 0, 0, 1))
    inner = codec.inner(given[0], given[-1])
    parts = alone.encode_first(pair, codec, *given).result()
    assert parts == lossy_first.encode(codec, *given)
    stream, size = b"".join(parts), inner.shape[1:]
    (back,) = alone.decode(pair, codec, [stream], [size])
    np.testing.assert_array_equal(back.result(), inner)
    (seen,) = alone.preview(pair, codec, [parts[0]], [size], True)
    expected = lossy_first.preview(codec, parts[0], size, True)
    np.testing.assert_array_equal(seen.result().planes, expected.planes)


@pytest.mark.parametrize("which", [0, 1])
def test_both_models_of_a_pair_are_tested(alone, pair, which):
    """A device that gives one of them other sums codes with neither."""
    wrong = {**pair.tests[which], "test.sums": pair.tests[which]["test.sums"] + 1}
    tests = [wrong if i == which else test for i, test in enumerate(pair.tests)]
    assert check.passes(alone.machine, pair.codec, *pair.tests)
    assert not check.passes(alone.machine, pair.codec, *tests)


def test_auto_codes_lossy_first_tiles_on_the_processor(auto, pair, monkeypatch, warnings):
    monkeypatch.setattr(check, "passes", lambda *args: False)
    given = (tile(8, 9), 1, 0, (0, 0, 0, 0))
    expected = lossy_first.encode(pair.codec, *given)
    assert auto.encode_first(pair, pair.codec, *given).result() == expected
    assert len(warnings) == 1


def test_auto_leaves_other_codecs_where_they_are_faster(auto, other, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(rule, "SIDE", 8)
    monkeypatch.setattr(rule, "BATCHES", (1, 2))
    times = iter([1.0, 5.0, 5.0])  # of one tile here, of one and of two tiles there
    monkeypatch.setattr(rule, "_seconds", lambda work: (work(), next(times))[1])
    monkeypatch.setattr(engine.of(other.codec), "encode", out_of_memory)
    monkeypatch.setattr(check, "passes", lambda *args: True)
    (future,) = auto.encode(other, other.codec, [tile(6, 5)])
    assert future.result() == other.architecture.encode_levels(other.codec, [tile(6, 5)])[0]


def test_a_device_that_fails_while_it_is_checked_is_left(auto, alone, other, monkeypatch, warnings):
    def fail(*args):
        raise RuntimeError("CUDA error: an illegal memory access\nmore")

    monkeypatch.setattr(check, "passes", fail)
    expected = other.architecture.encode_levels(other.codec, [tile(6, 5)])[0]
    for _ in range(2):
        assert auto.encode(other, other.codec, [tile(6, 5)])[0].result() == expected
    assert len(warnings) == 1
    (future,) = alone.encode(other, other.codec, [tile(6, 5)])
    with pytest.raises(DeviceError, match=r"CUDA error: an illegal memory access$"):
        future.result()


def test_what_the_process_asked_of_torch_is_put_back(machine):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with machine.in_use():
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
            assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.set_float32_matmul_precision(before)


def test_products_stay_exact_until_the_last_is_done(machine):
    """As of two workers: the first to come is the first to go."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    first, second = machine.in_use(), machine.in_use()
    try:
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
        second.__exit__(None, None, None)
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.set_float32_matmul_precision(before)


def test_periods_follow_from_sizes():
    (run,) = side_by_side([Group(((20, 30),)), Group(((3, 4),))])
    starts, counts = run.periods()
    assert counts.sum(1).tolist() == [600, 12]
    assert (counts[0, :-1] >= 128).all()
    np.testing.assert_array_equal(starts[0, 1:], np.cumsum(counts[0])[:-1])
    assert not run.closings[1].any()
    assert STATIC.rate == 0
