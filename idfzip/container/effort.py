"""How work is spread: over threads, over tiles in lockstep, perhaps to a device."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from idfzip.container.devices import Device
from idfzip.container.model_file import Model

Progress = Callable[[int], object]
"""Called with numbers of pixels as they are done."""

A = TypeVar("A")
T = TypeVar("T")

WAITING = 512
"""Threads that read, check and write while a device codes what they have brought: of two batches
(`worker.CALLERS`), so that one is read and written while the other is coded."""

HELD = 256 << 20
"""Bytes of the files that they have under way, which bounds what large images take."""


@dataclass(frozen=True)
class Effort:
    """How work is spread: threads, tiles that one thread advances in lockstep, perhaps a device.

    One tile of 256 rows fills a processor's panels and keeps its sums in a cache of 2 MB; more in
    lockstep are for tiles of few rows, and for devices that want larger groups.
    """

    threads: int = 1
    lockstep: int = 1
    device: Device | None = None

    @property
    def alone(self) -> Effort:
        """The effort of one thread of many."""
        return replace(self, threads=1)

    @property
    def jobs(self) -> int:
        """Jobs to have under way at once: with a device many, which wait for it together."""
        return self.threads if self.device is None else max(self.threads, WAITING)


def all_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fitting(effort: Effort, models: Sequence[Model]) -> Effort:
    """Return an effort that gives a device all tiles at once if it codes all these models."""
    if effort.device is None or not all(effort.device.codes(m.codec) for m in models):
        return effort
    return replace(effort, threads=1, lockstep=1 << 30)


def spread(
    code: Callable[[Sequence[int]], list[T]], tiles: Sequence[int], effort: Effort
) -> list[T]:
    """Run `code` on runs of tiles, over threads."""
    share = max(1, min(effort.lockstep, -(-len(tiles) // effort.threads)))
    batches = [tiles[i : i + share] for i in range(0, len(tiles), share)]
    if effort.threads == 1 or len(batches) == 1:
        return [result for batch in batches for result in code(batch)]
    with ThreadPoolExecutor(effort.threads) as pool:
        return [result for part in pool.map(code, batches) for result in part]


FEW = 4
"""Tiles that are worth a thread, of work that takes a thread a millisecond a tile."""


def each(work: Callable[[A], T], items: Iterable[A], count: int, threads: int) -> list[T]:
    """Return what small work makes of so many tiles, in threads as they come if they are many."""
    threads = min(threads, count // FEW)
    if threads <= 1:
        return list(map(work, items))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def results(
    futures: Sequence[Future[T]], pixels: Sequence[int], progress: Progress | None
) -> Iterator[T]:
    """Wait for what a device makes of tiles of so many pixels, one after the other."""
    for future, count in zip(futures, pixels, strict=True):
        found = future.result()
        if progress is not None:
            progress(count)
        yield found
