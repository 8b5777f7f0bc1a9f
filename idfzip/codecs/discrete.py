"""Rows of categories through a discrete flow, a categorical base and ANS; see `flows.modular`.

No image is coded so, but the research's own experiments are: `scripts/discrete_text.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idfzip.coding import ans
from idfzip.errors import FormatError, ModelError
from idfzip.flows import modular
from idfzip.priors.categorical import Categorical


@dataclass(frozen=True)
class Discrete:
    """A flow of layers and its base; raises ModelError where their alphabets differ."""

    layers: tuple[modular.Modular, ...]
    base: Categorical

    def __post_init__(self) -> None:
        """Check the alphabets."""
        found = {layer.conditioner.alphabet for layer in self.layers} | {self.base.alphabet}
        if len(found) > 1:
            raise ModelError(f"alphabets {sorted(found)}: one expected")

    def bits(self, values: npt.NDArray[np.int64]) -> float:
        """Return the ideal length of rows (n, D)."""
        return self.base.bits(modular.forward(self.layers, values))


def encode(model: Discrete, values: npt.NDArray[np.int64]) -> bytes:
    """Return the stream of rows (n, D) of categories; raises ModelError for one beyond them."""
    if values.size and not 0 <= values.min() <= values.max() < model.base.alphabet:
        raise ModelError(f"categories 0 to {model.base.alphabet - 1} expected")
    intervals = model.base.intervals(modular.forward(model.layers, values))
    return ans.to_bytes(ans.push_all(*np.ascontiguousarray(intervals.T)))


def decode(model: Discrete, stream: bytes, rows: int, dimensions: int) -> npt.NDArray[np.int64]:
    """Return the rows of a stream; raises FormatError where it is visibly damaged."""
    coder = ans.decoder([ans.from_bytes(stream)])
    latents = model.base.decode(coder, rows, dimensions)
    if not ans.is_finished(coder, 0):
        raise FormatError("the stream does not end with its rows")
    return modular.inverse(model.layers, latents)
