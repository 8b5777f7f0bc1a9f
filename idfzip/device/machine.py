"""Where tensors live, and how they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Allocate = Callable[[tuple[int, ...], torch.dtype, torch.device], Tensor]
"""Returns a tensor of a shape, whose values nobody relies on."""


def allocate(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a tensor with whatever its memory holds."""
    return torch.empty(shape, dtype=dtype, device=device)


@dataclass(frozen=True)
class Machine:
    """A device of torch; every buffer comes from `allocate`, so that tests can poison it."""

    device: torch.device
    allocate: Allocate = allocate

    def empty(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Return room whose values nobody relies on."""
        return self.allocate(shape, dtype, self.device)

    def zeros(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Return zeros."""
        return self.empty(*shape, dtype=dtype).zero_()

    def range(self, count: int) -> Tensor:
        """Return 0, 1, .. as int64."""
        return torch.arange(count, device=self.device)

    def tensor(self, array: npt.NDArray[Any], dtype: torch.dtype | None = None) -> Tensor:
        """Return a copy of an array; through pinned memory where that overlaps with work."""
        made = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.type == "cuda":
            return made.pin_memory().to(self.device, dtype=dtype, non_blocking=True)
        return made.to(dtype=dtype, copy=True)
