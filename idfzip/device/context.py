"""What the network and its heads see of a pixel (see `flows.context`, `codecs.last_stage`)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from idfzip.device.expert import Solution, bounded, log2, to_sixty_fourths
from idfzip.flows.alphabet import Alphabet
from idfzip.flows.context import LIMIT


class Tables(NamedTuple):
    """`flows.context.Tables` on a device, int64."""

    log: Tensor
    gain: Tensor


def limited(value: Tensor) -> Tensor:
    """Return values within the grid of the inputs."""
    return value.clamp(-LIMIT, LIMIT)


def over(value: Tensor, gain: Tensor, deep: int) -> Tensor:
    """Return values in 1/64 of a step over the pixel's scale, limited."""
    return limited((value * gain + (32768 << deep)) >> (16 + deep))


def scales(near: Tensor, wide: Tensor, tables: Tables) -> Tensor:
    """Return the indices of pixels' scales of the errors around them and in their windows."""
    index = ((log2(near + wide + 128, tables.log) + 2) >> 2) - 28
    return index.clamp(0, len(tables.gain) - 1)


def inputs(
    values: Tensor,
    errors: Tensor,
    bases: Tensor,
    wide: Tensor,
    found: Solution,
    tables: Tables,
    one: Alphabet,
) -> tuple[Tensor, Tensor]:
    """Return the network's inputs, float32 (N, inputs), and the scales' indices, int64 (N, C).

    `values` (N, C, n) are the neighbours, `errors` (N, C, e) those at the places, `bases` and
    `wide`, the mean errors in the windows, (N, C).
    """
    deep = one.deep
    near = errors.abs().sum(2) + errors[:, :, :2].abs().sum(2)  # the first two are W and N
    index = scales(near, wide, tables)
    gain = tables.gain[index]
    level = 8 * (index - 12)
    place = bases >> deep
    place[:, 0] -= 128
    extras = [
        limited(place),
        limited(2 * (log2(near + 32, tables.log) - 144) - level),
        limited(2 * (log2(wide + 8, tables.log) - 144) - level),
        limited(found.energy - level),
        level.clamp(max=one.loudest),
    ]
    differences = (values - bases[:, :, None]) * gain[:, :, None]
    parts = [
        limited((differences + (512 << deep)) >> (10 + deep)),
        over(errors, gain[:, :, None], deep),
        torch.stack(extras, 2),
    ]
    seen = torch.cat(parts, 2)
    lead = to_sixty_fourths(bounded(found.partial[:, 0], one.limit))
    first = over(lead, gain[:, 0], deep)[:, None]
    whole = torch.cat([seen[:, 0], first, seen[:, 1:].flatten(1)], 1)
    return whole.to(torch.float32), index


def see_error(error: Tensor, gain: Tensor, deep: int, table: Tensor) -> Tensor:
    """Return what later channels see of errors (N,) in 1/64 of a step: (N, 3)."""
    size = (error.abs() * gain + (32768 << deep)) >> (16 + deep)
    logarithm = limited(2 * log2(size + 4, table) - 160)
    return torch.stack([over(error, gain, deep), size.clamp(max=LIMIT), logarithm], 1)
