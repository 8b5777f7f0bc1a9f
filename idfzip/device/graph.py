"""Work without the host: captured once as a CUDA graph and replayed, or just done.

A step of decoding is some hundred small operators, whose launches from Python would take far longer
than their work. Captured, they are one launch. Shapes and places in memory are the same each time,
and nothing is read back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

_CAPTURING = threading.Lock()
"""Captures of a process come one by one: torch notes whose memory is whose meanwhile."""

Work = Callable[[], None]
"""Works on tensors in place."""


@contextmanager
def _aside(device: torch.device) -> Iterator[None]:
    """Be on a stream that can be captured, which the default one cannot."""
    with torch.cuda.device(device):
        mine = torch.cuda.current_stream()
        if mine != torch.cuda.default_stream():
            yield
            return
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(mine)
        with torch.cuda.stream(stream):
            yield
        mine.wait_stream(stream)


class Replayed:
    """Work that is always the same, on the same tensors; captured when it is first to be done.

    The work is given anew each time: were it held here, who does it would hold himself, and his
    tensors stay until garbage is collected.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._graph: torch.cuda.CUDAGraph | None = None

    def try_out(self, work: Work) -> None:
        """Do work once that is to be captured, where that is possible.

        Libraries take their memory in it, and compilers their time. It moves the tensors, which
        whoever tries must then begin anew.
        """
        if self._device.type == "cuda" and self._graph is None:
            with _aside(self._device):
                work()

    def __call__(self, work: Work) -> None:
        """Do the work."""
        if self._device.type != "cuda":
            work()
            return
        if self._graph is None:
            self._graph = self._captured(work)
        self._graph.replay()

    def _captured(self, work: Work) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # Not torch's own context: it waits for the whole device, and gives back all memory that
        # torch keeps, of which the next batch takes as much.
        with _CAPTURING, _aside(self._device):
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                work()
            finally:
                graph.capture_end()
        return graph
