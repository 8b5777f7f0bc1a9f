"""Codebooks of which training draws codes: those of a dVAE, and of stochastic binary latents.

Where the encoder gives a vector, the probability of a code falls with the squared distance of its
entry: the codec's nearest entry is the likeliest code. So both are models of the lossy codec as any
other. The cost is the divergence of the codes' probabilities from uniform ones, in nats a code.

Tries of drawn bits (recipe `nvil`, 600 steps in about 100 seconds of processor time, 48 crops held
out; dB at bits a pixel after so many steps). Untrained networks paint 21.9 to 23.3 dB at 0.500.

| | 100 | 300 | 600 | loss |
| --- | --- | --- | --- | --- |
| distances as they are, the encoder at the painter's rate | 18.0, 0.40 | 17.3, 0.17 | 20.6, 0.23 | 1.006 |
| distances in units of the sides, the encoder at 0.1 of the rate | 23.3, 0.47 | 22.9, 0.37 | 23.7, 0.36 | 0.876 |
| the same, costs beside those of the likeliest codes | 23.3, 0.47 | 23.7, 0.42 | 23.8, 0.39 | 0.761 |
| the same, the encoder as it begins | 23.5, 0.46 | 23.6, 0.42 | 23.2, 0.41 | 0.845 |
| the same, the encoder at 0.3 of the rate: the recipe | 22.5, 0.45 | 24.0, 0.40 | 24.0, 0.39 | 0.748 |
| the same, sides e times as sharp | 23.2, 0.45 | 23.9, 0.39 | 24.0, 0.39 | 0.763 |
| the same, the encoder at the painter's rate | 21.4, 0.47 | stopped at 200: 22.1, 0.36 | | |

As distances were, small values were drawn almost evenly, and what was drawn added noise that no
later stage took back; the score of such draws, which Adam scales up to the full rate, drove the
encoder's values to their limits (mean sizes of 6 to 8), where bits are always the same and nothing
is learned any more. The signal's deviation after 300 steps was 4.1 at first, 2.2 with milder draws,
0.4 beside the likeliest codes. These come from an experiment, before codebooks waited for the second
painting, and from no script. Not tried: a baseline for each stage.
"""  # noqa: E501

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import logsigmoid

from idfzip.integer import grid
from idfzip.training.estimators import relaxed
from idfzip.training.quantiser import EVERY, KEEP, SEARCH, Chosen, TwinCodebook, TwinCodes
from idfzip.training.stack import BOUND

NEAREST, GUMBEL, BINARY = "nearest", "gumbel", "binary"
"""Kinds of codebooks: `TwinCodebook`, `TwinEmbedding` and `TwinBits`."""

_UNIT = 4.0
"""The embedding's weights are entries in so many units: their reach is that of activations."""

_SHARP = 1.0
"""Logarithm of what distances are multiplied by when training begins."""


class TwinEmbedding(TwinCodes):
    """Codes of a dVAE (Ramesh et al. 2021, arXiv:2102.12092): the painter's embedding is learned.

    Mixtures of entries are drawn as Gumbel-softmax has it, on the grids single ones with the
    gradients of mixtures. Entries that are hardly used begin anew, as of `TwinCodebook`.
    """

    def __init__(self, entries: int, size: int, seed: int) -> None:
        super().__init__(entries)
        random = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(entries, size, generator=random) * (0.5 / _UNIT))
        self.sharp = nn.Parameter(torch.tensor(_SHARP))

    def points(self) -> Tensor:
        """As of `TwinCodes`."""
        return self.weight * _UNIT

    @torch.no_grad()
    def put(self, codes: Tensor) -> None:
        """As of `TwinCodes`."""
        self.weight.copy_(codes / _UNIT)
        self.count.fill_(1)

    def choose(self, values: Tensor, warmth: float, random: Generator) -> Chosen:
        """As of `TwinCodes`."""
        rows, entries = values.permute(0, 2, 3, 1), self.entries
        distance = entries.square().sum(1) - 2 * rows @ entries.T
        logits = -distance * self.sharp.exp()
        logs = torch.log_softmax(logits, -1)
        drawn = relaxed(logits, warmth, self.exact, random)
        cost = (logs.exp() * logs).sum(-1).mean() + math.log(len(entries))
        return Chosen((drawn @ entries).permute(0, 3, 1, 2), drawn.detach().argmax(-1), cost)

    @torch.no_grad()
    def follow(self, values: Tensor, index: Tensor, step: int, share: float) -> None:
        """As of `TwinCodes`."""
        self._counted(index)
        if share < SEARCH and step % EVERY == 0:
            rows = values.detach().permute(0, 2, 3, 1).reshape(-1, values.shape[1])
            dead, anew = self._dead(rows, step)
            self.weight[dead] = anew.clamp(-BOUND, BOUND) / _UNIT
            self.count[dead] = self.count.mean()


class TwinBits(TwinCodes):
    """Codes of D independent bits: 2**D entries, the corners of a box whose sides follow values.

    Bits are drawn, by distances in units of the sides: small values as surely as large ones. But
    for the first steps, in which exact values are painted as well, nothing but the bits' score
    tells the encoder what they were worth (NVIL, Mnih and Gregor 2014, arXiv:1402.0030).
    """

    heights: Tensor

    def __init__(self, size: int) -> None:
        super().__init__(1 << size)
        signs = torch.arange(1 << size)[:, None] >> torch.arange(size) & 1
        self.register_buffer("signs", 2.0 * signs - 1, persistent=False)
        self.register_buffer("heights", torch.full((size,), 0.5))
        self.sharp = nn.Parameter(torch.tensor(_SHARP))

    def points(self) -> Tensor:
        """As of `TwinCodes`."""
        return self.get_buffer("signs") * self.heights

    @torch.no_grad()
    def put(self, codes: Tensor) -> None:
        """As of `TwinCodes`."""
        signs = self.get_buffer("signs")
        if codes.shape != signs.shape or not torch.equal(codes, signs * codes[-1]):
            raise ValueError("entries that are not the corners of a box")
        self.heights.copy_(codes[-1])
        self.count.fill_(1)

    def choose(self, values: Tensor, warmth: float, random: Generator) -> Chosen:
        """As of `TwinCodes`."""
        heights = self.entries[-1]
        logits = values.permute(0, 2, 3, 1) * (4 / heights * self.sharp.exp())
        chances = torch.sigmoid(logits)
        uniform = torch.rand(logits.shape, generator=random).to(logits.device)
        bits = (uniform < chances.detach()).to(values.dtype)
        score = (bits * logsigmoid(logits) + (1 - bits) * logsigmoid(-logits)).sum(-1)
        nats = chances * logsigmoid(logits) + (1 - chances) * logsigmoid(-logits)
        cost = nats.sum(-1).mean() + len(heights) * math.log(2)
        powers = 1 << torch.arange(len(heights), device=bits.device)
        index = (bits.long() * powers).sum(-1)
        entries = ((2 * bits - 1) * heights).permute(0, 3, 1, 2)
        return Chosen(entries, index, cost, score)

    @torch.no_grad()
    def follow(self, values: Tensor, index: Tensor, step: int, share: float) -> None:
        """As of `TwinCodes`: heights move towards the mean size of values."""
        self._counted(index)
        size = values.detach().abs().mean((0, 2, 3))
        self.heights.lerp_(size, 1 - min(KEEP, step / (step + 1)))
        self.heights.clamp_(1 / (1 << grid.ACTIVATION_BITS), BOUND)


def codebook(kind: str, entries: int, size: int, seed: int) -> TwinCodes:
    """Return a codebook of a kind; of bits there are 2**size entries, whatever `entries` says."""
    if kind == BINARY:
        return TwinBits(size)
    made: type[TwinCodebook | TwinEmbedding] = TwinCodebook if kind == NEAREST else TwinEmbedding
    return made(entries, size, seed)
