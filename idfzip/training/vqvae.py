"""The torch twin of the lossy codec: VQ-VAE and VQ-VAE-2, and the prior of their codes.

See `idfzip.codecs.vqvae` for the papers. All parts learn at once: encoders and painter by how far
pictures lie apart and by the commitment cost, codebooks as averages (`idfzip.training.quantiser`),
the prior by its bits, which move nothing else. Other kinds of codes: `idfzip.training.latents`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from idfzip.integer import grid
from idfzip.integer.twin import Twin, activation, on_grid, straight_through
from idfzip.priors.codes import BEFORE
from idfzip.training import cosine
from idfzip.training import latents as kinds
from idfzip.training.estimators import Signal, temperature
from idfzip.training.idf import GridConv
from idfzip.training.quantiser import Chosen, TwinCodes
from idfzip.training.stack import BOUND, TwinStack, plain, residual

FADE = 0.1
"""Part of the training without grids over which quantised values take the place of exact ones: a
painter that sees them exactly learns faster what they stand for."""

PACE = 0.3
"""The rate of an encoder that learns from a signal, as a share of the others'."""


@dataclass(frozen=True)
class VqvaeShape:
    """Sizes of the architecture.

    `stages` are the numbers of codebooks of each level, the coarsest first, `entries` and `size`
    those of a codebook; `width` the channels of networks, `depth` their residual blocks, `context`
    the channels that one level gives the next finer one, `hidden` those of a prior; `latents` is
    the kind of codebooks. Drawn bits learn on one level only.
    """

    stages: tuple[int, ...] = (4,)
    entries: int = 256
    size: int = 16
    width: int = 96
    depth: int = 2
    context: int = 32
    hidden: int = 64
    latents: str = kinds.NEAREST


class Painted(NamedTuple):
    """What a training step looks at.

    `pictures` (N, C, H, W), black at 0 and white at 1, not yet clamped; `cost` a scalar, of what
    keeps encoders near their codes; `bits` those of each image and stage, (N, stages). Of drawn
    bits `score` (N, h, w) is the logarithm of the probability of all that were painted, and `seen`
    (N, C', h, w) what they were drawn from.
    """

    pictures: Tensor
    cost: Tensor
    bits: Tensor
    score: Tensor | None
    seen: Tensor


class TwinPrior(nn.Module):
    """The twin of `idfzip.priors.codes.CodePrior`."""

    exact = False

    def __init__(self, inputs: int, shape: VqvaeShape) -> None:
        super().__init__()
        self.known = TwinStack(inputs, [plain(shape.hidden), plain(shape.hidden)])
        self.near = GridConv(shape.size, shape.hidden, 3)
        self.out = GridConv(shape.hidden, shape.entries, 1)
        with torch.no_grad():
            self.near.get_parameter("bias").zero_()
            self.out.weight.mul_(0.1)
            self.out.get_parameter("bias").zero_()
            seen = torch.zeros(3, 3)
            for dy, dx in BEFORE:
                seen[dy + 1, dx + 1] = 1
        self.register_buffer("seen", seen)

    def forward(self, known: Tensor, entries: Tensor, index: Tensor) -> Tensor:
        """Return the bits of each image's codes `index` (N, H, W), whose entries are (N, D, H, W).

        `known` (N, inputs, H, W) is what is known of the whole plane.
        """
        weight = self.near.weight * self.get_buffer("seen")
        if self.exact:
            weight = on_grid(weight, grid.WEIGHT_BITS, grid.WEIGHT_LIMIT)
        sums = self.known(known) + nn.functional.conv2d(entries, weight, padding=1)
        logits = self.out(activation(sums, self.exact))
        nats = nn.functional.cross_entropy(logits, index, reduction="none")
        return nats.sum((1, 2)) / torch.log(torch.tensor(2.0))


class TwinVqLevel(nn.Module):
    """The twin of `idfzip.codecs.painter.Level`."""

    def __init__(
        self, number: int, shape: VqvaeShape, encoder: TwinStack, lift: TwinStack, seed: int
    ) -> None:
        super().__init__()
        context = shape.context if number else 0
        stages = shape.stages[number]
        self.encoder, self.lift = encoder, lift
        head = [plain(shape.width, side=1), plain(shape.size, side=1)]
        start = cosine.head(shape.size, shape.width, context)
        self.head = TwinStack(encoder.outputs + context, head, start)
        seeds = [seed + 16 * number + i for i in range(stages)]
        self.codebooks = nn.ModuleList(
            kinds.codebook(shape.latents, shape.entries, shape.size, one) for one in seeds
        )
        self.priors = nn.ModuleList(TwinPrior(context + shape.size, shape) for _ in range(stages))

    @property
    def parts(self) -> list[tuple[TwinCodes, TwinPrior]]:
        """Codebook and prior of each stage."""
        pairs = zip(self.codebooks, self.priors, strict=True)
        return [
            (book, prior)
            for book, prior in pairs
            if isinstance(book, TwinCodes) and isinstance(prior, TwinPrior)
        ]


class VqvaeTwin(Twin):
    """All levels, the coarsest first, with random weights drawn by torch and codes from `seed`."""

    def __init__(self, channels: int, shape: VqvaeShape, seed: int = 0) -> None:
        super().__init__()
        self.shape, self.channels, self.seed = shape, channels, seed
        self.step, self.share = 0, 1.0
        width, blocks = shape.width, [residual(shape.width)] * shape.depth
        half, quarter = width // 2, width // 4
        levels: list[TwinVqLevel] = []
        for i in range(len(shape.stages)):
            finest = i == len(shape.stages) - 1
            context = shape.context if i else 0
            if finest:
                before = [plain(half, 4), residual(half), plain(width, 2), *blocks]
                after = [plain(4 * half, spread=2), residual(half), plain(4 * quarter, spread=2)]
                after += [residual(quarter), plain(4 * channels, spread=2)]
                begun = cosine.encoder(channels, shape.size, width)
                painted = cosine.painter(channels, shape.size, context)
            else:
                before = [plain(width, 2, side=1), *blocks]
                after = [plain(4 * shape.context, spread=2)]
                begun = cosine.coarser(shape.size, width)
                painted = cosine.finer(shape.size, shape.context, context)
            encoder = TwinStack(
                channels if finest else width, [*before, plain(width, side=1)], begun
            )
            lift = TwinStack(context + shape.size, [plain(width), *blocks, *after], painted)
            levels.append(TwinVqLevel(i, shape, encoder, lift, seed))
        self.levels = nn.ModuleList(levels)
        self.signal = _signal(width + 1) if shape.latents == kinds.BINARY else None
        self.set_exact(False)

    def anneal(self, step: int, share: float) -> None:
        """Note where training is, for entries that begin anew."""
        self.step, self.share = step, share

    def groups(self) -> list[dict[str, Any]]:
        """As of `Twin`; what learns from a signal alone does so at a slower pace."""
        if self.signal is None:
            return super().groups()
        told = [[level.encoder, level.head, level.codebooks] for level in self.all_levels]
        slow = [p for parts in told for part in parts for p in part.parameters()]
        known = {id(p) for p in slow}
        rest = [p for p in self.parameters() if id(p) not in known]
        return [{"params": rest}, {"params": slow, "pace": PACE}]

    @property
    def all_levels(self) -> list[TwinVqLevel]:
        """The levels, the coarsest first."""
        return [level for level in self.levels if isinstance(level, TwinVqLevel)]

    @property
    def all_codebooks(self) -> list[TwinCodes]:
        """The codebooks of all stages."""
        return [book for level in self.all_levels for book, _ in level.parts]

    @property
    def last(self) -> Tensor:
        """The weights of the painter's last layer."""
        return self.all_levels[-1].lift.layers[-1][-1].weight

    def forward(self, pixels: Tensor, stages: Tensor, learning: bool = False) -> Painted:
        """Return what uint8 pixels (N, C, H, W) are painted as with `stages` (N,) of each.

        Sides are multiples of the stride. If `learning`, codes are chosen as training does, and
        codebooks move; else as the codec does.
        """
        scale = 1 << grid.ACTIVATION_BITS
        features = [(pixels.float() - 128) * (2 / scale)]
        for level in reversed(self.all_levels):
            features.append(level.encoder.values(features[-1]))
        context = features[-1][:, :0]
        random = torch.Generator().manual_seed((self.seed << 32 | self.step) % (1 << 63))
        costs, bits, scores, stage = [], [], [], 0
        for level, seen in zip(self.all_levels, reversed(features[1:]), strict=True):
            wanted = level.head.values(torch.cat([seen, context], 1))
            found, painted = torch.zeros_like(wanted), torch.zeros_like(wanted)
            kept = context.detach()
            for book, prior in level.parts:
                left = wanted - found
                if learning:
                    chosen = book.choose(left, temperature(self.share), random)
                else:
                    entries, index = book(left)
                    chosen = Chosen(entries, index, (left - entries).square().mean())
                known = torch.cat([kept, found.detach().clamp(-BOUND, BOUND)], 1)
                bits.append(prior(known, book.looked_up(chosen.codes), chosen.codes))
                if learning:
                    book.follow(left, chosen.codes, self.step, self.share)
                costs.append(chosen.cost)
                found = found + chosen.entries
                taken = (stages > stage).to(found.dtype)[:, None, None]
                painted = painted + taken[:, None] * chosen.entries
                if chosen.score is not None:
                    scores.append(taken * chosen.score)
                stage += 1
            any_taken = (stages > stage - len(level.parts)).to(found.dtype)[:, None, None, None]
            soft = wanted * any_taken
            faded = soft.lerp(painted, min(1.0, self.share / FADE)).clamp(-BOUND, BOUND)
            quantised = straight_through(soft, faded) if book.copied else faded
            context = level.lift.values(torch.cat([context, quantised], 1))
        pictures = context * (scale / 255) + 128 / 255
        score = torch.stack(scores).sum(0) if scores else None
        cost = torch.stack(costs).mean()
        return Painted(pictures, cost, torch.stack(bits, 1), score, features[1])


def _signal(inputs: int) -> Signal:
    """Return a signal whose baseline sees features, and how many stages are painted."""
    layers = nn.Conv2d(inputs, 32, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(32, 1, 1)
    return Signal(constant=True, baseline=nn.Sequential(*layers), normalised=True)
