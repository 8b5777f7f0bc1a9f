"""The worker of a device: threads bring tiles and blocks, which it codes in batches.

Whoever reads files, checks sums and writes goes on in threads of its own, and waits here only for
its own tiles. What waits is coded together: all that is of one kind and model, as far as memory
allows, those of alike sizes first; how things happen to come together changes no byte.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy.typing as npt
import torch

from idfzip.codecs import block
from idfzip.codecs import flagship as kernels
from idfzip.codecs.block import Coded
from idfzip.codecs.flagship import Flagship
from idfzip.device import check, costs, flagship, rule
from idfzip.device.flagship import Noted
from idfzip.device.machine import Machine
from idfzip.device.schedule import Group
from idfzip.errors import DeviceError
from idfzip.flows.alphabet import BYTES
from idfzip.flows.autoregressive import Planes

QUIET = 0.01
"""Seconds without anything new after which a batch is begun, though there were room for more."""

SHARE = 0.7
"""Of the free memory of a GPU, what a batch may take by `costs`."""

PROCESSOR = 1 << 30
"""Bytes that a batch may take where the device is the processor."""


class Known(Protocol):
    """What the worker asks of a model: its identity, and its self-test's inputs and sums."""

    @property
    def identity(self) -> str:
        """The hash of the model."""
        ...

    @property
    def test(self) -> Mapping[str, npt.NDArray[Any]]:
        """The tensors of its self-test."""
        ...


@dataclass(frozen=True)
class _Kind:
    """What goes together into a batch."""

    identity: str
    learning: kernels.Learning
    alphabet: int
    work: str


@dataclass
class _Lane:
    """A tile or a block that waits: tiles to encode, or a stream to decode."""

    kind: _Kind
    model: Known
    codec: Flagship
    group: Group
    tiles: Sequence[Planes] = ()
    stream: bytes = b""
    result: Future[Any] = field(default_factory=Future)

    @property
    def steps(self) -> int:
        """Steps that it takes: lanes of as many waste least beside each other."""
        return sum(max(w + 2 * h for h, w in run) for run in self.group.runs)


class Worker:
    """Codes on a device; `alone` tells whether never on the processor, as `auto` does."""

    def __init__(
        self,
        machine: Machine,
        alone: bool,
        threads: int,
        max_batch: int | None,
        warn: Callable[[str], object],
    ) -> None:
        """Begin; `max_batch` is a number of pixels, None for as many as fit into free memory."""
        self.machine, self._alone, self._threads = machine, alone, threads
        self._max, self._warn = max_batch, warn
        self._waiting: list[_Lane] = []
        self._news = threading.Condition()
        self._least: dict[str, int] = {}
        self._hands = ThreadPoolExecutor(threads)
        self._thread: threading.Thread | None = None

    def __str__(self) -> str:
        return str(self.machine.device)

    def encode(
        self, model: Known, codec: Flagship, tiles: Sequence[Planes], alphabet: int = BYTES.values
    ) -> list[Future[bytes]]:
        """Return the streams to come of tiles, as `codecs.flagship.encode`."""
        kind = _Kind(model.identity, codec.learning, alphabet, "encode")
        return self._bring(
            [_Lane(kind, model, codec, Group((_size(tile),)), [tile]) for tile in tiles]
        )

    def decode(
        self,
        model: Known,
        codec: Flagship,
        streams: Sequence[bytes],
        sizes: Sequence[tuple[int, int]],
        alphabet: int = BYTES.values,
    ) -> list[Future[Planes | None]]:
        """Return the planes to come of streams, as `codecs.flagship.decode`."""
        kind = _Kind(model.identity, codec.learning, alphabet, "decode")
        return self._bring(
            [
                _Lane(kind, model, codec, Group((size,)), stream=stream)
                for stream, size in zip(streams, sizes, strict=True)
            ]
        )

    def encode_block(
        self, model: Known, codec: Flagship, tiles: Sequence[Planes], lockstep: int
    ) -> Future[Coded]:
        """Return a block to come, as `codecs.block.encode`."""
        kind = _Kind(model.identity, codec.learning, BYTES.values, "encode block")
        group = Group(tuple(map(_size, tiles)), lockstep)
        (found,) = self._bring([_Lane(kind, model, codec, group, tiles)])
        return found

    def decode_block(
        self,
        model: Known,
        codec: Flagship,
        stream: bytes,
        sizes: Sequence[tuple[int, int]],
        lockstep: int,
    ) -> Future[list[Planes]]:
        """Return the tiles to come of a block, as `codecs.block.decode`."""
        kind = _Kind(model.identity, codec.learning, BYTES.values, "decode block")
        group = Group(tuple(sizes), lockstep)
        (found,) = self._bring([_Lane(kind, model, codec, group, stream=stream)])
        return found

    def _bring(self, lanes: list[_Lane]) -> list[Future[Any]]:
        with self._news:
            self._waiting += lanes
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            self._news.notify()
        return [lane.result for lane in lanes]

    def _work(self) -> None:
        while True:
            batch = self._next()
            try:
                rest = self._code(batch)
            except BaseException as error:  # whoever waits gets it
                for lane in batch:
                    lane.result.set_exception(error)
            else:
                for lane, job in zip(batch, rest, strict=True):
                    self._hands.submit(_finish, lane, job)

    def _next(self) -> list[_Lane]:
        """Wait for lanes, and return those of the next batch."""
        with self._news:
            self._news.wait_for(lambda: self._waiting)
            seen = 0
            while len(self._waiting) > seen:  # until nothing new comes
                seen = len(self._waiting)
                self._news.wait(QUIET)
            kind = self._waiting[0].kind
            lanes = [lane for lane in self._waiting if lane.kind == kind]
            lanes.sort(key=lambda lane: lane.steps)
            batch = self._fitting(lanes)
            taken = set(map(id, batch))
            self._waiting = [lane for lane in self._waiting if id(lane) not in taken]
        return batch

    def _fitting(self, lanes: Sequence[_Lane]) -> list[_Lane]:
        """Return the first lanes, one or more, that fit into memory together."""
        room = self._free()
        cost = costs.encoding if lanes[0].kind.work.startswith("encode") else costs.decoding
        total = pixels = 0
        for i, lane in enumerate(lanes):
            pixels += lane.group.pixels
            total += cost(lane.codec, lane.group, lane.kind.alphabet)
            over = total > room if self._max is None else pixels > self._max
            if over and i:
                return list(lanes[:i])
        return list(lanes)

    def _free(self) -> int:
        if self.machine.device.type != "cuda":
            return PROCESSOR
        return int(SHARE * torch.cuda.mem_get_info(self.machine.device)[0])

    def _code(self, batch: Sequence[_Lane]) -> Sequence[Callable[[], Any]]:
        """Return what is left to do for the lanes of a batch, which gives their results."""
        first, on_processor = batch[0], [partial(_by_kernels, lane) for lane in batch]
        if len(batch) < self._least_batch(first.model, first.codec):
            return on_processor
        try:
            with _exact():
                return self._on_device(batch)
        except torch.cuda.OutOfMemoryError:
            pixels = sum(lane.group.pixels for lane in batch)
            text = f"not enough memory for {pixels} pixels at once: give a smaller --max-batch"
        except RuntimeError as error:  # what torch raises where the device fails
            text = str(error).partition("\n")[0]
        text = f"{self}: {text}"
        if self._alone:
            raise DeviceError(text)
        self._warn(f"{text}; going on on the processor")
        self._least = dict.fromkeys(self._least, rule.NEVER)
        return on_processor

    def _least_batch(self, model: Known, codec: Flagship) -> int:
        """Return from how many lanes on the device is taken; check the model there first."""
        if model.identity not in self._least:
            self._least[model.identity] = self._checked(model, codec)
        return self._least[model.identity]

    def _checked(self, model: Known, codec: Flagship) -> int:
        with _exact():
            if check.passes(self.machine, codec, model.test):
                if self._alone:
                    return 1
                return rule.least_batch(self.machine, codec, model.identity, self._threads)
        text = f"{self}: the self-test of model {model.identity[:16]} does not give the right sums"
        if self._alone:
            raise DeviceError(text)
        self._warn(f"{text}; going on on the processor")
        return rule.NEVER

    def _on_device(self, batch: Sequence[_Lane]) -> Sequence[Callable[[], Any]]:
        """Code lanes on the device; symbols are then still to be pushed."""
        machine, codec, kind = self.machine, batch[0].codec, batch[0].kind
        streams, groups = [lane.stream for lane in batch], [lane.group for lane in batch]
        if kind.work.startswith("encode"):
            blocks = [(lane.tiles, lane.group.lockstep) for lane in batch]
            noted = flagship.encode_blocks(machine, codec, blocks, kind.alphabet)
            return [partial(_pushed, kind.work, one) for one in noted]
        found: Sequence[Any]
        if kind.work == "decode":
            sizes = [group.sizes[0] for group in groups]
            found = flagship.decode(machine, codec, streams, sizes, kind.alphabet)
        else:
            found = flagship.decode_blocks(machine, codec, streams, groups)
        return [partial(_given, one) for one in found]


def _pushed(work: str, noted: Noted) -> bytes | Coded:
    coded = flagship.pushed(noted)
    return coded.stream if work == "encode" else coded


def _given(one: Any) -> Any:
    return one


def _finish(lane: _Lane, job: Callable[[], Any]) -> None:
    """Do what is left for a lane, and give its result to whoever waits."""
    try:
        lane.result.set_result(job())
    except BaseException as error:  # whoever waits gets it
        lane.result.set_exception(error)


def _by_kernels(lane: _Lane) -> Any:
    kind, group = lane.kind, lane.group
    if kind.work == "encode":
        return kernels.encode(lane.codec, lane.tiles, alphabet=kind.alphabet)[0]
    if kind.work == "decode":
        sizes = list(group.sizes)
        return kernels.decode(lane.codec, [lane.stream], sizes, alphabet=kind.alphabet)[0]
    if kind.work == "encode block":
        return block.encode(lane.codec, lane.tiles, group.lockstep)
    return block.decode(lane.codec, lane.stream, group.sizes, group.lockstep)


def _size(tile: Planes) -> tuple[int, int]:
    return tile.shape[1], tile.shape[2]


@contextmanager
def _exact() -> Iterator[None]:
    """Have products of singles taken as such, whatever this process has asked torch for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
