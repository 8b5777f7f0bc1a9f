"""Widening a trained network without changing what it computes, so that it can go on learning.

As in Net2Net (Chen et al. 2016, arXiv:1511.05641), in a simpler way: new units see random weights
and are seen by zeros, so that nothing changes until they learn.
"""

from __future__ import annotations

import torch

from idfzip.errors import TrainingError
from idfzip.integer.twin import GridLinear, TwinNetwork


def widen(narrow: TwinNetwork, wide: TwinNetwork) -> TwinNetwork:
    """Return `wide`, fresh from its constructor, computing what `narrow` computes.

    Raises TrainingError where a layer of `narrow` is larger or takes more inputs, or the numbers
    of layers, channels or logistics differ. New inputs come last.
    """
    layers = [[m for m in net.modules() if isinstance(m, GridLinear)] for net in (narrow, wide)]
    first, last = [(found[0], found[-1]) for found in layers]
    if (
        len(layers[0]) != len(layers[1])
        or first[0].in_features > last[0].in_features
        or first[1].out_features != last[1].out_features
    ):
        raise TrainingError(
            "only networks of the same depth and mixture and of no more inputs can be widened"
        )
    depth = len(narrow.trunk)
    ends = [found[depth - 1].out_features for found in layers]
    for i, (old, new) in enumerate(zip(*layers, strict=True)):
        is_head = depth <= i < depth + len(narrow.heads)
        inputs = ends[0] if is_head else old.in_features
        outputs = old.out_features
        if outputs > new.out_features or inputs > new.in_features:
            raise TrainingError(f"a layer of {outputs} cannot become one of {new.out_features}")
        with torch.no_grad():
            new.weight[:outputs] = 0  # old units do not see new ones
            new.weight[:outputs, :inputs] = old.weight[:, :inputs]
            if is_head:  # the errors of earlier channels come last
                new.weight[:outputs, ends[1] :] = old.weight[:, ends[0] :]
            new.bias[:outputs] = old.bias
    return wide
