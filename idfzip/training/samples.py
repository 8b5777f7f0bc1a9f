"""Training samples: the coder's own front end, run over images, a share of the pixels kept.

The inputs are the very integers that the coder will see, so training cannot drift from coding.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idfzip.flows import autoregressive, context
from idfzip.flows.autoregressive import Design, Planes

_CHUNK = 4096


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
    batch = autoregressive.begin(design, [(height, width)], channels, _CHUNK)
    seen = autoregressive.record(len(batch.inputs), channels)
    inputs = context.width(len(design.neighbours), len(design.places), channels)
    residuals = np.zeros((1, *planes.shape), np.int32)
    parts: list[tuple[npt.NDArray[np.generic], ...]] = []
    t, stop = 0, autoregressive.steps([(height, width)])
    while t < stop:
        t, count = autoregressive.observe(
            design, batch, planes[None], residuals, t, stop, _CHUNK, seen
        )
        keep = np.flatnonzero(rng.random(count) < share)
        found = (batch.inputs[:, :inputs], batch.scales, seen.means, seen.values)
        types = (np.int16, np.int8, np.int32, np.int16)
        parts.append(tuple(a[keep].astype(d) for a, d in zip(found, types, strict=True)))
    return Samples(*(np.concatenate(column) for column in zip(*parts, strict=True)))


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
