"""From the trained twin of the bits-back codec to the integers of a model, and back."""

from __future__ import annotations

import torch

from idfzip.codecs.bitswap import Bitswap, Level
from idfzip.errors import ModelError
from idfzip.flows import context
from idfzip.integer import grid
from idfzip.priors import mixture
from idfzip.training.bitswap import BitswapShape, BitswapTwin
from idfzip.training.freeze_idf import whole_sums
from idfzip.training.freeze_vqvae import freeze_stack, thaw_stack


def freeze_bitswap(twin: BitswapTwin) -> Bitswap:
    """Return the integer model of a twin; raises ModelError where a bound does not hold."""
    levels = tuple(Level(freeze_stack(down), freeze_stack(up)) for down, up in twin.levels)
    return Bitswap(levels, whole_sums(twin.constants), mixture.tables(context.SCALES))


def thaw_bitswap(model: Bitswap) -> BitswapTwin:
    """Return the twin of an integer model, on its grids; raises ModelError for unlike networks."""
    first = model.levels[0].posterior
    shape = BitswapShape(
        latents=tuple(level.latents for level in model.levels),
        width=first.convs[0].outputs,
        depth=len(first.blocks) - 2,
        mixture=model.components,
    )
    twin = BitswapTwin(model.channels, shape)
    try:
        with torch.no_grad():
            for (down, up), known in zip(twin.levels, model.levels, strict=True):
                thaw_stack(down, known.posterior)
                thaw_stack(up, known.prior)
            constants = torch.from_numpy(model.constants.astype("float64"))
            twin.constants.copy_(constants / (1 << grid.SUM_BITS))
    except (RuntimeError, ValueError):
        raise ModelError("a model whose networks differ in size cannot be trained") from None
    twin.set_exact(True)
    return twin
