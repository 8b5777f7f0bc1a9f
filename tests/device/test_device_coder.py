"""Streams of symbols: the kernel and the operators take the same ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from idfzip.coding import ans
from idfzip.priors import mixture as mixtures

torch = pytest.importorskip("torch", reason="devices need torch (the extra idfzip[cuda])")

from idfzip.device import coder  # noqa: E402
from idfzip.device.mixture import Mixtures  # noqa: E402

GROUPS, TILES, SLOTS, COMPONENTS = 3, 2, 5, 3


def whole(machine, array):
    return machine.tensor(np.ascontiguousarray(array).astype(np.int64))


def any_mixtures(machine, rng):
    n, k = GROUPS * TILES * SLOTS, COMPONENTS
    weights = (rng.dirichlet([1] * k, n) * 2**14).astype(np.int64)
    weights[:, 0] += 2**14 - weights.sum(1)
    inverses = mixtures.tables(52).inverse[rng.integers(0, 208, (n, k))]
    means = rng.integers(-64 * 300, 64 * 300, (n, k))
    parts = (weights, means, inverses, rng.integers(-255, 1, n), np.ones(n))
    return Mixtures(*(whole(machine, part) for part in parts))


ALPHABETS = (1, 2, 200, 256, 257, 5000, 65536)


def compare(machine):
    """Take symbols of random streams by the kernel and by operators; both leave the same behind."""
    from idfzip.device import kernels

    for alphabet in ALPHABETS:
        rng = np.random.default_rng(alphabet)
        streams = [rng.bytes(4 * n) for n in (30, 2, 0)]
        one, other = (coder.decoder(machine, streams) for _ in range(2))
        found = any_mixtures(machine, rng)
        counts = whole(machine, rng.integers(0, SLOTS + 1, (GROUPS, TILES)))
        sigmoid = whole(machine, mixtures.tables(52).sigmoid)
        how = (found, counts, SLOTS, alphabet, sigmoid)
        assert torch.equal(coder.take_by_operators(one, *how), kernels.take(other, *how))
        assert torch.equal(one.state, other.state)
        assert torch.equal(one.place, other.place)


def test_the_kernel_takes_what_the_operators_take(machine):
    """On a processor triton interprets it, which must be said before it is imported."""
    pytest.importorskip("triton", reason="the kernel needs triton")
    if machine.device.type == "cuda":
        compare(machine)
        return
    code = (
        "import torch; from test_device_coder import compare;"
        "from idfzip.device.machine import Machine; compare(Machine(torch.device('cpu')))"
    )
    env = {**os.environ, "TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, env=env, check=True)


@pytest.mark.parametrize("rounds", [1, 2])
def test_the_kernel_compiles_for_a_gpu_that_is_not_here(rounds):
    """What an interpreter takes, a compiler may not."""
    triton = pytest.importorskip("triton", reason="the kernel needs triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from idfzip.device import kernels

    pointers = [
        "place",
        "end",
        "state",
        "counts",
        "weights",
        "means",
        "inverses",
        "lows",
        "sigmoid",
        "values",
    ]
    types = {"words": "*i32", **dict.fromkeys(pointers, "*i64")}
    types |= dict.fromkeys(("tiles", "slots", "alphabet"), "i32")
    fixed = {"components": 5, "rounds": rounds, "ways": coder.WAYS, "total": ans.TOTAL}
    fixed |= {"precision": ans.PRECISION, "reach": mixtures.END, "down": 36}
    signature = {**types, **dict.fromkeys(fixed, "constexpr")}
    source = ASTSource(kernels._take, signature=signature, constexprs=fixed)
    made = triton.compile(source, GPUTarget("cuda", 90, 32), {"enable_fp_fusion": False})
    assert made.asm["cubin"]


def test_states_are_those_of_the_kernels(machine):
    """States above 2**63 are negative in int64 and must not be taken for small ones."""
    rng = np.random.default_rng(0)
    words = np.concatenate(
        [
            np.array([0xFFFFFFFF, 0xFFFFFFFE], np.uint32),
            rng.integers(0, 1 << 32, 40).astype(np.uint32),
        ]
    )
    theirs = ans.decoder([words])
    mine = coder.decoder(machine, [ans.to_bytes(words)])
    sigmoid = whole(machine, mixtures.tables(52).sigmoid)
    count = whole(machine, [[1]])
    for _ in range(60):
        found = Mixtures(*(part[:1] for part in any_mixtures(machine, rng)))
        low, alphabet = int(found.lows[0]), 256
        value = int(coder.take(mine, found, count, 1, alphabet, sigmoid)[0])
        lane = [np.ascontiguousarray(part.cpu().numpy().T) for part in found[:3]]
        args = (low, alphabet, *lane, 0, mixtures.tables(52).sigmoid)
        expected, lower, upper = mixtures.search(ans.peek(theirs.state, 0), *args)
        ans.pop(theirs.words, theirs.place, theirs.state, 0, lower, upper - lower)
        assert value == expected
        assert mine.state.cpu().numpy().view(np.uint64)[0] == theirs.state[0]
