"""The torch twin of the integer network, for training: the same values, with gradients.

Values are kept in real units; the grids are simulated with straight-through rounding (Bengio et
al. 2013, arXiv:1308.3432). Products and sums are multiples of 2**-14 and exact in float32, so the
twin's outputs, times 2**14, are the integers of the kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from idfzip.integer import grid
from idfzip.integer.network import SEEN_INPUTS

_LEAK = 1.0 / (1 << grid.LEAK_SHIFT)
_BOUND = grid.ACTIVATION_LIMIT / (1 << grid.ACTIVATION_BITS)


def straight_through(soft: Tensor, hard: Tensor) -> Tensor:
    """Return the values of `hard` with the gradient of `soft`."""
    return soft + (hard - soft).detach()


def on_grid(values: Tensor, bits: int, limit: int) -> Tensor:
    """Return `values` rounded to multiples of 2**-bits within +-limit of them."""
    scale = float(1 << bits)
    kept = values.clamp(-limit / scale, limit / scale)
    return straight_through(kept, torch.round(kept * scale) / scale)


class _Activation(torch.autograd.Function):
    """The leaky activation; its gradient is the slope, 1 or 1/8, and 0 at the clamp."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor, exact: bool) -> Tensor:
        """Return the activations of sums."""
        scale = float(1 << grid.ACTIVATION_BITS)
        if exact:
            whole = sums.mul(scale).add_(0.5).floor_()
            leaked = whole.mul(_LEAK).floor_()
            values = torch.maximum(whole, leaked, out=whole).mul_(1 / scale)
        else:
            values = nn.functional.leaky_relu(sums, _LEAK)
        values.clamp_(-_BOUND, _BOUND)
        ctx.save_for_backward(values)
        return values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of the sums."""
        (values,) = ctx.saved_tensors
        slope = torch.ops.aten.leaky_relu_backward(gradient, values, _LEAK, True)
        return torch.ops.aten.hardtanh_backward(slope, values, -_BOUND, _BOUND), None


def activation(sums: Tensor, exact: bool = True) -> Tensor:
    """Return the leaky activation of sums; on its grid if `exact`."""
    values: Tensor = _Activation.apply(sums, exact)  # type: ignore[no-untyped-call]
    return values


class GridLinear(nn.Linear):
    """A dense layer whose weights lie on the grid while `exact` is set."""

    exact = True

    def forward(self, input: Tensor) -> Tensor:
        """Return the sums, shape (rows, out), of activations (rows, in)."""
        if not self.exact:
            return nn.functional.linear(input, self.weight, self.bias)
        weight = on_grid(self.weight, grid.WEIGHT_BITS, grid.WEIGHT_LIMIT)
        bias = on_grid(self.bias, grid.SUM_BITS, 1 << 22)
        return nn.functional.linear(input, weight, bias)


class Twin(nn.Module):
    """A network that has a float and an exact form."""

    exact = True

    def anneal(self, step: int, share: float) -> None:
        """Note the step and the share, 0 to 1, of the training without grids that is done."""

    def groups(self) -> list[dict[str, Any]]:
        """Return the parameters as AdamW takes them; gradients are clipped group by group.

        A group's `pace`, where it has one, is its share of the rate.
        """
        return [{"params": list(self.parameters())}]

    def set_exact(self, exact: bool) -> None:
        """Switch the grids on or off (off: the float network, for comparison and warm-up)."""
        for module in self.modules():
            if hasattr(module, "exact"):
                setattr(module, "exact", exact)  # noqa: B010


class TwinNetwork(Twin):
    """Trunk of dense layers on the inputs, and for each channel a head of two layers.

    The head of a channel sees the trunk and, for each channel before it at the same pixel, `seen`
    values (see `network.SEEN_INPUTS`). It gives `3 * mixture` sums: logits, means and
    log scales, in units of the channel's scale.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        hidden: Sequence[int],
        head: int,
        mixture: int,
        seen: int = SEEN_INPUTS,
    ) -> None:
        super().__init__()
        widths = [inputs, *hidden]
        self.trunk = nn.ModuleList(GridLinear(i, o) for i, o in pairwise(widths))
        self.heads = nn.ModuleList(GridLinear(widths[-1] + seen * c, head) for c in range(channels))
        outs = [GridLinear(head, 3 * mixture) for _ in range(channels)]
        self.outs = nn.ModuleList(outs)
        for out in outs:
            out.weight.data.mul_(0.3)
            out.bias.data.zero_()
            out.bias.data[mixture : 2 * mixture] = torch.linspace(-0.7, 0.7, mixture)
            out.bias.data[2 * mixture :] = torch.linspace(-1, 1, mixture)

    def forward(self, inputs: Tensor, extras: list[Tensor]) -> list[Tensor]:
        """Return each channel's sums, (rows, 3 * mixture).

        `inputs` (rows, inputs) in real units; `extras[c]` (rows, seen * c), what
        the channels before `c` show.
        """
        values = inputs
        for layer in self.trunk:
            values = activation(layer(values), self.exact)
        sums = []
        for c, (head, out) in enumerate(zip(self.heads, self.outs, strict=True)):
            seen = torch.cat([values, extras[c]], 1) if c else values
            sums.append(out(activation(head(seen), self.exact)))
        return sums
