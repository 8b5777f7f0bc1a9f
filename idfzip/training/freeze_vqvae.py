"""From the trained twin of the lossy codec to the integers of a model, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from idfzip.codecs.painter import Level, Vqvae
from idfzip.errors import ModelError
from idfzip.integer import grid
from idfzip.integer.log2 import log2_table
from idfzip.integer.stack import Block, Stack
from idfzip.priors.codes import BEFORE, CodePrior, Tables, exp_table
from idfzip.training.freeze_idf import freeze_conv, thaw_conv
from idfzip.training.quantiser import TwinCodes
from idfzip.training.stack import TwinStack
from idfzip.training.vqvae import TwinPrior, VqvaeShape, VqvaeTwin

_UNIT = float(1 << grid.ACTIVATION_BITS)
_TAPS = [3 * (dy + 1) + dx + 1 for dy, dx in BEFORE]
"""Where a kernel of 3x3 has the codes before."""


def freeze_stack(twin: TwinStack) -> Stack:
    """Return the integers of a stack; raises ModelError where a bound does not hold."""
    blocks = tuple(
        Block(tuple(map(freeze_conv, layers)), plan.squeeze, plan.spread, plan.residual)
        for plan, layers in zip(twin.plans, twin.layers, strict=True)
    )
    return Stack(blocks, None if twin.shortcut is None else freeze_conv(twin.shortcut))


def _freeze_prior(book: TwinCodes, prior: TwinPrior) -> CodePrior:
    limit = grid.ACTIVATION_LIMIT
    codes = (book.points().detach().cpu() * _UNIT).round().clamp(-limit, limit)
    near = freeze_conv(prior.near).weight[_TAPS]
    return CodePrior(
        freeze_stack(prior.known),
        np.ascontiguousarray(near),
        freeze_conv(prior.out),
        codes.numpy().astype(np.int16),
    )


def freeze_vqvae(twin: VqvaeTwin) -> Vqvae:
    """Return the integer model of a twin; raises ModelError where a bound does not hold."""
    levels = tuple(
        Level(
            freeze_stack(level.encoder),
            freeze_stack(level.head),
            tuple(_freeze_prior(book, prior) for book, prior in level.parts),
            freeze_stack(level.lift),
        )
        for level in twin.all_levels
    )
    return Vqvae(levels, Tables(exp_table(), log2_table()))


def thaw_stack(twin: TwinStack, stack: Stack) -> None:
    """Give a twin the weights of integers; raises an error where sizes differ."""
    if len(twin.layers) != len(stack.blocks):
        raise ModelError("networks of another number of blocks than the recipe's cannot be trained")
    for layers, block in zip(twin.layers, stack.blocks, strict=True):
        for layer, integers in zip(layers, block.convs, strict=True):
            thaw_conv(layer, integers)
    if twin.shortcut is not None and stack.shortcut is not None:
        thaw_conv(twin.shortcut, stack.shortcut)


T = TypeVar("T", bound=VqvaeTwin)


def thaw_vqvae(model: Vqvae, make: Callable[[int, VqvaeShape], T], latents: str) -> T:
    """Return the twin of an integer model, on its grids, with codebooks of a kind.

    `make` takes channels and sizes. Raises ModelError for unlike networks, and for codebooks that
    are not of the kind.
    """
    first, last = model.levels[0].priors[0], model.levels[-1]
    shape = VqvaeShape(
        stages=tuple(len(level.priors) for level in model.levels),
        entries=len(first.codebook),
        size=model.levels[0].size,
        width=last.encoder.outputs,
        depth=len(last.encoder.blocks) - 4,
        context=model.levels[-1].context or 1,
        hidden=first.known.outputs,
        latents=latents,
    )
    twin = make(model.channels, shape)
    try:
        with torch.no_grad():
            for level, known in zip(twin.all_levels, model.levels, strict=True):
                for name in ("encoder", "head", "lift"):
                    thaw_stack(getattr(level, name), getattr(known, name))
                for (book, prior), integers in zip(level.parts, known.priors, strict=True):
                    book.put(torch.from_numpy((integers.codebook / _UNIT).astype(np.float32)))
                    thaw_stack(prior.known, integers.known)
                    thaw_conv(prior.out, integers.out)
                    near = torch.from_numpy(integers.near / float(1 << grid.WEIGHT_BITS))
                    for tap, weight in zip(_TAPS, near, strict=True):
                        prior.near.weight[:, :, tap // 3, tap % 3] = weight.T.float()
    except (RuntimeError, ValueError):
        raise ModelError(
            f"a model whose networks differ in size, or whose codes are not {latents}, cannot be "
            "trained"
        ) from None
    return twin
