"""What the first part of a stream shows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.flows.alphabet import Integers


class Seen(NamedTuple):
    """A tile's planes (C, height, width), and the share of its values that was read, 0 to 1.

    They are int32, or int16 of a device, where all values fit.
    `known` bool (height, width), where values are the stream's and the others mean nothing; None
    where all mean something: those that were not read are the model's guesses.
    """

    planes: Integers
    share: float
    known: npt.NDArray[np.bool_] | None = None
