"""What the loop trains: a network, batches for it, and their bits."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn

from idfzip.integer.twin import Twin
from idfzip.training.recipe import Recipe


class Task(Protocol):
    """One architecture's part of training.

    `pixels` is the number of pixels of a step in one process. A batch is whatever `bits` takes.
    """

    pixels: int

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        ...

    def network(self) -> Twin:
        """Return the network to begin with."""
        ...

    def batch(self, step: int, part: int, parts: int) -> Any:
        """Return the batch of a step, drawn from the step's number alone: part `part` of `parts`.

        A step of two processes sees what a step of one with twice the pixels would see.
        """
        ...

    def bits(self, network: Twin, batch: Any) -> Tensor:
        """Return the mean bits per subpixel of a batch."""
        ...

    def evaluate(self, network: Twin) -> float:
        """Return the bits per subpixel of the images that are held out."""
        ...


class Loss(nn.Module):
    """A network and its bits as one module, as torch's parallel and compiling wrappers want it."""

    def __init__(self, task: Task, network: Twin) -> None:
        super().__init__()
        self._twin, self._task = network, task

    def forward(self, batch: Any) -> Tensor:
        """Return the mean bits per subpixel of a batch."""
        return self._task.bits(self._twin, batch)
