"""Training of discrete flows: one-hot vectors, straight-through arg max with a temperature.

Tran et al. 2019, arXiv:1905.10347, section 4: forward the arg max, backward the softmax at a
temperature (their equation 8). A flow's forward values are computed in integers, so that the
frozen one gives the same; gradients are those of the circular convolution of one-hot vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from idfzip.flows import modular
from idfzip.flows.modular import Conditioner, Modular
from idfzip.integer import grid
from idfzip.integer.dense import Layer
from idfzip.integer.twin import GridLinear, Twin, activation, straight_through
from idfzip.priors.categorical import Categorical, frequencies


@dataclass(frozen=True)
class Shape:
    """Sizes of a flow on rows of `dimensions` categories of `alphabet`.

    `layers` lists offsets and parity of each, as in `modular.Modular`; `scales` is whether sigma
    is learned or always 1; `base` is "factorised" (a table for each dimension), "shared" (one for
    all) or "autoregressive" (one for each value before).
    """

    alphabet: int
    dimensions: int
    layers: tuple[tuple[tuple[int, ...], int | None], ...]
    hidden: int = 64
    scales: bool = True
    base: str = "factorised"


class TwinConditioner(Twin):
    """The torch twin of `modular.Conditioner`; with sigma = 1 throughout unless `scales`."""

    def __init__(self, alphabet: int, inputs: int, hidden: int, scales: bool) -> None:
        super().__init__()
        self.alphabet = alphabet
        self.hidden = GridLinear(inputs * (alphabet + 1), hidden)
        self.hidden.weight.data.normal_(0, 0.5)
        self.last = GridLinear(hidden, alphabet + len(modular.units(alphabet)))
        self.last.bias.data.zero_()
        if not scales:
            self.last.weight.data[alphabet:] = 0

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums for mu, (..., K), and for sigma, of one-hot vectors (..., inputs)."""
        sums = self.last(activation(self.hidden(seen)))
        return sums[..., : self.alphabet], sums[..., self.alphabet :]

    def freeze(self) -> Conditioner:
        """Return the conditioner in whole numbers."""
        return Conditioner(self.alphabet, _frozen(self.hidden), _frozen(self.last))


def _frozen(layer: GridLinear) -> Layer:
    weight = torch.round(layer.weight.detach().T * (1 << grid.WEIGHT_BITS))
    kept = weight.clamp(-grid.WEIGHT_LIMIT, grid.WEIGHT_LIMIT).numpy().astype(np.int16)
    bias = torch.round(layer.bias.detach() * (1 << grid.SUM_BITS)).numpy().astype(np.int32)
    return Layer(np.ascontiguousarray(kept), bias)


def hard_choice(sums: Tensor, temperature: float) -> Tensor:
    """Return one-hot vectors of the first largest sums, with the softmax's gradient."""
    hard = nn.functional.one_hot(sums.argmax(-1), sums.shape[-1]).to(sums.dtype)
    return straight_through(torch.softmax(sums / temperature, -1), hard)


def convolve(mu: Tensor, sigma: Tensor | None, x: Tensor) -> Tensor:
    """Return the one-hot vectors of (mu + sigma x) mod K, all one-hot, (..., K).

    `sigma` has a place for each of `units(K)`; None stands for 1. The values are exact; the
    gradient is that of the circular convolution, the sum over all mu, sigma and x that give a
    value: as all are one-hot, of each factor in turn moved by the others.
    """
    size = x.shape[-1]
    place = torch.arange(size)
    turned, value = x, x.argmax(-1)
    if sigma is not None:
        scales = torch.as_tensor(modular.units(size))
        turned = torch.zeros_like(x)
        for i, s in enumerate(scales.tolist()):
            sources = place * modular.reciprocal(s, size) % size
            turned = turned + sigma[..., i : i + 1] * x[..., sources]
        value = scales[sigma.argmax(-1)] * value % size
    shift = mu.argmax(-1)
    by_mu = mu.gather(-1, (place - value[..., None]) % size)
    by_x = turned.gather(-1, (place - shift[..., None]) % size)
    hard = nn.functional.one_hot((shift + value) % size, size)
    return straight_through(by_mu + by_x, hard.to(x.dtype))


class TwinFlow(nn.Module):
    """Layers and a categorical base, with gradients."""

    def __init__(self, shape: Shape, temperature: float = 1.0) -> None:
        super().__init__()
        self.shape, self.temperature = shape, temperature
        self.conditioners = nn.ModuleList(
            TwinConditioner(shape.alphabet, len(offsets), shape.hidden, shape.scales)
            for offsets, _ in shape.layers
        )
        k = shape.alphabet
        rows = {"factorised": (shape.dimensions, 1), "shared": (1, 1), "autoregressive": (1, k + 1)}
        self.base = nn.Parameter(torch.zeros(*rows[shape.base], k))

    def forward(self, values: Tensor) -> Tensor:
        """Return the mean bits of a dimension, for rows (n, D) of categories."""
        places = nn.functional.one_hot(values, self.shape.alphabet).to(self.base.dtype)
        for (offsets, parity), net in zip(self.shape.layers, self.conditioners, strict=True):
            places = self._layer(places, offsets, parity, cast(TwinConditioner, net))
        table = torch.log_softmax(self.base, -1)
        if table.shape[1] == 1:
            logs = (places * table[:, 0]).sum(-1)
        else:
            before = self._seen(places, (-1,))
            logs = (places * (before @ table[0])).sum(-1)
        return -logs.mean() / float(np.log(2))

    def _seen(self, places: Tensor, offsets: Sequence[int]) -> Tensor:
        """Return one-hot vectors with the place K for outside, (n, D, offsets * (K + 1))."""
        rows, size, _ = places.shape
        reach = max(abs(offset) for offset in offsets)
        inside = nn.functional.pad(places, (0, 1))
        outside = torch.zeros(rows, reach, inside.shape[2])
        outside[..., -1] = 1
        wide = torch.cat([outside, inside, outside], 1)
        return torch.cat([wide[:, reach + o : reach + o + size] for o in offsets], 2)

    def _layer(
        self, places: Tensor, offsets: Sequence[int], parity: int | None, net: TwinConditioner
    ) -> Tensor:
        step = slice(None) if parity is None else slice(parity, None, 2)
        mu, sigma = net(self._seen(places, offsets)[:, step])
        scale = hard_choice(sigma, self.temperature) if self.shape.scales else None
        moved = convolve(hard_choice(mu, self.temperature), scale, places[:, step])
        if parity is None:
            return moved
        kept = places[:, 1 - parity :: 2]
        return _interleaved(*((moved, kept) if parity == 0 else (kept, moved)))

    def freeze(self) -> tuple[Modular, ...]:
        """Return the layers in whole numbers."""
        return tuple(
            Modular(tuple(offsets), parity, cast(TwinConditioner, net).freeze())
            for (offsets, parity), net in zip(self.shape.layers, self.conditioners, strict=True)
        )


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    out = torch.empty(even.shape[0], even.shape[1] + odd.shape[1], even.shape[2])
    out[:, 0::2], out[:, 1::2] = even, odd
    return out


def fit(flow: TwinFlow, values: Tensor, steps: int, rows: int, rate: float, seed: int) -> None:
    """Train on rows (n, D) of categories: Adam, the rate falling to nothing as a cosine."""
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(
        [
            {"params": flow.conditioners.parameters(), "lr": rate},
            {"params": [flow.base], "lr": 10 * rate},
        ]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        batch = values[torch.randint(len(values), (rows,))]
        optimizer.zero_grad()
        flow(batch).backward()
        optimizer.step()
        schedule.step()


def counted_base(latents: npt.NDArray[np.int64], shape: Shape) -> Categorical:
    """Return the base that fits latents (n, D) best: their counts, each with 1/2 more."""
    k, size = shape.alphabet, shape.dimensions
    if shape.base == "autoregressive":
        table = np.full((1, k + 1, k), 0.5 / k)
        before = np.concatenate([np.full((len(latents), 1), k), latents[:, :-1]], 1)
        np.add.at(table[0], (before, latents), 1)
    else:
        table = np.full((size, 1, k), 0.5)
        for d in range(size):
            table[d, 0] += np.bincount(latents[:, d], minlength=k)
        table = table if shape.base == "factorised" else table.sum(0, keepdims=True)
    return Categorical(frequencies(table))
