"""Work without the host: captured once as a CUDA graph and replayed, or just done.

A step of decoding is some hundred small operators, whose launches from Python would take far longer
than their work. Captured, they are one launch. Shapes and places in memory are the same each time,
and nothing is read back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

_CAPTURING = threading.Lock()
"""Captures of a process come one by one: torch notes whose memory is whose meanwhile."""

Work = Callable[[], None]
"""Works on tensors in place."""


class Replayed:
    """Work that is always the same, on the same tensors.

    On CUDA devices it is done once, in which libraries take their memory, and captured at the first
    call of `prepare`; whoever prepares it must then begin its tensors anew. The work is given anew
    each time: were it held here, who does it would hold himself, and his tensors stay until garbage
    is collected.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._graph: torch.cuda.CUDAGraph | None = None

    def prepare(self, work: Work, first: Work | None = None) -> None:
        """Capture the work, where that is possible, after doing it once, or `first` instead."""
        if self._device.type != "cuda" or self._graph is not None:
            return
        with _CAPTURING, torch.cuda.device(self._device):
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            graph = torch.cuda.CUDAGraph()
            # Not torch's own context: it waits for the whole device, and gives back all memory
            # that torch keeps, of which the next batch takes as much.
            with torch.cuda.stream(side):
                (first or work)()
                side.synchronize()
                graph.capture_begin(capture_error_mode="thread_local")
                try:
                    work()
                finally:
                    graph.capture_end()
            torch.cuda.current_stream().wait_stream(side)
            self._graph = graph

    def __call__(self, work: Work) -> None:
        """Do the work."""
        if self._graph is None:
            work()
        else:
            self._graph.replay()
