"""Where tensors live, and how they are made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.device import stream

T = TypeVar("T")

PINNED = 1 << 24
"""Most bytes that are copied through pinned memory, which takes long to take. [Not measured.]"""

PIECE = 1 << 22
"""Bytes that the host copies at once, through pinned memory that is taken again and again."""

Allocate = Callable[[tuple[int, ...], torch.dtype, torch.device], Tensor]
"""Returns a tensor of a shape, whose values nobody relies on."""


def allocate(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a tensor with whatever its memory holds."""
    return torch.empty(shape, dtype=dtype, device=device)


class _Exact:
    """Has products of singles be exact while anybody is inside.

    Torch's switches are those of the process, so whoever comes first sets them and whoever goes
    last puts them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: list[str] = []

    @property
    def _backends(self) -> tuple[Any, ...]:
        return torch.backends.cuda.matmul, torch.backends.mkldnn.matmul  # type: ignore[attr-defined]

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = [one.fp32_precision for one in self._backends]
                for one in self._backends:
                    one.fp32_precision = "ieee"
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for one, precision in zip(self._backends, self._before, strict=True):
                    one.fp32_precision = precision


_EXACT = _Exact()


@dataclass(frozen=True)
class Machine:
    """A device of torch; every buffer comes from `allocate`, so that tests can poison it.

    `hands` are threads for the host's share of the work; without them the caller does it. Kernels
    are `fused` where they can be; the processor's are triton's interpreter, for tests. What a GPU
    does goes in order along its default stream, or along the first of `streams` of its own, and on
    the other one what goes on beside (`both`).
    """

    device: torch.device
    allocate: Allocate = allocate
    hands: Executor | None = None
    fused: bool | None = None
    streams: tuple[torch.cuda.Stream, torch.cuda.Stream] | None = None

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU, and not torch's code for the processor."""
        return self.device.type == "cuda"

    @property
    def fuses(self) -> bool:
        """Whether fused kernels do the work, and not torch's operators."""
        if self.fused is not None:
            return self.fused
        return self.is_gpu and find_spec("triton") is not None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Have device and stream be the current ones, and products of singles exact, here.

        Triton launches on the current device only. What this process has asked torch for, TF32 or
        less in products, is put back when the last thread is done.
        """
        there = torch.cuda.device(self.device if self.is_gpu else -1)
        with _EXACT, there, torch.cuda.stream(self.streams[0] if self.streams else None):
            yield

    def aside(self) -> Machine:
        """Return the machine on streams of its own, beside what others do on the device."""
        if not self.is_gpu or self.streams is not None:
            return self
        return replace(self, streams=(stream.own(self.device), stream.own(self.device)))

    def both(self, one: Callable[[], None], other: Callable[[], None]) -> None:
        """Do two works that touch nothing of each other's, at once where there are streams."""
        if self.streams is None:
            one()
            other()
            return
        mine, beside = torch.cuda.current_stream(self.device), self.streams[1]
        beside.wait_stream(mine)
        with torch.cuda.stream(beside):
            one()
        other()
        mine.wait_stream(beside)

    def each(self, work: Callable[[int], T], count: int) -> list[T]:
        """Return what the host makes of 0 .. count - 1, in threads if there are some."""
        numbers = range(count)
        return list(map(work, numbers) if self.hands is None else self.hands.map(work, numbers))

    def free(self) -> int:
        """Return the free bytes of a GPU's memory: the driver's, and those that torch has kept."""
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(torch.cuda.mem_get_info(self.device)[0]) + kept

    def empty(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Return room whose values nobody relies on."""
        return self.allocate(shape, dtype, self.device)

    def zeros(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Return zeros."""
        return self.empty(*shape, dtype=dtype).zero_()

    def range(self, count: int) -> Tensor:
        """Return 0, 1, .. as int64."""
        return torch.arange(count, device=self.device)

    def host(self, tensor: Tensor) -> npt.NDArray[Any]:
        """Return a copy of a tensor in the host's memory, or the tensor itself if it is there.

        Copying to memory that is not pinned is slow, and taking much that is pinned is, too.
        """
        if not self.is_gpu:
            return tensor.numpy()
        found = torch.empty(tensor.shape, dtype=tensor.dtype)
        given, taken = tensor.reshape(-1), found.view(-1).numpy()
        share, stream = PIECE // tensor.element_size(), torch.cuda.current_stream(self.device)

        def copy(i: int) -> None:
            piece = given[i * share : (i + 1) * share]
            through = torch.empty(piece.shape, dtype=piece.dtype, pin_memory=True)
            with torch.cuda.stream(stream):
                through.copy_(piece, non_blocking=True)
            stream.synchronize()
            np.copyto(taken[i * share : (i + 1) * share], through.numpy())

        self.each(copy, -(-len(taken) // share))
        return found.numpy()

    def tensor(self, array: npt.NDArray[Any], dtype: torch.dtype | None = None) -> Tensor:
        """Return a copy of an array; through pinned memory where that overlaps with work."""
        made = torch.from_numpy(np.ascontiguousarray(array))
        if self.is_gpu and array.nbytes > PINNED:
            return made.to(self.device).to(dtype or made.dtype)
        if self.is_gpu:  # converted there: here it would lose the pinned memory
            return made.pin_memory().to(self.device, non_blocking=True).to(dtype or made.dtype)
        return made.to(dtype=dtype, copy=True)
