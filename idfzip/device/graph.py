"""Work without the host: a function captured once as a CUDA graph and replayed, or just called.

A step of decoding is some hundred small operators, whose launches from Python would take far longer
than their work. Captured, they are one launch. Shapes and places in memory are the same each time,
and nothing is read back.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

WARM = 2
"""Calls before the capture, in which libraries take their memory."""


class Replayed:
    """A function of no arguments that works on tensors in place.

    On CUDA devices it is run a few times and captured at the first call of `prepare`; whoever
    prepares it must then begin its tensors anew.
    """

    def __init__(self, function: Callable[[], None], device: torch.device) -> None:
        self._function, self._device = function, device
        self._graph: torch.cuda.CUDAGraph | None = None

    def prepare(self) -> None:
        """Capture the function, where that is possible."""
        if self._device.type != "cuda" or self._graph is not None:
            return
        with torch.cuda.device(self._device):
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM):
                    self._function()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            # Other threads may use the device meanwhile: they work for other workers.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._function()
            self._graph = graph

    def __call__(self) -> None:
        """Do what the function does."""
        if self._graph is None:
            self._function()
        else:
            self._graph.replay()
