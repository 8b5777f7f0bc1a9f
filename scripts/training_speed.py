"""Measure how fast a recipe trains, and which share of a step is not the network's.

Usage: `python scripts/training_speed.py FOLDER [--recipe default] [--device cpu]`, with the extra
`idfzip[train]`. Medians over steps of full size; the samples of a few images are enough.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch

from idfzip.training import session
from idfzip.training.group import Group, find_device
from idfzip.training.loop import Limit
from idfzip.training.session import Plan


def seconds(act: Callable[[], object], repeats: int, device: torch.device) -> list[float]:
    """Return the seconds of each of several calls, after one that does not count."""
    found = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        act()
        if device.type == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return found[1:]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--recipe", default="default")
@click.option("--device", default="auto")
@click.option("--repeat", default=20)
@click.option("--threads", default=2)
def main(folder: Path, recipe: str, device: str, repeat: int, threads: int) -> None:
    """Print the speed of a training step on the images in FOLDER, and its parts."""
    torch.set_num_threads(threads)
    place = find_device(device)
    prepared = session.prepare(Plan([folder], Limit(1), "speed", recipe=recipe))
    task = session.make_task(prepared, Group(0, 1, place))
    network = task.network()
    network.set_exact(True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-6)

    def step() -> None:
        bits = task.bits(network, task.batch(0, 0, 1))
        optimizer.zero_grad()
        bits.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    whole = seconds(step, repeat, place)
    batches = seconds(lambda: task.batch(0, 0, 1), repeat, place)
    speeds = sorted(task.pixels / 1e6 / s for s in whole)
    share = 100 * statistics.median(batches) / statistics.median(whole)
    click.echo(
        f"{recipe}, {place}, {threads} threads: {statistics.median(speeds):.3f} MP/s "
        f"({speeds[0]:.3f} to {speeds[-1]:.3f}), {1000 * statistics.median(whole):.1f} ms a step, "
        f"{share:.0f}% of it to make the batch"
    )


if __name__ == "__main__":
    main()
