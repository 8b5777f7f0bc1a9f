"""The torch twin of the bipartite codec: Integer Discrete Flows, trained by their code length.

Hoogeboom et al. 2019, arXiv:1905.07376; van den Berg et al. 2021, arXiv:2006.12459. Latents are
whole numbers from the start, with straight-through rounding; `set_exact` puts weights and
activations on the grids as well, and the twin's sums are then, times 2**14, the integers of
`idfzip.integer.densenet` (float32 carries them; sums of 1024 and more, which no trained network
is known to reach, it would round).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from idfzip.codecs.idf import SCALE
from idfzip.flows import coupling, permutation
from idfzip.integer import densenet, grid
from idfzip.integer.twin import Twin, activation, on_grid, straight_through
from idfzip.training import likelihood
from idfzip.training.permutation import HARD, SEARCH, SOFTEST, LearnedPermutation

_INPUT = densenet.INPUT_GAIN / (1 << grid.ACTIVATION_BITS)
_UNIT = float(1 << coupling.UNIT_BITS)
_LOG_SCALE = SCALE / 4 - 3


LEARNED = "learned"
PERMUTATIONS = (*permutation.KINDS, LEARNED)
"""Kinds of permutations: `idfzip.flows.permutation.KINDS`, and those that training finds."""


@dataclass(frozen=True)
class IdfShape:
    """Sizes of the architecture.

    `levels`, `couplings` of each level, `depth` (dense layers) and `growth` (channels of each) of
    every network, `mixture` (logistics of the prior); `permutation`, one of
    `PERMUTATIONS`; `rezero`, whether each coupling is scaled by a learned number
    that starts at 0, else its last layer starts at 0; `split`, the share of channels it sees.
    """

    levels: int = 3
    couplings: int = 4
    depth: int = 4
    growth: int = 48
    mixture: int = 5
    permutation: str = "inverted"
    rezero: bool = True
    split: float = 0.75


class GridConv(nn.Conv2d):
    """A convolution with zeros outside, whose weights lie on the grid while `exact` is set."""

    exact = False

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__(inputs, outputs, side, padding=side // 2)

    def forward(self, input: Tensor, gain: Tensor | None = None) -> Tensor:
        """Return the sums, (N, out, H, W), of activations; `gain` scales all weights."""
        weight, bias = self.scaled(gain)
        if self.exact:
            weight = on_grid(weight, grid.WEIGHT_BITS, grid.WEIGHT_LIMIT)
            bias = on_grid(bias, grid.SUM_BITS, 1 << 24)
        return nn.functional.conv2d(input, weight, bias, padding=self.padding[0])

    def scaled(self, gain: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return weight and bias times the gain, which freezing folds into them."""
        bias = self.get_parameter("bias")
        return (self.weight, bias) if gain is None else (self.weight * gain, bias * gain)


class TwinDenseNet(nn.Module):
    """The twin of `idfzip.integer.densenet.DenseNet`; if `rezero`, `gain` scales its last layer."""

    exact = False

    def __init__(
        self, inputs: int, outputs: int, depth: int, growth: int, rezero: bool = False
    ) -> None:
        super().__init__()
        seen = [inputs + i * growth for i in range(depth + 1)]
        self.narrow = nn.ModuleList(GridConv(n, growth, 1) for n in seen[:-1])
        self.wide = nn.ModuleList(GridConv(growth, growth, 3) for _ in range(depth))
        self.last = GridConv(seen[-1], outputs, 3)
        self.gain = nn.Parameter(torch.zeros(())) if rezero else None

    def forward(self, values: Tensor) -> Tensor:
        """Return the sums of whole numbers (N, inputs, H, W) in [-128, 127]."""
        seen = values * _INPUT
        for narrow, wide in zip(self.narrow, self.wide, strict=True):
            hidden = activation(narrow(seen), self.exact)
            seen = torch.cat([seen, activation(wide(hidden), self.exact)], 1)
        sums: Tensor = self.last(seen, self.gain)
        return sums


def _around(reach: float, count: int) -> Tensor:
    """Return means from -reach to reach; 0 if there is one."""
    return torch.linspace(-reach, reach, count) if count > 1 else torch.zeros(1)


def _wrap(values: Tensor) -> Tensor:
    wrapped = torch.remainder(values.detach() - coupling.LOW, 256) + coupling.LOW
    return straight_through(values, wrapped)


def _squeeze(values: Tensor) -> Tensor:
    n, c, h, w = values.shape
    squares = values.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4)
    return squares.reshape(n, 4 * c, h // 2, w // 2)


class TwinLevel(nn.Module):
    """The couplings of a level, and the permutations around them as a buffer."""

    permutations: Tensor

    def __init__(self, channels: int, shape: IdfShape, rng: np.random.Generator) -> None:
        super().__init__()
        kind = "random" if shape.permutation == LEARNED else shape.permutation
        rows = permutation.chain(kind, shape.couplings, channels, rng)
        self.register_buffer("permutations", torch.from_numpy(rows.astype(np.int64)))
        self.learned = nn.ModuleList(
            LearnedPermutation(row)
            for row in (self.permutations[:-1] if shape.permutation == LEARNED else [])
        )
        self.seen = min(max(round(shape.split * channels), 1), channels - 1)
        self.couplings = nn.ModuleList(
            TwinDenseNet(self.seen, channels - self.seen, shape.depth, shape.growth, shape.rezero)
            for _ in range(shape.couplings)
        )

    def forward(self, values: Tensor) -> Tensor:
        """Return the values, (N, channels, H, W), after the couplings."""
        for i, net in enumerate(self.couplings):
            if len(self.learned) > 0 and torch.is_grad_enabled():
                values = self.learned[i](values, self.permutations[i])
            else:
                values = values[:, self.permutations[i]]
            seen, rest = values[:, : self.seen], values[:, self.seen :]
            soft = net(seen) * _UNIT
            moved = _wrap(rest - straight_through(soft, torch.floor(soft + 0.5)))
            values = torch.cat([seen, moved], 1)
        return values[:, self.permutations[-1]]

    def anneal(self, step: int, temperature: float) -> None:
        """Set the noise of learned permutations, and keep what they are without it."""
        for i, module in enumerate(self.learned):
            if isinstance(module, LearnedPermutation):
                module.temperature, module.seed = temperature, step * len(self.learned) + i
                if temperature >= HARD:
                    self.permutations[i] = module.mode


class IdfTwin(Twin):
    """The flow and its priors; permutations are drawn from `seed`."""

    def __init__(self, channels: int, shape: IdfShape, seed: int = 0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.shape, self.channels = shape, channels
        widths = [channels << (i + 2) for i in range(shape.levels)]
        self.levels = nn.ModuleList(TwinLevel(n, shape, rng) for n in widths)
        self.conditions = nn.ModuleList(
            TwinDenseNet(n // 2, n // 2 * 3 * shape.mixture, shape.depth, shape.growth)
            for n in widths[:-1]
        )
        self.constants = nn.Parameter(torch.zeros(widths[-1], 3, shape.mixture))
        self._begin()
        self.set_exact(False)

    def _begin(self) -> None:
        """Start with couplings that add nothing, unless scaled, and with a broad prior."""
        k = self.shape.mixture
        with torch.no_grad():
            if not self.shape.rezero:
                for net in self.nets(level.couplings for level in self.all_levels):
                    net.last.weight.zero_()
                    net.last.get_parameter("bias").zero_()
            self.constants[:, 1] = _around(3, k)
            self.constants[:, 2] = 2
            for net in self.nets([self.conditions]):
                net.last.weight.mul_(0.1)
                bias = net.last.get_parameter("bias").view(-1, 3, k)
                bias.zero_()
                bias[:, 1] = _around(2, k)
                bias[:, 2] = torch.linspace(0, 2, k)

    def anneal(self, step: int, share: float) -> None:
        """Bring learned permutations nearer to hard ones, which they are from `SEARCH` on."""
        for level in self.all_levels:
            level.anneal(step, SOFTEST * max(1 - share / SEARCH, 0.0))

    @property
    def all_levels(self) -> list[TwinLevel]:
        """The levels, the finest first."""
        return [level for level in self.levels if isinstance(level, TwinLevel)]

    @property
    def all_nets(self) -> list[TwinDenseNet]:
        """All networks, in the order of `Idf.nets`."""
        return self.nets([*(level.couplings for level in self.all_levels), self.conditions])

    @staticmethod
    def nets(groups: Iterable[Iterable[nn.Module]]) -> list[TwinDenseNet]:
        """Return the networks in groups of modules, in order."""
        return [net for group in groups for net in group if isinstance(net, TwinDenseNet)]

    def values(self, pixels: Tensor) -> Tensor:
        """Return what the flow takes of uint8 pixels (N, C, H, W), as `idf.to_values`."""
        p = pixels.to(torch.int64)
        planes = p
        if self.channels == 3:
            planes = torch.stack([p[:, 1], p[:, 0] - p[:, 1], p[:, 2] - p[:, 1]], 1)
        offset = torch.tensor([128, 0, 0][: self.channels], device=p.device)[:, None, None]
        side = 1 << self.shape.levels
        ys, xs = (
            torch.arange(-(-n // side) * side, device=p.device).clamp(max=n - 1)
            for n in pixels.shape[2:]
        )
        wrapped = torch.remainder(planes - offset - coupling.LOW, 256) + coupling.LOW
        return wrapped.float()[:, :, ys][:, :, :, xs]

    def latents(self, pixels: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return each level's latents, (N, c, H, W), and its prior's sums (N, c 3 K, H, W)."""
        values, found = self.values(pixels), []
        for level, net in zip(self.all_levels[:-1], self.nets([self.conditions]), strict=True):
            values, latents = level(_squeeze(values)).chunk(2, 1)
            found.append((latents, net(values)))
        values = self.all_levels[-1](_squeeze(values))
        constants = self.constants.reshape(1, -1, 1, 1)
        if self.exact:
            constants = on_grid(constants, grid.SUM_BITS, 1 << 24)
        found.append((values, constants.expand(len(values), -1, *values.shape[2:])))
        return found

    def bits(self, pixels: Tensor) -> Tensor:
        """Return the bits of each image, (N,), of uint8 pixels (N, C, H, W)."""
        parts = [self._bits(sums, values) for values, sums in self.latents(pixels)]
        return torch.stack(parts).sum(0)

    def _bits(self, sums: Tensor, values: Tensor) -> Tensor:
        n, c, h, w = values.shape
        rows = sums.reshape(n, c, -1, h, w).permute(0, 1, 3, 4, 2).reshape(n * c * h * w, -1)
        flat = values.reshape(-1)
        scale = torch.full_like(flat, _LOG_SCALE)
        low = torch.full_like(flat, coupling.LOW)
        found = likelihood.bits(rows, scale, torch.zeros_like(flat), flat, low)
        return found.reshape(n, -1).sum(1)
