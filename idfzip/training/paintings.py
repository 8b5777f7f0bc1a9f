"""Training a network of the lossy codec: how crops are painted, alone or against an adversary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from idfzip.codecs.painter import Vqvae
from idfzip.errors import TrainingError
from idfzip.training import adversary as rival
from idfzip.training.adversary import ContestTwin, Discriminator
from idfzip.training.crops import Crops
from idfzip.training.estimators import carrying
from idfzip.training.folder import Source
from idfzip.training.freeze_vqvae import freeze_vqvae
from idfzip.training.recipe import PainterRecipe, VqganRecipe
from idfzip.training.similarity import dissimilarity
from idfzip.training.vqvae import Painted, VqvaeTwin

CHECKED = 48
"""Crops of the held-out images that an evaluation looks at."""

SQUARE = 8
"""The side of the squares of a code of the finest level."""

P = TypeVar("P", bound=PainterRecipe)


class Paintings(Crops[P], Generic[P]):
    """Training of a network of the lossy codec; a `Task`. Its loss takes the place of bits."""

    unit = "loss"
    _make: type[VqvaeTwin] = VqvaeTwin

    def __init__(
        self,
        recipe: P,
        training: Sequence[Source],
        held_out: Sequence[Source],
        seed: int,
        device: torch.device,
        start: VqvaeTwin | None = None,
    ) -> None:
        if recipe.crop % recipe.stride:
            raise TrainingError(f"crop = {recipe.crop}: a multiple of {recipe.stride} expected")
        super().__init__(recipe, training, held_out, seed, device, CHECKED)
        self._start = start

    def network(self) -> VqvaeTwin:
        """Return the network to begin with: the one to go on from, or a fresh one."""
        if self._start is not None:
            return self._start.to(self._device)
        return self._make(self._channels, self._recipe.shape, self._seed).to(self._device)

    def bits(self, network: VqvaeTwin, crops: Tensor) -> Tensor:
        """Return the loss of crops, each painted with a random number of stages."""
        rng = np.random.default_rng((self._seed, network.step, 1))
        stages = torch.from_numpy(rng.integers(1, sum(self._recipe.stages) + 1, len(crops)))
        return self._loss(network, crops, stages.to(crops.device), torch.is_grad_enabled())

    def evaluate(self, network: VqvaeTwin) -> float:
        """Return the mean loss of crops of the held-out images, over all numbers of stages."""
        every = torch.arange(1, sum(self._recipe.stages) + 1)
        count = -(-CHECKED // len(every)) * len(every)
        stages = every.repeat(count // len(every))[: len(self._checked)]
        total = 0.0
        with torch.no_grad():
            for crops, some in zip(
                torch.split(self._checked, 8), torch.split(stages, 8), strict=True
            ):
                loss = self._loss(network, crops.to(self._device), some.to(self._device), False)
                total += float(loss) * len(crops)
        return total / len(self._checked)

    def facts(self, network: VqvaeTwin) -> dict[str, float]:
        """Return the mean perplexity of each stage's codebook, and more, of the held-out crops."""
        found = self._painted(network)
        pictures = found.pictures.clamp(0, 1)
        error = (pictures - self._checked.to(self._device) / 255).square().mean()
        bits = found.bits.sum(0) / self._checked[:, 0].numel()
        return {
            "psnr": float(-10 * torch.log10(error)),
            "bpp": float(bits.sum()),
            **{f"bpp_{i}": float(one) for i, one in enumerate(bits)},
            **{f"perplexity_{i}": b.perplexity for i, b in enumerate(network.all_codebooks)},
        }

    def freeze(self, network: VqvaeTwin) -> Vqvae:
        """Return the model of a network."""
        return freeze_vqvae(network)

    @torch.no_grad()
    def _painted(self, network: VqvaeTwin) -> Painted:
        """Return what the held-out crops are painted as with all stages."""
        stages = torch.full((len(self._checked),), sum(self._recipe.stages))
        found: Painted = network(self._checked.to(self._device), stages.to(self._device))
        return found

    def _loss(self, network: VqvaeTwin, crops: Tensor, stages: Tensor, learning: bool) -> Tensor:
        likeliest = None
        if learning and network.signal is not None:  # painted before codebooks move
            with torch.no_grad():
                likeliest = network(crops, stages).pictures
        found, real = network(crops, stages, learning), crops.float() / 255
        total = self._distance(found.pictures, real) + self._rest(network, found, crops)
        if likeliest is None:
            return total
        return carrying(total, *self._told(network, found, likeliest, real, stages))

    def _distance(self, pictures: Tensor, wanted: Tensor) -> Tensor:
        """Return how far pictures lie from wanted ones, a scalar."""
        recipe, error = self._recipe, (pictures - wanted).square().mean()
        return recipe.fidelity * error + recipe.similarity * dissimilarity(pictures, wanted)

    def _rest(self, network: VqvaeTwin, found: Painted, crops: Tensor) -> Tensor:
        """Return what codes cost, a scalar."""
        bits = found.bits.sum() / crops[:, 0].numel()
        cost = self._recipe.weight * found.cost
        if network.signal is not None:
            cost = network.signal.scale * cost
        return cost + self._recipe.likelihood * bits

    def _told(
        self, network: VqvaeTwin, found: Painted, likeliest: Tensor, real: Tensor, stages: Tensor
    ) -> list[Tensor]:
        """Return what a signal makes of drawn bits, and what its baseline makes small, scalars.

        A code costs what it adds to the error that the likeliest codes would have left. As a part
        of the baseline, which sees what the codes are drawn from, that changes no expectation.
        """
        if found.score is None or network.signal is None:
            raise TypeError("codes that are not drawn")
        more = _around(found.pictures - real) - _around(likeliest - real)
        share = (stages / sum(self._recipe.stages)).to(more.dtype)[:, None, None, None]
        seen = torch.cat([found.seen, share.expand_as(found.seen[:, :1])], 1)
        signal, guess = network.signal(self._recipe.fidelity * more, seen)
        return [(signal * found.score).mean(), guess.mean()]


def _around(error: Tensor) -> Tensor:
    """Return the mean squares of errors (N, C, H, W), summed over 3 x 3 squares: (N, h, w).

    A code moves little beyond the squares around its own, so these are its errors.
    """
    squares = avg_pool2d(error.detach().square().mean(1, keepdim=True), SQUARE)
    return 9 * avg_pool2d(squares, 3, 1, 1)[:, 0]


class Contests(Paintings[VqganRecipe]):
    """Training of a network of the lossy codec against an adversary; a `Task`."""

    _make = ContestTwin

    def facts(self, network: VqvaeTwin) -> dict[str, float]:
        """As of `Paintings`, and the mean verdicts on held-out crops, real and painted."""
        painted = self._painted(network).pictures.clamp(0, 1)
        crops = self._checked.to(self._device) / 255
        with torch.no_grad():
            verdicts = [_adversary(network)(one)[-1].mean() for one in (crops, painted)]
        told = {"verdict_real": float(verdicts[0]), "verdict_painted": float(verdicts[1])}
        return super().facts(network) | told

    def _loss(self, network: VqvaeTwin, crops: Tensor, stages: Tensor, learning: bool) -> Tensor:
        found, real = network(crops, stages, learning), crops.float() / 255
        distance = self._distance(found.pictures, real)
        total = distance + self._rest(network, found, crops)
        if not learning:
            return total
        return carrying(total, *self._contest(network, found.pictures, real, distance))

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _contest(
        self, network: VqvaeTwin, painted: Tensor, real: Tensor, distance: Tensor
    ) -> list[Tensor]:
        """Return what the adversary learns, and the painter from it once it may, scalars."""
        recipe, adversary, given = self._recipe, _adversary(network), painted.detach()
        verdicts = adversary(torch.cat([real, given]))[-1]
        learned = rival.judged(recipe.loss, *verdicts.chunk(2))
        if recipe.loss == rival.WASSERSTEIN:
            where = np.random.default_rng((self._seed, network.step, 2)).random(len(real))
            at = torch.from_numpy(where.astype(np.float32)).to(real.device)
            learned = learned + rival.PENALTY * rival.penalty(adversary, real, given, at)
        if network.step < recipe.silent:
            return [learned]
        still = {name: one.detach() for name, one in adversary.named_parameters()}
        both = torch.func.functional_call(adversary, still, (torch.cat([real, painted]),))
        halves = [one.chunk(2) for one in both]
        matched = recipe.matching * rival.unlike([a for a, _ in halves], [b for _, b in halves])
        lie = rival.deceived(recipe.loss, halves[-1][1])
        weight = rival.balance(distance + matched, lie, network.last)
        return [learned, matched, recipe.adversary * weight * lie]


def _adversary(network: VqvaeTwin) -> Discriminator:
    if not isinstance(network, ContestTwin):
        raise TypeError("a network without an adversary")
    return network.adversary
