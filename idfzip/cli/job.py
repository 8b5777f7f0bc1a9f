"""What one call of `idfzip compress` is to do, and the check of what it did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idfzip.cli import work
from idfzip.cli.sources import Inputs
from idfzip.container import idfz
from idfzip.container.effort import Effort
from idfzip.container.model_file import Model
from idfzip.errors import IdfzipError
from idfzip.images.picture import Picture


@dataclass(frozen=True)
class Job:
    """The options of one call.

    With a `quality` the file holds a lossy picture; nothing is lost where that comes `first` only.
    """

    model: Model | None
    quality: int | None
    first: bool
    progressive: bool
    embed: bool
    effort: Effort
    level: int
    max_pixels: int
    force: bool
    remove: bool
    verify: bool
    quiet: bool
    verbose: bool
    warm: work.Warm
    inputs: Inputs


def check(found: Picture | idfz.Stored, expected: Picture | idfz.Stored) -> None:
    """Raise IdfzipError unless decoding gave back what was coded."""
    if isinstance(found, Picture) and isinstance(expected, Picture):
        same = np.array_equal(found.pixels, expected.pixels)
        same = same and found.kind == expected.kind and found.metadata == expected.metadata
    elif isinstance(found, idfz.Stored) and isinstance(expected, idfz.Stored):
        same = found.data == expected.data
    else:
        same = False
    if not same:
        raise IdfzipError("the result does not decode to the source; nothing was written")
