"""The processes that train together: alone, or as `torchrun` started them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from idfzip.errors import TrainingError


@dataclass(frozen=True)
class Group:
    """Number `rank` of `size` processes, and its device."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process reports and writes files."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return the module, or one that averages its gradients over all processes."""
        return DistributedDataParallel(module) if self.size > 1 else module

    def agree(self, value: float) -> float:
        """Return the first process's value in every process."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared.item())


def find_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device of a name: auto, cpu, cuda or cuda:N; raises TrainingError."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number.isdecimal() or name == "cuda"):
        raise TrainingError(f"device {name}: auto, cpu, cuda or cuda:N expected")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(number) if number else local_rank
    if index >= count:
        raise TrainingError(f"device {name}: torch finds {count} CUDA devices here; use cpu")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


@contextmanager
def joined(device: str) -> Iterator[Group]:
    """Join the processes that `torchrun` started, if it did; leave them at the end."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    rank, local = (int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK"))
    found = find_device(device, local)
    if size == 1:
        yield Group(0, 1, found)
        return
    dist.init_process_group("nccl" if found.type == "cuda" else "gloo")
    try:
        yield Group(rank, size, found)
    finally:
        dist.destroy_process_group()
