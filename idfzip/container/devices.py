"""Devices by their names: the processor, for which nothing is needed, or a worker on a GPU."""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from idfzip.codecs.block import Coded
from idfzip.codecs.flagship import Flagship
from idfzip.codecs.lossy_first import LossyFirst
from idfzip.codecs.painter import Vqvae
from idfzip.codecs.seen import Seen
from idfzip.codecs.vqvae import Sides
from idfzip.container import models
from idfzip.errors import DeviceError

Planes = npt.NDArray[np.int32]

AUTO, CPU, TORCH = "auto", "cpu", "torch"
"""Names beside cuda and cuda:N; `torch` is the code for GPUs on the processor, for its tests."""

GET = "pip install 'idfzip[cuda]'"


class Known(Protocol):
    """A model, as `model_file.Model`, or a pair of them, `fit.Pair`."""

    @property
    def identity(self) -> str:
        """The hash of the model."""
        ...

    @property
    def tests(self) -> Sequence[Mapping[str, npt.NDArray[Any]]]:
        """The tensors of its self-tests."""
        ...


class Device(Protocol):
    """What codes tiles and blocks, as `device.worker.Worker`; results are to come."""

    def codes(self, codec: object) -> bool: ...  # noqa: D102

    def encode(  # noqa: D102
        self, model: Known, codec: Any, tiles: Sequence[Planes], alphabet: int
    ) -> Sequence[Future[list[bytes]]]: ...

    def decode(  # noqa: D102
        self,
        model: Known,
        codec: Any,
        streams: Sequence[bytes],
        sizes: Sequence[tuple[int, int]],
        alphabet: int,
    ) -> Sequence[Future[Planes | None]]: ...

    def preview(  # noqa: D102
        self,
        model: Known,
        codec: Any,
        streams: Sequence[bytes],
        sizes: Sequence[tuple[int, int]],
        cut: bool,
        alphabet: int,
    ) -> Sequence[Future[Seen]]: ...

    def paint(  # noqa: D102
        self, model: Known, codec: Vqvae, tile: Planes, stages: int, rate: int, sides: Sides
    ) -> Future[tuple[list[bytes], Planes]]: ...

    def encode_first(  # noqa: D102
        self, model: Known, codec: LossyFirst, tile: Planes, stages: int, rate: int, sides: Sides
    ) -> Future[list[bytes]]: ...

    def encode_block(  # noqa: D102
        self, model: Known, codec: Flagship, tiles: Sequence[Planes], lockstep: int
    ) -> Future[Coded]: ...

    def decode_block(  # noqa: D102
        self,
        model: Known,
        codec: Flagship,
        stream: bytes,
        sizes: Sequence[tuple[int, int]],
        lockstep: int,
    ) -> Future[list[Planes]]: ...


def is_name(name: str) -> bool:
    """Return whether a device may be called so."""
    return re.fullmatch(r"auto|cpu|torch|cuda(:\d{1,3})?", name) is not None


def find(
    name: str, threads: int, max_batch: int | None, warn: Callable[[str], object]
) -> Device | None:
    """Return the device of a name, None for the processor's kernels.

    `auto` is a GPU where there are one and torch; whether it is taken then is up to what was
    measured (`device.rule`). `max_batch` are the most pixels of a batch, None for as many as memory
    holds; `warn` is called with lines for the user. Raises DeviceError where the device is missing.
    """
    if not is_name(name):
        raise DeviceError(f"device {name!a}: auto, cpu, cuda or cuda:N expected")
    if name == CPU or (name == AUTO and not (gpus() and find_spec("torch"))):
        return None
    if find_spec("torch") is None:
        raise DeviceError(f"--device {name} needs torch: {GET}")
    torch = importlib.import_module("torch")
    kind = {TORCH: "cpu", AUTO: "cuda"}.get(name, name)
    if kind != "cpu":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        number = int(kind.partition(":")[2] or 0)
        if number >= count:
            text = f"{name}: torch {torch.__version__} finds {count} GPUs here"
            if name == AUTO:
                warn(f"{text}; going on on the processor")
                return None
            raise DeviceError(text)
    worker = importlib.import_module("idfzip.device.worker")
    machine = importlib.import_module("idfzip.device.machine").Machine(torch.device(kind))
    found: Device = worker.Worker(machine, name != AUTO, threads, max_batch, warn)
    return found


def gpus() -> int:
    """Return how many GPUs NVIDIA's driver knows; importing torch would take seconds."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def listed() -> list[dict[str, Any]]:
    """Return the processor and every GPU, and whether released models pass their self-test there.

    Each with the keys `device`, `name` and `models`, a dictionary of truths by model. Raises
    DeviceError where a GPU fails.
    """
    progressive = [name for names in models.PROGRESSIVE.values() for name in names]
    released = [name for names in models.RELEASED.values() for name in names]
    known = [models.packaged(name) for name in (*released, *progressive, models.LOSSY)]
    here = {model.name: model.passes_self_test() for model in known}
    rows: list[dict[str, Any]] = [{"device": CPU, "name": _processor(), "models": here}]
    if not gpus() or find_spec("torch") is None:
        return rows
    torch = importlib.import_module("torch")
    passes = importlib.import_module("idfzip.device.check").passes
    codes = importlib.import_module("idfzip.device.engine").codes
    machine = importlib.import_module("idfzip.device.machine").Machine
    for i in range(torch.cuda.device_count()):
        found = machine(torch.device(f"cuda:{i}"))
        coded = [model for model in known if codes(found, model.codec)]
        try:
            there = {model.name: passes(found, model.codec, *model.tests) for model in coded}
        except Exception as error:  # torch's where the device fails, triton's, a compiler's
            raise DeviceError(f"cuda:{i}: {str(error).partition(chr(10))[0]}") from None
        name = torch.cuda.get_device_name(i)
        rows.append({"device": f"cuda:{i}", "name": name, "models": there})
    return rows


def _processor() -> str:
    return platform.processor() or platform.machine()
