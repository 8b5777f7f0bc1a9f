"""Recipes: what a model looks at, how wide it is, how it is trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idfzip.flows import context
from idfzip.flows.autoregressive import Design
from idfzip.integer.log2 import log2_table

_NEAR = [(0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0)]
"""W, N, NW, NE, WW, NN."""

_WINDOW = [
    *((0, dx) for dx in (-3, -2, -1)),
    *((-1, dx) for dx in (-2, -1, 0, 1)),
    *((-2, dx) for dx in (-2, -1, 0, 1, 2)),
    *((-3, dx) for dx in (-1, 0, 1)),
]
"""The neighbours whose differences the network sees."""

RIDGE = 16


@dataclass(frozen=True)
class Recipe:
    """How a flagship model is made.

    `regressors` are (channel, dy, dx). `float_share` is the share of the time before the grids are
    switched on; `sample_share` the share of the pixels that is kept for training.
    """

    name: str
    channels: int
    regressors: tuple[tuple[int, int, int], ...]
    hidden: tuple[int, ...]
    head: int = 32
    mixture: int = 4
    rows: int = 6144
    rate: float = 2e-3
    decay: float = 0.02
    average: float = 0.9995
    float_share: float = 0.25
    sample_share: float = 0.2
    mirrored: bool = True

    @property
    def design(self) -> Design:
        """What the flow looks at."""
        return Design(
            np.array(self.regressors, np.int64),
            np.array(_WINDOW, np.int64),
            np.array(_NEAR, np.int64),
            np.array([RIDGE], np.int64),
            context.Tables(log2_table(), context.gain_table()),
        )


PHOTO = Recipe(
    name="photo",
    channels=3,
    regressors=(
        *((0, *place) for place in [*_NEAR, (-2, 1), (-2, -1)]),
        *((c, *place) for c in (1, 2) for place in _NEAR[:4]),
    ),
    hidden=(128, 128),
)

GREY = Recipe(
    name="grey",
    channels=1,
    regressors=tuple((0, *place) for place in [*_NEAR, (-2, 1), (-2, -1), (-1, -2), (0, -3)]),
    hidden=(96, 64),
    rate=3e-3,
    average=0.999,
    sample_share=0.15,
    mirrored=False,
)

RECIPES = {recipe.name: recipe for recipe in (PHOTO, GREY)}
