"""Checkpoints: all that training needs to go on as if it had never stopped.

A safetensors file: the network, its average, the optimizer's state, and as text the step, the
seconds and what was trained on what. It is written beside the last one and renamed, so that there
is always a whole one.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from idfzip.errors import TrainingError
from idfzip.training.task import N

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass
class State(Generic[N]):
    """Where training stands; `processor`, seconds of it; `running`, the smoothed loss."""

    network: N
    average: N
    optimizer: torch.optim.AdamW
    step: int = 0
    seconds: float = 0.0
    processor: float = 0.0
    running: float = 0.0


def save(path: Path, state: State[Any], purpose: str) -> None:
    """Write a checkpoint; `purpose` tells it from those of other trainings.

    Raises TrainingError where it cannot be written.
    """
    names = ("step", "seconds", "processor", "running")
    numbers = {name: getattr(state, name) for name in names}
    metadata = {"state": json.dumps(numbers), "purpose": purpose}
    data = safetensors.torch.save(_tensors(state), metadata)
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise TrainingError(f"{path}: cannot be written ({error.strerror})") from None


def check(path: Path) -> None:
    """Raise TrainingError where there is no checkpoint; before the work that comes first."""
    if not path.is_file():
        raise TrainingError(f"{path}: no checkpoint to resume from")


def load(path: Path, state: State[Any], purpose: str) -> None:
    """Bring `state` to where a checkpoint stands; raises TrainingError where it does not fit."""
    check(path)
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise TrainingError(f"{path}: not a checkpoint ({error})") from None
    if metadata.get("purpose") != purpose:
        raise TrainingError(
            f"{path}: made with other images, another recipe, seed, start or number of processes; "
            "remove it to begin anew"
        )
    for name, tensor in _tensors(state, empty_moments=True).items():
        if name not in found or found[name].shape != tensor.shape:
            raise TrainingError(f"{path}: not a checkpoint of this network ({name})")
    for module, prefix in ((state.network, "network."), (state.average, "average.")):
        parts = {n.removeprefix(prefix): t for n, t in found.items() if n.startswith(prefix)}
        module.load_state_dict(parts)
    for name, parameter in state.network.named_parameters():
        state.optimizer.state[parameter] = {
            key: found[f"adam.{name}.{key}"].to("cpu" if key == "step" else parameter.device)
            for key in _MOMENTS
        }
    numbers = json.loads(metadata["state"])
    state.step, state.seconds = int(numbers["step"]), float(numbers["seconds"])
    state.processor, state.running = float(numbers["processor"]), float(numbers["running"])


def _tensors(state: State[Any], empty_moments: bool = False) -> dict[str, Tensor]:
    tensors = {}
    for module, prefix in ((state.network, "network."), (state.average, "average.")):
        for name, tensor in module.state_dict().items():
            tensors[prefix + name] = tensor.detach().clone().contiguous()
    for name, parameter in state.network.named_parameters():
        moments = state.optimizer.state.get(parameter, {})
        for key in _MOMENTS:
            nothing = torch.zeros(()) if key == "step" else torch.zeros_like(parameter)
            value = nothing if empty_moments else moments.get(key, nothing)
            tensors[f"adam.{name}.{key}"] = value.detach().clone().contiguous()
    return tensors
