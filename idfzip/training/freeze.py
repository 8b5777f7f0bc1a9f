"""From the trained twin to the integers of a model."""

from __future__ import annotations

import numpy as np
import torch

from idfzip.codecs.flagship import STATIC, Flagship, Learning
from idfzip.flows import context
from idfzip.flows.autoregressive import Design
from idfzip.integer import grid
from idfzip.integer.dense import Layer
from idfzip.integer.network import Network
from idfzip.integer.twin import GridLinear, TwinNetwork
from idfzip.priors import mixture


def _layer(linear: GridLinear) -> Layer:
    with torch.no_grad():
        weight = linear.weight.double().T * (1 << grid.WEIGHT_BITS)
        bias = linear.bias.double() * (1 << grid.SUM_BITS)
    limit = grid.WEIGHT_LIMIT
    return Layer(
        np.ascontiguousarray(weight.round().clamp(-limit, limit).cpu().numpy().astype(np.int16)),
        bias.round().cpu().numpy().astype(np.int32),
    )


def freeze_network(twin: TwinNetwork) -> Network:
    """Return the integer network of a twin; raises ModelError where a bound does not hold."""
    return Network(
        *(
            tuple(_layer(layer) for layer in group if isinstance(layer, GridLinear))
            for group in (twin.trunk, twin.heads, twin.outs)
        )
    )


def thaw(network: Network) -> TwinNetwork:
    """Return the twin of an integer network, on its grids."""
    twin = TwinNetwork(
        network.inputs,
        network.channels,
        [len(layer.bias) for layer in network.trunk],
        len(network.heads[0].bias),
        network.components,
        network.seen,
    )
    pairs = [
        *zip(twin.trunk, network.trunk, strict=True),
        *zip(twin.heads, network.heads, strict=True),
        *zip(twin.outs, network.outs, strict=True),
    ]
    with torch.no_grad():
        for linear, layer in pairs:
            weight = torch.from_numpy(layer.weight.astype(np.float32).T / (1 << grid.WEIGHT_BITS))
            linear.get_parameter("weight").copy_(weight)
            bias = torch.from_numpy(layer.bias.astype(np.float32) / (1 << grid.SUM_BITS))
            linear.get_parameter("bias").copy_(bias)
    return twin


def freeze(design: Design, twin: TwinNetwork, learning: Learning = STATIC) -> Flagship:
    """Return the model of a design and a twin."""
    network = freeze_network(twin)
    return Flagship(design, network, mixture.tables(context.SCALES), learning)
