"""Training samples: the coder's own front end, run over images, a share of the pixels kept.

The inputs are the very integers that the coder will see, so training cannot drift from coding.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idfzip.flows import autoregressive, wavefront
from idfzip.flows.autoregressive import Design, Planes


@dataclass(frozen=True)
class Samples:
    """Pixels as the network sees them; first axis: pixels.

    `inputs` int16 (n, inputs); `scales` int8 (n, C), indices; `means` int32 (n, C), the expert's,
    in 1/64 of a step; `values` int16 (n, C), the coded planes' values.
    """

    inputs: npt.NDArray[np.int16]
    scales: npt.NDArray[np.int8]
    means: npt.NDArray[np.int32]
    values: npt.NDArray[np.int16]

    def __len__(self) -> int:
        """Return the number of pixels."""
        return len(self.inputs)


def observe(design: Design, planes: Planes, share: float, rng: np.random.Generator) -> Samples:
    """Return a random share of the pixels of one image's planes, int32 (C, height, width)."""
    channels, height, width = planes.shape
    batch = autoregressive.begin(design, [(height, width)], channels)
    residuals, means = np.zeros_like(planes), np.zeros_like(planes)
    chosen = rng.random((height, width)) < share
    total = int(chosen.sum())
    found = Samples(
        np.zeros((total, batch.inputs.shape[1]), np.int16),
        np.zeros((total, channels), np.int8),
        np.zeros((total, channels), np.int32),
        np.zeros((total, channels), np.int16),
    )
    used = 0
    for t in range(autoregressive.steps([(height, width)])):
        count = autoregressive.prepare(design, batch, t, True)
        autoregressive.exchange(batch, 0, t, planes, residuals, means, False)
        autoregressive.settle(design, batch, t)
        first = wavefront.first_row(t, width)
        ys = np.arange(first, first + count)
        keep = np.flatnonzero(chosen[ys, t - 2 * ys])
        y = ys[keep]
        x = t - 2 * y
        end = used + len(keep)
        found.inputs[used:end] = batch.inputs[keep]
        found.scales[used:end] = batch.scales[keep]
        found.means[used:end] = means[:, y, x].T
        found.values[used:end] = planes[:, y, x].T
        used = end
    return found


def gather(design: Design, images: Iterable[Planes], share: float, seed: int) -> Samples:
    """Return the samples of many images, in their order, computed by two threads."""
    with ThreadPoolExecutor(2) as pool:
        parts = list(
            pool.map(
                lambda job: observe(design, job[1], share, np.random.default_rng((seed, job[0]))),
                enumerate(images),
            )
        )
    return Samples(
        np.concatenate([p.inputs for p in parts]),
        np.concatenate([p.scales for p in parts]),
        np.concatenate([p.means for p in parts]),
        np.concatenate([p.values for p in parts]),
    )
