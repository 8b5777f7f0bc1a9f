"""The worker of a device: threads bring tiles and blocks, which it codes in batches.

Whoever reads files, checks sums and writes goes on in threads of its own, and waits here only for
its own tiles. What waits is coded together: all that is of one kind and model, as far as memory
allows, those of alike sizes first; how things happen to come together changes no byte.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch

from idfzip.codecs.block import Coded
from idfzip.codecs.flagship import Flagship
from idfzip.codecs.lossy_first import LossyFirst
from idfzip.codecs.painter import Vqvae
from idfzip.codecs.seen import Seen
from idfzip.codecs.vqvae import Sides
from idfzip.device import check, engine, lane, rule
from idfzip.device.engine import Parts, Planes, Size
from idfzip.device.lane import Known, Lane, Later
from idfzip.device.machine import Machine
from idfzip.errors import DeviceError, IdfzipError
from idfzip.flows.alphabet import BYTES

QUIET = 0.02
"""Seconds without anything new after which a batch is begun, though there were room for more."""

FULL = 1 << 14
"""Pixels side by side with which a batch does not wait for more.

On an H200 1,500 steps of 2,048 pixels took half as long as of 24,576.
"""

CALLERS = 256
"""Most whose lanes a batch takes. All of them go on when it is done; if more wait than these, the
device has work meanwhile.

On an H200 640 images of 512 x 512 went with 48.6 and 47.4 megapixels a second, encoding and
decoding; 192 callers, of 384 that wait, with 44.8 and 44.9; 128, of 256, with 39.7 and 42.3.
"""

SHARE = 0.7
"""Of the free memory of a GPU, what a batch may take as its lanes count it."""

PROCESSOR = 1 << 30
"""Bytes that a batch may take where the device is the processor."""


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
        self._hands = ThreadPoolExecutor(threads)
        self.machine = replace(machine, hands=self._hands)
        self._alone, self._threads = alone, threads
        self._max, self._warn = max_batch, warn
        self._waiting: list[Lane] = []
        self._callers = 0
        self._news = threading.Condition()
        self._least: dict[str, int] = {}
        self._thread: threading.Thread | None = None

    def __str__(self) -> str:
        return str(self.machine.device)

    def codes(self, codec: object) -> bool:
        """Return whether it codes a model's tiles; those of others are the processor's."""
        return engine.codes(self.machine, codec)

    def encode(
        self, model: Known, codec: Any, tiles: Sequence[Planes], alphabet: int = BYTES.values
    ) -> list[Future[Parts]]:
        """Return the streams to come of tiles, in parts, of which a flagship's has one."""
        return self._bring(
            [lane.encoding(self.machine, model, codec, tile, alphabet) for tile in tiles]
        )

    def decode(
        self,
        model: Known,
        codec: Any,
        streams: Sequence[bytes],
        sizes: Sequence[Size],
        alphabet: int = BYTES.values,
    ) -> list[Future[Planes | None]]:
        """Return the planes to come of streams, None for one that is visibly damaged."""
        pairs = zip(streams, sizes, strict=True)
        return self._bring(
            [lane.decoding(self.machine, model, codec, *one, alphabet) for one in pairs]
        )

    def preview(
        self,
        model: Known,
        codec: Any,
        streams: Sequence[bytes],
        sizes: Sequence[Size],
        cut: bool,
        alphabet: int = BYTES.values,
    ) -> list[Future[Seen]]:
        """Return what streams show, to come; `cut` tells whether they go on."""
        pairs = zip(streams, sizes, strict=True)
        return self._bring(
            [lane.preview(self.machine, model, codec, *one, cut, alphabet) for one in pairs]
        )

    def paint(
        self, model: Known, codec: Vqvae, tile: Planes, stages: int, rate: int, sides: Sides
    ) -> Future[tuple[Parts, Planes]]:
        """Return the stream to come of a tile and what it paints: `vqvae.encode_stages`."""
        (found,) = self._bring(
            [lane.painting(self.machine, model, codec, tile, stages, rate, sides)]
        )
        return found

    def encode_first(
        self, model: Known, codec: LossyFirst, tile: Planes, stages: int, rate: int, sides: Sides
    ) -> Future[Parts]:
        """Return the stream to come of a tile, in parts: `lossy_first.encode`."""
        (found,) = self._bring(
            [lane.lossy_first(self.machine, model, codec, tile, stages, rate, sides)]
        )
        return found

    def encode_block(
        self, model: Known, codec: Flagship, tiles: Sequence[Planes], lockstep: int
    ) -> Future[Coded]:
        """Return a block to come, as `codecs.block.encode`."""
        (found,) = self._bring([lane.encoding_block(self.machine, model, codec, tiles, lockstep)])
        return found

    def decode_block(
        self,
        model: Known,
        codec: Flagship,
        stream: bytes,
        sizes: Sequence[Size],
        lockstep: int,
    ) -> Future[list[Planes]]:
        """Return the tiles to come of a block, as `codecs.block.decode`."""
        (found,) = self._bring(
            [lane.decoding_block(self.machine, model, codec, stream, sizes, lockstep)]
        )
        return found

    def _bring(self, lanes: list[Lane]) -> list[Future[Any]]:
        with self._news:
            self._callers += 1
            for one in lanes:
                one.caller = self._callers
            self._waiting += lanes
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            self._news.notify()
        return [one.result for one in lanes]

    def _work(self) -> None:
        """Code batch after batch."""
        while True:
            batch: list[Lane] = []
            try:
                batch = self._next()
                rest = self._code(batch)
            except BaseException as error:  # whoever waits gets it
                for one in batch or self._all():
                    one.result.set_exception(error)
            else:
                for one, later in zip(batch, rest, strict=True):
                    self._hands.submit(_finish, one, later)

    def _next(self) -> list[Lane]:
        """Wait for lanes, and return those of the next batch."""
        with self._news:
            self._news.wait_for(lambda: self._waiting)
            seen = 0
            lanes, full = self._first()
            while len(self._waiting) > seen and not full:  # until it is, or nothing new comes
                seen = len(self._waiting)
                self._news.wait(QUIET)
                lanes, full = self._first()
            lanes.sort(key=lambda one: one.steps)
            batch = self._fitting(lanes)
            taken = set(map(id, batch))
            self._waiting = [one for one in self._waiting if id(one) not in taken]
        return batch

    def _first(self) -> tuple[list[Lane], bool]:
        """Return the lanes that wait longest, and whether a batch wants no more than these."""
        lanes = [one for one in self._waiting if one.kind == self._waiting[0].kind]
        callers = list(dict.fromkeys(one.caller for one in lanes))[:CALLERS]
        taken = set(callers)
        lanes = [one for one in lanes if one.caller in taken]
        full = len(callers) == CALLERS or sum(one.group.abreast for one in lanes) >= FULL
        return lanes, full

    def _all(self) -> list[Lane]:
        """Return all lanes that wait, which do no longer."""
        with self._news:
            lanes, self._waiting = self._waiting, []
        return lanes

    def _room(self) -> int:
        """Return the bytes that there are for a batch."""
        if not self.machine.is_gpu:
            return PROCESSOR
        try:
            return self.machine.free()
        except RuntimeError:  # a device that failed, which coding will say
            return 0

    def _fitting(self, lanes: Sequence[Lane]) -> list[Lane]:
        """Return the first lanes, one or more, that fit into memory together."""
        room = self._room()
        total = pixels = 0
        for i, one in enumerate(lanes):
            pixels += one.group.pixels
            total += one.memory
            over = total > SHARE * room if self._max is None else pixels > self._max
            if over and i:
                return list(lanes[:i])
        return list(lanes)

    def _code(self, batch: Sequence[Lane]) -> Sequence[Later]:
        """Return what is left to do for the lanes of a batch, which gives their results."""
        on_processor = [one.alone for one in batch]
        first = batch[0]
        try:
            self.machine = self.machine.aside()  # which may fail: it is the first that is asked
            if len(batch) < self._least_batch(first.model, first.codec):
                return on_processor
            with self.machine.in_use():
                return first.coded(self.machine, [one.given for one in batch])
        except IdfzipError:
            raise
        except torch.cuda.OutOfMemoryError:
            pixels = sum(one.group.pixels for one in batch)
            text = f"not enough memory for {pixels} pixels at once: give a smaller --max-batch"
        except Exception as error:  # torch's where the device fails, triton's, a compiler's
            text = str(error).partition("\n")[0] or type(error).__name__
        text = f"{self}: {text}"
        if self._alone:
            raise DeviceError(text)
        self._warn(f"{text}; going on on the processor")
        self._least = {**dict.fromkeys(self._least, rule.NEVER), first.model.identity: rule.NEVER}
        return on_processor

    def _least_batch(self, model: Known, codec: Any) -> int:
        """Return from how many lanes on the device is taken; check the model there first."""
        if model.identity not in self._least:
            self._least[model.identity] = self._checked(model, codec)
        return self._least[model.identity]

    def _checked(self, model: Known, codec: Any) -> int:
        if check.passes(self.machine, codec, *model.tests):
            if self._alone:
                return 1
            with self.machine.in_use():
                return rule.least_batch(self.machine, codec, model.identity, self._threads)
        text = f"{self}: the self-test of model {model.identity[:16]} does not give the right sums"
        if self._alone:
            raise DeviceError(text)
        self._warn(f"{text}; going on on the processor")
        return rule.NEVER


def _finish(one: Lane, later: Later) -> None:
    """Do what is left for a lane, and give its result to whoever waits."""
    try:
        one.result.set_result(later())
    except BaseException as error:  # whoever waits gets it
        one.result.set_exception(error)
