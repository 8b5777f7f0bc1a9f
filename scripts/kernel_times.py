"""Time fused kernels on a GPU: `python scripts/kernel_times.py [-m MODEL] [-k MODULE]`.

In the middle of tiles side by side it tells the microseconds of each kernel of a step, with 1 to 8
warps, and with each of some sizes of its programs, one changed at a time. Launches are repeated in
a graph, so that none waits for the host.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from kernel_counts import Launch, Size, recorded, step

from idfzip.codecs import flagship as kernels
from idfzip.codecs import lattice as lattice_kernels
from idfzip.codecs.lattice import Lattice
from idfzip.coding import ans, turns
from idfzip.container import models
from idfzip.device import fused
from idfzip.device.check import any_tile
from idfzip.device.machine import Machine

SIZES: dict[str, dict[str, Sequence[int]]] = {
    "chain": {"ROWS": (16, 32, 64), "COLUMNS": (32, 64, 128), "DEPTH": (16, 32)},
    "context": {"LANES": (32, 64, 128)},
    "dense": {"ROWS": (32, 64, 128), "COLUMNS": (32, 64, 128), "DEPTH": (16, 32, 64)},
    "expert": {"LANES": (32, 64), "WARPS": (1, 2)},
    "finish": {"ROWS": (32, 64, 128)},
    "head": {"ROWS": (16, 32, 64)},
    "lattice": {"LANES": (16, 32, 64)},
    "lattice_head": {"ROWS": (16, 32, 64)},
    "learning": {
        "ROWS": (16, 32, 64),
        "DOWN": (16, 32, 64),
        "ACROSS": (32, 64, 128),
        "DEPTH": (16, 32, 64),
    },
    "symbols": {"PROBED": (8, 16, 32)},
    "trunk": {
        "ROWS": (16, 32, 64),
        "COLUMNS": (64, 128),
        "DEPTH": (16, 32, 64),
        "WARPS": (2, 4, 8),
    },
    "window": {"ROWS": (8, 16, 32), "TERMS": (8, 16, 32)},
}
"""Sizes that are tried, by modules of `idfzip.device.fused`."""

WARPS = (1, 2, 4, 8)
REPEATS = 20


def timed(machine: Machine, one: Launch, warps: int | None = None) -> float:
    """Return the microseconds of a launch; what it counts with is put back."""
    kept = [(a, a.clone()) for a in one.args if isinstance(a, torch.Tensor) and a.numel() < 1 << 16]
    fixed = one.fixed if warps is None else {**one.fixed, "warps": warps}
    launch = partial(fused.launch, one.kernel, one.grid, *one.args, **fixed)
    if not machine.is_gpu:
        start = time.perf_counter()
        launch()
        spent = 1e6 * (time.perf_counter() - start)
    else:
        launch()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(REPEATS):
                launch()
        graph.replay()
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]  # type: ignore[no-untyped-call]
        events[0].record()
        graph.replay()
        events[1].record()
        events[1].synchronize()
        spent = 1e3 * events[0].elapsed_time(events[1]) / REPEATS
    for tensor, before in kept:
        tensor.copy_(before)
    return spent


def zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return zeros: a period that is timed has more rows than were coded."""
    return torch.zeros(shape, dtype=dtype, device=device)


def streams(codec: Any, size: Size) -> bytes:
    """Return the stream of a tile."""
    tile = np.ascontiguousarray(any_tile(codec.channels, max(size))[:, : size[0], : size[1]])
    if isinstance(codec, Lattice):
        return lattice_kernels.encode(codec, [tile])[0]
    return kernels.encode(codec, [tile])[0]


@click.command()
@click.option("--device", default="cuda", show_default=True)
@click.option("-m", "--model", "name", default="photo", show_default=True)
@click.option("--tiles", default=92, show_default=True)
@click.option("--size", nargs=2, type=int, default=(256, 1024), show_default=True)
@click.option("-k", "--kernels", "only", multiple=True, help="Modules; all without.")
@click.option("-s", "--set", "given", multiple=True, help="MODULE.NAME=NUMBER, before all else.")
@click.option("--json", "out", type=click.Path(path_type=Path))
def main(
    device: str,
    name: str,
    tiles: int,
    size: Size,
    only: Sequence[str],
    given: Sequence[str],
    out: Path | None,
) -> None:
    """Print what the kernels take on a GPU, and with other sizes."""
    for setting in given:
        where, _, number = setting.partition("=")
        of, _, what = where.partition(".")
        setattr(import_module(f"idfzip.device.fused.{of}"), what, int(number))
    machine = Machine(torch.device(device), zeros, fused=True)
    codec = models.by_name(name).codec
    data = [ans.from_bytes(streams(codec, size))] * tiles
    host = turns.decoder(data)
    rows: list[dict[str, Any]] = []
    with torch.inference_mode(), machine.in_use():
        made = step(machine, codec, host, [size] * tiles)
        for t in range((size[1] + 2 * size[0]) // 2):
            made.forward(t)

        def measure(module: str, what: str, warps: int | None = None) -> None:
            spent: dict[str, float] = {}
            for work, prepare in (
                (made.advance, made.ready), (made.learn, made.due), (made.end, made.due),
            ):  # fmt: skip
                prepare()
                with recorded(fused.launch) as launches:
                    work()
                prepare()
                for one in launches:
                    if one.name.startswith(f"{module}."):
                        took = timed(machine, one, warps)
                        spent[one.name] = spent.get(one.name, 0.0) + took
            for kernel, total in spent.items():
                rows.append({"kernel": kernel, "setting": what, "microseconds": total})
                click.echo(f"{kernel}, {what}: {total:.1f} us")
            if out is not None:
                out.write_text(json.dumps(rows, indent=1))

        for module in only or ("rows", "painted", *SIZES):
            measure(module, "as it is")
            for warps in WARPS:
                measure(module, f"{warps} warps", warps)
            one = import_module(f"idfzip.device.fused.{module}")
            for size_of, values in SIZES.get(module, {}).items():
                before = getattr(one, size_of)
                for value in values:
                    setattr(one, size_of, value)
                    measure(module, f"{size_of} {value}")
                setattr(one, size_of, before)


if __name__ == "__main__":
    main()
