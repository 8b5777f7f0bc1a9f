"""What the loop trains: a network, batches for it, and their bits."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from torch import Tensor, nn

from idfzip.container.architecture import Codec
from idfzip.integer.twin import Twin
from idfzip.training.recipe import Recipe

N = TypeVar("N", bound=Twin)
B = TypeVar("B")


class Task(Protocol[N, B]):
    """One architecture's part of training: networks N, batches B.

    `pixels` is the number of pixels of a step in one process, `unit` that of what is made small,
    which `bits` below stand for.
    """

    pixels: int
    unit: str

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        ...

    def network(self) -> N:
        """Return the network to begin with."""
        ...

    def batch(self, step: int, part: int, parts: int) -> B:
        """Return the batch of a step, drawn from the step's number alone: part `part` of `parts`.

        A step of two processes sees what a step of one with twice the pixels would see.
        """
        ...

    def bits(self, network: N, batch: B) -> Tensor:
        """Return the mean bits per subpixel of a batch."""
        ...

    def evaluate(self, network: N) -> float:
        """Return the bits per subpixel of the images that are held out."""
        ...

    def facts(self, network: N) -> dict[str, float]:
        """Return what else is to be known of a network, by name, for the log."""
        ...

    def freeze(self, network: N) -> Codec:
        """Return what codes with a network; raises ModelError where a bound does not hold."""
        ...


class Loss(nn.Module, Generic[N, B]):
    """A network and its bits as one module, as torch's parallel and compiling wrappers want it."""

    def __init__(self, task: Task[N, B], network: N) -> None:
        super().__init__()
        self._twin, self._task = network, task

    def forward(self, batch: B) -> Tensor:
        """Return the mean bits per subpixel of a batch."""
        return self._task.bits(self._twin, batch)
