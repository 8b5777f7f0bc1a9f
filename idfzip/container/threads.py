"""Many jobs over a few threads, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import repeat
from typing import TypeVar

T = TypeVar("T")


def in_order(
    jobs: Iterable[Callable[[], T]],
    threads: int,
    weights: Iterable[int] | None = None,
    most: int = 0,
) -> Iterator[T]:
    """Yield the results of jobs in their order.

    Jobs are taken by the caller's thread as their turn comes, at most twice as many as there are
    threads ahead of the one that is waited for, so that what they hold stays bounded. With
    `weights` those under way weigh no more than `most` together, unless it is one alone.
    """
    if threads == 1:
        for job in jobs:
            yield job()
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[tuple[Future[T], int]] = deque()
        held = 0
        try:
            for job, weight in zip(jobs, repeat(0) if weights is None else weights, strict=False):
                while ahead and (held + weight > most > 0 or len(ahead) > 2 * threads):
                    future, freed = ahead.popleft()
                    held -= freed
                    yield future.result()
                ahead.append((pool.submit(job), weight))
                held += weight
            while ahead:
                yield ahead.popleft()[0].result()
        finally:
            for future, _ in ahead:
                future.cancel()
