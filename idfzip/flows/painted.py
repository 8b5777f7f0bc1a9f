"""What the network sees of a picture that is known before the pixels: what a lossy model paints.

The picture is like the pixels and has their channels, but it is known all around a pixel, so it
tells of edges that are still to come. Per channel, with `scale` as in `idfzip.flows.context`:

* how the picture differs, at twelve places on all sides, from its own mean of the four nearest;
* how that mean differs from the pixels' mean, over `scale`; the same corrected by how much the
  pixels were above the picture in the neighbourhood;
* the logarithm of how much the picture varies at the twelve places, over `scale`.

Tries, bits a pixel on six tiles of 512 x 256 of Kodak and CID22 validation, codes of 0.103 bits a
pixel: the pixels without a picture 7.374; with its values at the pixel, and around it, as further
regressors of the expert 7.380 to 7.387, since more weights to be fitted cost more than they tell.
The network of `photo`, trained for 2,500 steps more on 80 other tiles with these inputs and
without, gains 0.016 by them (as floats, without learning while coding), with six places instead of
twelve 0.014, and next to nothing where codes take 0.022: a coder that knows the pixels before has
little to learn from a picture that is mostly ten steps off.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from idfzip.flows.alphabet import Integers
from idfzip.flows.context import Tables, limited
from idfzip.flows.wavefront import MARGIN, slot
from idfzip.integer.jit import kernel
from idfzip.integer.log2 import log2

PLACES = np.array(
    [
        *((0, 0), (0, 1), (0, 2), (1, -2), (1, -1), (1, 0)),
        *((1, 1), (1, 2), (2, 0), (0, -1), (-1, 0), (-1, 1)),
    ],
    np.int64,
)
"""Where the picture is looked at: dy, dx."""

INPUTS = len(PLACES) + 3
"""Inputs of a channel."""


def framed(planes: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return planes (C, height, width) with margins on all sides that repeat the outermost."""
    return np.pad(planes, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)), mode="edge")


@kernel
def gather(
    planes: Integers,
    bases: Integers,
    picture: npt.NDArray[np.int32],
    neighbours: npt.NDArray[np.int64],
    tables: Tables,
    t: int,
    first: int,
    end: int,
    inputs: npt.NDArray[np.float32],
    column: int,
    scales: npt.NDArray[np.int32],
    start: int,
) -> None:
    """Write the inputs of the rows `first` to `end` at step `t`, from row `start` and `column` on.

    `planes` (C, RING, ..) are rings, `bases` (C, lanes) those of the group; `picture` int32
    (C, height + 8, width + 8), see `framed`; `neighbours` int64 (n, 2): dy, dx; `scales` as
    `context.gather` wrote them.
    """
    m = MARGIN
    for y in range(first, end):
        x = t - 2 * y
        row = start + y - first
        i = column
        for c in range(len(planes)):
            plane, shown = planes[c], picture[c]
            index = scales[row, c]
            gain = tables.gain[index]
            west, above = int(shown[y + m, x + m - 1]), shown[y + m - 1]
            total = west + above[x + m] + above[x + m - 1] + above[x + m + 1]
            middle = int((total + 2) >> 2)
            gap = middle - int(bases[c, y])
            busy = 0
            for k in range(len(PLACES)):
                d = int(shown[y + m + PLACES[k, 0], x + m + PLACES[k, 1]]) - middle
                busy += abs(d)
                inputs[row, i + k] = limited((d * gain + 512) >> 10)
            i += len(PLACES)
            total = 0
            for k in range(len(neighbours)):
                dy, dx = neighbours[k]
                value = int(plane[slot(t + dx + 2 * dy), y + m + dy])
                total += value - int(shown[y + m + dy, x + m + dx])
            corrected = gap + total // len(neighbours)
            inputs[row, i] = limited((gap * gain + 512) >> 10)
            inputs[row, i + 1] = limited((corrected * gain + 512) >> 10)
            level = 8 * (index - 12)
            inputs[row, i + 2] = limited(2 * (log2((busy << 6) + 32, tables.log) - 144) - level)
            i += 3
