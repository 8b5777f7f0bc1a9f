"""A densely connected network on the grids (Huang et al. 2017, arXiv:1608.06993).

As in Integer Discrete Flows (Hoogeboom et al. 2019, arXiv:1905.07376): each layer is a 1x1 and a
3x3 convolution, both with activation, whose outputs stand beside their inputs from then on; a last
3x3 convolution sees them all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idfzip.errors import ModelError
from idfzip.integer import conv
from idfzip.integer.conv import Conv, Sums

INPUT_GAIN = 2
"""A whole number v in [-128, 127] enters as the activation 2 v, that is v / 32."""

Values = npt.NDArray[np.int32]
"""Whole numbers in [-128, 127], int32 (height, width, channels)."""


@dataclass(frozen=True)
class DenseNet:
    """`narrow` (1x1) and `wide` (3x3) convolutions by turns, and `last`; raises ModelError."""

    narrow: tuple[Conv, ...]
    wide: tuple[Conv, ...]
    last: Conv

    def __post_init__(self) -> None:
        """Check that each layer takes what those before it give."""
        if not self.narrow or len(self.narrow) != len(self.wide):
            raise ModelError(f"{len(self.narrow)} narrow layers, {len(self.wide)} wide ones")
        seen = self.inputs
        for i, (narrow, wide) in enumerate(zip(self.narrow, self.wide, strict=True)):
            if (len(narrow.weight), narrow.inputs) != (1, seen):
                raise ModelError(
                    f"narrow {i}: 1 tap, {seen} inputs expected, {narrow.weight.shape}"
                )
            if (len(wide.weight), wide.inputs) != (9, narrow.outputs):
                raise ModelError(f"wide {i}: 9 taps, {narrow.outputs} inputs expected")
            seen += wide.outputs
        if (len(self.last.weight), self.last.inputs) != (9, seen):
            raise ModelError(f"last: 9 taps, {seen} inputs expected, {self.last.weight.shape}")

    @property
    def inputs(self) -> int:
        """Number of channels it takes."""
        return self.narrow[0].inputs

    @property
    def outputs(self) -> int:
        """Number of channels it gives."""
        return self.last.outputs

    @property
    def layers(self) -> tuple[Conv, ...]:
        """All layers."""
        return (*self.narrow, *self.wide, self.last)

    @property
    def operations(self) -> int:
        """Products and sums for a position."""
        return sum(layer.weight.size for layer in self.layers)

    def sums(self, values: Values) -> Sums:
        """Return the sums of the last layer, int32 (height, width, outputs)."""
        height, width, _ = values.shape
        seen = conv.plane(height, width, self.last.inputs)
        seen[:, :width, : self.inputs] = values * INPUT_GAIN
        at = self.inputs
        for narrow, wide in zip(self.narrow, self.wide, strict=True):
            hidden = conv.plane(height, width, narrow.outputs)
            conv.activate(conv.sums(narrow, seen, width), hidden, 0)
            conv.activate(conv.sums(wide, hidden, width), seen, at)
            at += wide.outputs
        return conv.sums(self.last, seen, width)

    def plain_sums(self, values: Values) -> npt.NDArray[np.int64]:
        """Return what `sums` must give, in plain int64: for self-tests."""
        seen = values.astype(np.int64) * INPUT_GAIN
        for narrow, wide in zip(self.narrow, self.wide, strict=True):
            hidden = conv.plain_activation(conv.plain_sums(narrow, seen))
            found = conv.plain_activation(conv.plain_sums(wide, hidden))
            seen = np.concatenate([seen, found], axis=2)
        return conv.plain_sums(self.last, seen)
