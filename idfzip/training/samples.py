"""Training samples: the coder's own front end, run over images, a share of the pixels kept.

The inputs are the very integers that the coder will see, so training cannot drift from coding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from idfzip.flows import autoregressive, colour
from idfzip.flows.autoregressive import Design, Planes
from idfzip.images.picture import Pixels

Paint = Callable[[Planes, np.random.Generator], Planes]
"""Return a picture like an image's planes, one of many."""

_CHUNK = 4096
_THREADS = 2


@dataclass(frozen=True)
class Samples:
    """Pixels as the network sees them; first axis: pixels.

    `inputs` int16 (n, inputs); `scales` int8 (n, C), indices; `means` int32 (n, C), the expert's,
    in 1/64 of a step; `leads` int32 (n, C), these less the bases, or (n, 0) without an
    expert; `values` int16 (n, C), the coded
    planes' values.
    """

    inputs: npt.NDArray[np.int16]
    scales: npt.NDArray[np.int8]
    means: npt.NDArray[np.int32]
    leads: npt.NDArray[np.int32]
    values: npt.NDArray[np.int16]

    def __len__(self) -> int:
        """Return the number of pixels."""
        return len(self.inputs)


def observe(
    design: Design,
    planes: Planes,
    share: float,
    rng: np.random.Generator,
    picture: Planes | None = None,
) -> Samples:
    """Return a random share of the pixels of one image's planes, int32 (C, height, width).

    `picture`, of that shape, is what a network sees beside them that looks at one.
    """
    channels, height, width = planes.shape
    batch = autoregressive.begin(design, [(height, width)], channels, _CHUNK, picture=picture)
    seen = autoregressive.record(len(batch.inputs), channels)
    inputs = autoregressive.width(design, channels, picture is not None)
    residuals = np.zeros((1, *planes.shape), np.int32)
    parts = []
    t, stop = 0, autoregressive.steps([(height, width)])
    while t < stop:
        t, count = autoregressive.observe(
            design, batch, planes[None], residuals, t, stop, _CHUNK, seen
        )
        keep = np.flatnonzero(rng.random(count) < share)
        parts.append(
            Samples(
                batch.inputs[keep, :inputs].astype(np.int16),
                batch.scales[keep].astype(np.int8),
                seen.means[keep],
                seen.leads[keep],
                seen.values[keep].astype(np.int16),
            )
        )
    return join(parts)


def join(parts: Sequence[Samples]) -> Samples:
    """Return samples one after the other."""
    columns = ([getattr(part, f.name) for part in parts] for f in fields(Samples))
    return Samples(*(np.concatenate(column) for column in columns))


def gather(
    design: Design,
    images: Sequence[Callable[[], Pixels]],
    share: float,
    seed: int,
    mirrored: bool = False,
    paint: Paint | None = None,
) -> Samples:
    """Return the samples of many images, read when they are due, and of their mirror images.

    A share of the pixels is drawn from each; work is done by two threads. With `paint` the network
    looks at what it makes of the planes.
    """

    def one(job: int) -> Samples:
        pixels = images[job // (1 + mirrored)]()
        turned = pixels[:, ::-1] if mirrored and job % 2 else pixels
        planes = colour.forward(np.ascontiguousarray(turned))
        rng = np.random.default_rng((seed, job))
        return observe(design, planes, share, rng, paint(planes, rng) if paint else None)

    with ThreadPoolExecutor(_THREADS) as pool:
        return join(list(pool.map(one, range(len(images) * (1 + mirrored)))))
