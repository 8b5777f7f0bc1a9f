"""From the trained twin of the bipartite codec to the integers of a model, and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from idfzip.codecs.idf import Idf
from idfzip.errors import ModelError
from idfzip.flows import context
from idfzip.flows.bipartite import Level
from idfzip.integer import grid
from idfzip.integer.conv import Conv
from idfzip.integer.densenet import DenseNet
from idfzip.priors import mixture
from idfzip.training.idf import GridConv, IdfShape, IdfTwin, TwinDenseNet


def freeze_conv(module: nn.Module, gain: Tensor | None = None) -> Conv:
    """Return the integers of a `GridConv`; raises ModelError where the bound does not hold."""
    assert isinstance(module, GridConv)
    with torch.no_grad():
        weight, bias = (p.detach().cpu() for p in module.scaled(gain))
    whole = weight.double().permute(2, 3, 1, 0).reshape(-1, weight.shape[1], weight.shape[0])
    whole = (whole * (1 << grid.WEIGHT_BITS)).round().clamp(-grid.WEIGHT_LIMIT, grid.WEIGHT_LIMIT)
    return Conv(np.ascontiguousarray(whole.numpy().astype(np.int16)), whole_sums(bias))


def whole_sums(values: Tensor) -> npt.NDArray[np.int32]:
    """Return values in units of sums."""
    whole = values.detach().cpu().double() * (1 << grid.SUM_BITS)
    return whole.round().numpy().astype(np.int32)


def _freeze_net(net: TwinDenseNet) -> DenseNet:
    return DenseNet(
        tuple(freeze_conv(layer) for layer in net.narrow),
        tuple(freeze_conv(layer) for layer in net.wide),
        freeze_conv(net.last, net.gain),
    )


def freeze_idf(twin: IdfTwin) -> Idf:
    """Return the integer model of a twin; raises ModelError where a bound does not hold."""
    levels = tuple(
        Level(
            level.permutations.cpu().numpy().astype(np.int16),
            tuple(_freeze_net(net) for net in twin.nets([level.couplings])),
        )
        for level in twin.all_levels
    )
    conditions = tuple(_freeze_net(net) for net in twin.nets([twin.conditions]))
    constants = whole_sums(twin.constants.reshape(len(twin.constants), -1))
    return Idf(levels, conditions, constants, mixture.tables(context.SCALES))


def thaw_conv(module: nn.Module, conv: Conv) -> None:
    """Give a `GridConv` the weights of integers; raises RuntimeError where sizes differ."""
    assert isinstance(module, GridConv)
    side = module.kernel_size[0]
    taps = torch.from_numpy(conv.weight.astype(np.float32)) / (1 << grid.WEIGHT_BITS)
    module.weight.copy_(taps.reshape(side, side, conv.inputs, conv.outputs).permute(3, 2, 0, 1))
    bias = torch.from_numpy(conv.bias.astype(np.float64)) / (1 << grid.SUM_BITS)
    module.get_parameter("bias").copy_(bias)


def thaw_idf(model: Idf) -> IdfTwin:
    """Return the twin of an integer model, on its grids; scaled couplings hold their scale.

    Raises ModelError where networks differ in size, or where there are no couplings.
    """
    if not model.levels[0].couplings:
        raise ModelError("a model without couplings cannot be trained")
    first = model.levels[0].couplings[0]
    shape = IdfShape(
        levels=len(model.levels),
        couplings=len(model.levels[0].couplings),
        depth=len(first.narrow),
        growth=first.narrow[0].outputs,
        mixture=model.components,
        rezero=False,
        split=first.inputs / model.levels[0].channels,
    )
    twin = IdfTwin(model.channels, shape)
    try:
        with torch.no_grad():
            for level, known in zip(twin.all_levels, model.levels, strict=True):
                level.permutations.copy_(torch.from_numpy(known.permutations.astype(np.int64)))
            for net, integers in zip(twin.all_nets, model.nets, strict=True):
                for name in ("narrow", "wide"):
                    layers = zip(getattr(net, name), getattr(integers, name), strict=True)
                    for module, conv in layers:
                        thaw_conv(module, conv)
                thaw_conv(net.last, integers.last)
            constants = torch.from_numpy(model.constants.astype(np.float64))
            twin.constants.copy_(constants.reshape_as(twin.constants) / (1 << grid.SUM_BITS))
    except (RuntimeError, ValueError):
        raise ModelError("a model whose networks differ in size cannot be trained") from None
    twin.set_exact(True)
    return twin
