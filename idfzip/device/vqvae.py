"""The lossy codec on a device: the same bytes and pixels as by `codecs.vqvae`.

Encoders, the priors' networks and the painter run on the device, all tiles of one size at once. A
code depends on those before it in its row and the row above, and is of 64 pixels or more: the
host's kernels choose or take codes, a thread a tile, with one transfer each way a stage.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from idfzip.codecs import vqvae as kernels
from idfzip.codecs.painter import Level, Vqvae
from idfzip.codecs.seen import Seen
from idfzip.codecs.vqvae import Planes, Sides
from idfzip.coding import ans
from idfzip.device import stack
from idfzip.device.machine import Machine
from idfzip.device.seen import Read
from idfzip.device.stack import Stack
from idfzip.integer.conv import LIMIT
from idfzip.integer.stack import Values

Parts = list[bytes]
Codes = npt.NDArray[np.int32]
Intervals = npt.NDArray[np.int32]
"""Those of symbols, (symbols, 2)."""

Coding = Callable[[int, int, npt.NDArray[np.int32], npt.NDArray[np.int32] | None], Codes | None]
"""Returns the codes of lane b's stage s: of the sums of what is known, and of what is wanted."""


class _Level:
    """A level's networks and codebooks on a device."""

    def __init__(self, machine: Machine, level: Level) -> None:
        self.encoder, self.head, self.lift = (
            Stack(machine, one) for one in (level.encoder, level.head, level.lift)
        )
        self.known = [Stack(machine, prior.known) for prior in level.priors]
        self.codebooks = [machine.tensor(prior.codebook.astype(np.int32)) for prior in level.priors]


class Painter:
    """A model's numbers on a device, which paint lanes side by side."""

    def __init__(self, machine: Machine, model: Vqvae) -> None:
        self._machine, self._model = machine, model
        self._levels = [_Level(machine, level) for level in model.levels]

    def features(self, values: Tensor) -> list[Tensor]:
        """Return what each level's head takes, of pixels (B, height, width, C)."""
        found: list[Tensor] = []
        for level in reversed(self._levels):
            values = level.encoder.values(values)
            found.insert(0, values)
        return found

    def paint(
        self, extent: tuple[int, int, int], stages: list[int], code: Coding, features: list[Tensor]
    ) -> npt.NDArray[np.int32]:
        """Return what is painted, int32 (B, height, width, C), of an `extent` (B, height, width).

        `stages` are the numbers of stages of each lane; a lane whose `code` gives no codes has no
        more. Without `features` nothing is wanted.
        """
        left, side = np.array(stages), self._model.stride
        count, height, width = extent
        context = self._machine.zeros(count, height // side, width // side, 0, dtype=torch.int32)
        stage = 0
        for i, level in enumerate(self._levels):
            wanted = None
            if features:
                wanted = level.head.values(torch.cat([features[i], context], 3))
            size = self._model.levels[i].size
            found = self._machine.zeros(*context.shape[:3], size, dtype=torch.int32)
            for known, book in zip(level.known, level.codebooks, strict=True):
                if (left > stage).any():
                    given = torch.cat([context, found.clamp(-LIMIT, LIMIT)], 3)
                    rest = None if wanted is None else (wanted - found).cpu().numpy()
                    found = found + self._coded(stage, left, known.sums(given), rest, code, book)
                stage += 1
            quantised = torch.cat([context, found.clamp(-LIMIT, LIMIT)], 3)
            context = level.lift.values(quantised)
        return context.cpu().numpy()

    def _coded(
        self,
        stage: int,
        left: npt.NDArray[np.int64],
        sums: Tensor,
        rest: npt.NDArray[np.int32] | None,
        code: Coding,
        book: Tensor,
    ) -> Tensor:
        """Return the entries of a stage's codes; those of lanes without the stage are 0."""
        base = sums.contiguous().cpu().numpy()
        codes = np.zeros(base.shape[:3], np.int64)

        def take(b: int) -> bool:
            mine = None
            if left[b] > stage:
                mine = code(b, stage, base[b], None if rest is None else rest[b])
            if mine is not None:
                codes[b] = mine
            return mine is not None

        there = np.array(self._machine.each(take, len(base)))
        left[~there] = np.minimum(left[~there], stage)
        entries = book[self._machine.tensor(codes)]
        return entries * self._machine.tensor(there)[:, None, None, None]


def encode_stages(
    machine: Machine,
    model: Vqvae,
    tiles: Sequence[Planes],
    stages: int,
    rate: int,
    sides: Sequence[Sides],
) -> list[Callable[[], tuple[Parts, Planes]]]:
    """Return for each tile what gives parts and paintings, as `codecs.vqvae.encode_stages`.

    Tiles are `alike`, margins and all; each has its own `sides`.
    """
    found = choose(machine, model, tiles, stages, rate, sides)
    return [
        partial(_finished, model, noted, painted, tile.shape, side)
        for (noted, painted), tile, side in zip(found, tiles, sides, strict=True)
    ]


def choose(
    machine: Machine,
    model: Vqvae,
    tiles: Sequence[Planes],
    stages: int,
    rate: int,
    sides: Sequence[Sides],
) -> list[tuple[list[Intervals], Values]]:
    """Return for each tile its intervals, the opening's and of each stage, and what is painted.

    As `codecs.vqvae.choose`, but for `codecs.vqvae.to_planes`, which is the host's work; tiles are
    `alike`.
    """
    values = np.stack([kernels.to_values(model, tile) for tile in tiles])
    noted = [[kernels.opening(model, stages, one)] for one in sides]
    priors = [prior for level in model.levels for prior in level.priors]

    def code(
        b: int, s: int, base: npt.NDArray[np.int32], wanted: npt.NDArray[np.int32] | None
    ) -> Codes | None:
        if wanted is None:
            return None
        codes, intervals = priors[s].choose_given(base, wanted, rate, model.tables)
        noted[b].append(intervals)
        return codes

    with torch.inference_mode():
        painter = Painter(machine, model)
        features = painter.features(machine.tensor(values))
        painted = painter.paint(values.shape[:3], [stages] * len(tiles), code, features)
    return list(zip(noted, painted, strict=True))


def _finished(
    model: Vqvae, noted: list[Intervals], painted: Values, shape: tuple[int, ...], sides: Sides
) -> tuple[Parts, Planes]:
    cumulative, frequency = np.ascontiguousarray(np.concatenate(noted).T)
    ends = np.cumsum([len(part) for part in noted])[1:].tolist()
    parts = [ans.to_bytes(part) for part in ans.push_parts(cumulative, frequency, ends)]
    return parts, kernels.to_planes(model, painted, shape, sides)


def encode(
    machine: Machine, model: Vqvae, tiles: Sequence[Planes], alphabet: int
) -> list[Callable[[], Parts]]:
    """Return for each tile what gives the parts of its stream, all stages of them.

    Tiles are `alike`. Raises ModelError for an `alphabet` but 256.
    """
    kernels.check_alphabet(alphabet)
    none = [(0, 0, 0, 0)] * len(tiles)
    made = encode_stages(machine, model, tiles, model.stages, 0, none)
    return [partial(_parts, one) for one in made]


def _parts(made: Callable[[], tuple[Parts, Planes]]) -> Parts:
    return made()[0]


def read(
    machine: Machine,
    model: Vqvae,
    streams: Sequence[bytes],
    sizes: Sequence[tuple[int, int]],
    cut: bool,
    alphabet: int,
) -> list[Read]:
    """Return what streams paint: the stages that are whole in them, where they are `cut`.

    The tiles are `alike`. Raises ModelError for an `alphabet` but 256.
    """
    kernels.check_alphabet(alphabet)
    coders = [ans.decoder([ans.from_bytes(stream)]) for stream in streams]
    shown = paint(machine, model, coders, sizes, cut)
    return [
        Read(Seen(planes, share), ans.is_finished(coder, 0))
        for (planes, share), coder in zip(shown, coders, strict=True)
    ]


def paint(
    machine: Machine,
    model: Vqvae,
    coders: Sequence[ans.Coder],
    sizes: Sequence[tuple[int, int]],
    cut: bool,
) -> list[tuple[Planes, float]]:
    """Return what streams paint, and the shares of stages that were in them: `vqvae.paint`.

    Coders then stand behind the codes. The tiles are `alike`.
    """
    begun = [kernels.open_stream(model, coder, cut) for coder in coders]
    priors = [prior for level in model.levels for prior in level.priors]
    done = np.zeros(len(coders), np.int64)

    def code(
        b: int, s: int, base: npt.NDArray[np.int32], _: npt.NDArray[np.int32] | None
    ) -> Codes | None:
        codes = priors[s].decode_given(base, coders[b], model.tables, cut)
        done[b] += codes is not None
        return codes

    whole = [_with_margins(model, size, one[1]) for size, one in zip(sizes, begun, strict=True)]
    extent = (len(coders), *model.extent(*whole[0]))
    with torch.inference_mode():
        painter = Painter(machine, model)
        painted = painter.paint(extent, [stages for stages, _ in begun], code, [])
    found = []
    for b, (stages, sides) in enumerate(begun):
        planes = kernels.to_planes(model, painted[b], (model.channels, *whole[b]), sides)
        found.append((planes, done[b] / max(stages, 1)))
    return found


def _with_margins(model: Vqvae, size: tuple[int, int], sides: Sides) -> tuple[int, int]:
    top, left, bottom, right = sides
    return size[0] + (top + bottom) * model.stride, size[1] + (left + right) * model.stride


def alike(model: Vqvae, stream: bytes, size: tuple[int, int], cut: bool) -> Hashable:
    """Return what tiles of one batch have in common: the sides that the networks take.

    With the margins that a stream names; a tile to encode has them already, and no stream.
    """
    if not stream:
        return model.extent(*size)
    coder = ans.decoder([ans.from_bytes(stream)])
    _, sides = kernels.open_stream(model, coder, cut)
    return model.extent(*_with_margins(model, size, sides))


def sums(machine: Machine, model: Vqvae, inputs: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
    """Return what a device gives for a self-test's inputs (see `container.vqvae_file`)."""
    stacks = [
        one
        for level in model.levels
        for one in (level.encoder, level.head, level.lift, *(p.known for p in level.priors))
    ]
    side = max(one.squeezed for one in stacks)
    values = machine.tensor(inputs.astype(np.float32))[None]
    totals = []
    with torch.inference_mode():
        for one in stacks:
            height, width = (n // side * one.squeezed for n in inputs.shape[:2])
            found = Stack(machine, one).sums(values[:, :height, :width, : one.inputs])
            totals.append(found.to(torch.int64).sum((0, 1, 2)).cpu().numpy())
    return (np.concatenate(totals) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def memory(
    machine: Machine, model: Vqvae, size: tuple[int, int], alphabet: int, encoding: bool
) -> int:
    """Return about how many bytes painting a tile takes on a device."""
    place, most = 1.0, 0.0
    for level in reversed(model.levels):
        coarse = place / level.encoder.squeezed**2
        most = max(most, place * stack.memory(level.encoder))
        others = (level.head, level.lift, *(prior.known for prior in level.priors))
        most = max(most, coarse * max(stack.memory(one) for one in others))
        place = coarse
    height, width = model.extent(*size)
    return int(height * width * (most + 4 * model.channels * 4))
