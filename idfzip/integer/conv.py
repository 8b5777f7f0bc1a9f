"""Convolutions on the grids: products in float32 that carries whole numbers, shifted and added.

A 3x3 convolution with zeros outside is nine 1x1 ones whose products are added at shifted places.
The nine are one product here, (positions, inputs) by (inputs, 9 outputs), which needs no copies of
the inputs, whose sums stay small, and which fills whole panels even where outputs are few. Every
product is below 2**24 (`parts`: the inputs are split where it might not be), so float32 is exact
in whatever order it adds; products are added as int32, whose bound is proven too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from idfzip.errors import ModelError
from idfzip.integer import grid
from idfzip.integer.jit import kernel
from idfzip.integer.panel import COLUMNS, ROWS, Floats, multiply, padded, room

LIMIT = grid.ACTIVATION_LIMIT
"""Inputs are at most this in size."""

Sums = npt.NDArray[np.int32]
"""Sums in units of 2**-14, int32 (height, width, outputs)."""

MOST = 1 << 30
"""Sums are below this in size."""

BLOCK = 128
"""Positions multiplied at once, at least, where there are so many: their sums stay in a cache."""


@dataclass(frozen=True)
class Part:
    """Inputs from `first`, and their weights, float32 (inputs, taps * outputs in panels)."""

    first: int
    weight: Floats


@dataclass(frozen=True)
class Conv:
    """A convolution: `weight` int16 (taps, inputs, outputs), `bias` int32 (outputs,).

    One tap is the place itself; nine are its 3x3 surroundings, row by row. Raises ModelError where
    shapes do not fit or a sum may leave int32.
    """

    weight: npt.NDArray[np.int16]
    bias: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        """Check shapes and sizes, and prove the bound of the sums."""
        shape = self.weight.shape
        if len(shape) != 3 or shape[0] not in (1, 9) or 0 in shape:
            raise ModelError(f"weight of shape {shape}: (1 or 9, inputs, outputs) expected")
        if self.bias.shape != shape[2:]:
            raise ModelError(f"bias of shape {self.bias.shape}, {shape[2]} outputs")
        if np.abs(self.weight.astype(np.int32)).max() > grid.WEIGHT_LIMIT:
            raise ModelError(f"a weight is over {grid.WEIGHT_LIMIT}")
        check_reach(self.reach)

    @property
    def reach(self) -> npt.NDArray[np.int64]:
        """How far from 0 the sums of each output may be, int64 (outputs,)."""
        size = np.abs(self.weight.astype(np.int64)).sum((0, 1)) * LIMIT
        found: npt.NDArray[np.int64] = size + np.abs(self.bias.astype(np.int64))
        return found

    @property
    def inputs(self) -> int:
        """Number of channels it takes."""
        return int(self.weight.shape[1])

    @property
    def outputs(self) -> int:
        """Number of channels it gives."""
        return int(self.weight.shape[2])

    @property
    def memory(self) -> int:
        """Bytes that the weights take as the kernels take them."""
        return 4 * self.inputs * padded(len(self.weight) * self.outputs, COLUMNS)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The weights as the kernels take them, split along the inputs so that float32 is exact."""
        taps, inputs, outputs = self.weight.shape
        flat = self.weight.transpose(1, 0, 2).reshape(inputs, taps * outputs)
        wide = np.zeros((inputs, padded(taps * outputs, COLUMNS)), np.float32)
        wide[:, : taps * outputs] = flat
        size = np.abs(flat.astype(np.int64)) * LIMIT
        starts, total = [0], np.zeros(taps * outputs, np.int64)
        for i in range(inputs):
            total += size[i]
            if total.max() >= grid.EXACT:
                starts.append(i)
                total = size[i].copy()
        return tuple(
            Part(a, np.ascontiguousarray(wide[a:b]))
            for a, b in zip(starts, [*starts[1:], inputs], strict=True)
        )


def check_reach(reach: npt.NDArray[np.int64]) -> None:
    """Raise ModelError where sums that may be so far from 0 may leave int32."""
    if reach.max() >= MOST:
        raise ModelError(f"sums may reach {reach.max()}, the limit is {MOST}")


def plane(height: int, width: int, channels: int) -> Floats:
    """Return zeros for values, float32 (height, width in panels, channels)."""
    return np.zeros((height, padded(width, ROWS), channels), np.float32)


def sums(conv: Conv, values: Floats, width: int) -> Sums:
    """Return the sums with bias for `values`, as from `plane`; its first inputs are taken."""
    height, wide = values.shape[:2]
    lines = min(height, max(1, BLOCK // wide))
    out = np.empty((height, width, conv.outputs), np.int32)
    out[:] = conv.bias
    taps = len(conv.weight)
    for part in conv.parts:
        taken = values if part.first == 0 else np.ascontiguousarray(values[..., part.first :])
        product = room(lines * wide, part.weight.shape[1])
        _add(taken.reshape(height * wide, -1), wide, lines, part.weight, taps, product, out)
    return out


@kernel
def _add(
    values: Floats, wide: int, lines: int, weight: Floats, taps: int, product: Floats, out: Sums
) -> None:
    """Add one part's products to `out`, a few lines of the image at a time.

    `values` (height * wide, >= inputs); `product` is room for `lines * wide` rows.
    """
    height, width, outputs = out.shape
    reach = taps // 9
    side = 2 * reach + 1
    for top in range(0, height, lines):
        count = min(lines, height - top)
        multiply(values[top * wide :], count * wide, weight, product)
        for tap in range(taps):
            dy, dx = tap // side - reach, tap % side - reach
            for line in range(count):
                y = top + line - dy
                if 0 <= y < height:
                    for x in range(max(0, -dx), min(width, width - dx)):
                        source = product[line * wide + x + dx]
                        target = out[y, x]
                        for j in range(outputs):
                            target[j] += np.int32(source[tap * outputs + j])


@kernel
def activate(found: Sums, values: Floats, first: int) -> None:
    """Write the activations of sums into `values`, as from `plane`, from channel `first`.

    Shifted down with rounding, leaked, clamped; as `idfzip.integer.dense.activate`.
    """
    height, width, outputs = found.shape
    for y in range(height):
        for x in range(width):
            source = found[y, x]
            target = values[y, x]
            for j in range(outputs):
                whole = (source[j] + grid.HALF) >> grid.WEIGHT_BITS
                whole = max(whole, whole >> grid.LEAK_SHIFT)
                target[first + j] = min(max(whole, -LIMIT), LIMIT)


def plain_sums(conv: Conv, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return what `sums` must give, in plain int64: for self-tests; `values` (height, width, n)."""
    height, width, _ = values.shape
    reach = len(conv.weight) // 9
    framed = np.pad(values, ((reach, reach), (reach, reach), (0, 0)))
    out = np.broadcast_to(conv.bias.astype(np.int64), (height, width, conv.outputs)).copy()
    for tap, weight in enumerate(conv.weight.astype(np.int64)):
        y, x = divmod(tap, 2 * reach + 1)
        out += framed[y : y + height, x : x + width] @ weight
    return out


def plain_activation(found: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return what `activate` must write, in plain int64."""
    whole = (found + grid.HALF) >> grid.WEIGHT_BITS
    leaked = np.maximum(whole, whole >> grid.LEAK_SHIFT)
    clamped: npt.NDArray[np.int64] = leaked.clip(-LIMIT, LIMIT)
    return clamped
