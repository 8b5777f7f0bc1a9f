"""The networks of the lossy codec: levels of codes, and what paints pixels (see `vqvae`)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from idfzip.errors import ModelError
from idfzip.integer.stack import Stack
from idfzip.priors.codes import CodePrior, Tables


@dataclass(frozen=True)
class Level:
    """One level of codes; raises ModelError where parts do not fit.

    `encoder` makes features of the next finer ones (of the pixels in the finest level), `head`
    makes of them and of `context` what is quantised, by a codebook for each of `priors`. `lift`
    makes the next finer level's context of this one's and of what was quantised; in the finest
    level it paints the pixels.
    """

    encoder: Stack
    head: Stack
    priors: tuple[CodePrior, ...]
    lift: Stack

    def __post_init__(self) -> None:
        """Check channels and sides."""
        if not self.priors:
            raise ModelError("a level without codebooks")
        if self.context < 0 or self.head.squeezed != 1 or self.head.spread != 1:
            raise ModelError(f"head of {self.head.inputs} inputs")
        if self.encoder.spread != 1 or self.lift.squeezed != 1:
            raise ModelError("an encoder that spreads, or a decoder that squeezes")
        if self.encoder.squeezed != self.lift.spread:
            raise ModelError(f"squares of {self.encoder.squeezed}, {self.lift.spread} come back")
        for prior in self.priors:
            known = prior.known
            if prior.codebook.shape[1] != self.size or (known.squeezed, known.spread) != (1, 1):
                raise ModelError(f"codebook of {prior.codebook.shape[1]} values, {self.size} here")
            if known.inputs != self.context + self.size:
                raise ModelError(f"prior of codes: {known.inputs} inputs")
        if self.lift.inputs != self.context + self.size:
            raise ModelError(f"decoder of {self.lift.inputs} inputs")

    @property
    def size(self) -> int:
        """Number of values that a code stands for."""
        return self.head.outputs

    @property
    def context(self) -> int:
        """Number of channels that the coarser levels give."""
        return self.head.inputs - self.encoder.outputs


@dataclass(frozen=True)
class Vqvae:
    """All that coding needs of a model: levels, the coarsest first; raises ModelError."""

    levels: tuple[Level, ...]
    tables: Tables

    def __post_init__(self) -> None:
        """Check that levels fit together."""
        if not self.levels or self.levels[0].context:
            raise ModelError("no levels, or a coarsest one with context")
        for coarse, fine in zip(self.levels[:-1], self.levels[1:], strict=True):
            if coarse.encoder.inputs != fine.encoder.outputs:
                raise ModelError(f"encoder of {coarse.encoder.inputs} features")
            if coarse.lift.outputs != fine.context:
                raise ModelError(f"context of {coarse.lift.outputs} channels")
        last = self.levels[-1]
        if last.encoder.inputs != last.lift.outputs or last.lift.outputs not in (1, 3):
            raise ModelError(f"{last.encoder.inputs} channels in, {last.lift.outputs} out")

    @property
    def channels(self) -> int:
        """Channels of the images it codes: 1 or 3."""
        return self.levels[-1].lift.outputs

    @property
    def stages(self) -> int:
        """Number of codebooks of all levels."""
        return sum(len(level.priors) for level in self.levels)

    @property
    def stride(self) -> int:
        """The side of the squares that one code of the coarsest level stands for."""
        return prod(level.encoder.squeezed for level in self.levels)

    @property
    def operations(self) -> int:
        """Products and sums for a pixel, encoding and decoding, rounded up."""
        total, places = 0.0, 1.0
        for level in reversed(self.levels):
            total += places * _operations(level.encoder)
            places /= level.encoder.squeezed**2
            total += places * (_operations(level.head) + _operations(level.lift))
            total += places * sum(prior.operations for prior in level.priors)
        return ceil(total)

    def extent(self, height: int, width: int) -> tuple[int, int]:
        """Return the sides that the networks take: the next multiples of the stride."""
        side = self.stride
        return -(-height // side) * side, -(-width // side) * side


def _operations(stack: Stack) -> float:
    return sum(layer.weight.size * share for layer, share in stack.shares())
