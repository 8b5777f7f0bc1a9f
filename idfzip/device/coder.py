"""The ANS decoders of many streams side by side (see `coding.turns`).

A state is 64 bits without a sign, kept in an int64 whose bits are the same: sums, products and
shifts to the left wrap alike, a shift to the right is masked, and what is below 2**32 has no bit
above.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from idfzip.coding import turns
from idfzip.coding.ans import PRECISION, TOTAL
from idfzip.device import mixture
from idfzip.device.machine import Machine
from idfzip.device.mixture import Mixtures

WAYS = 256
"""Values between which the search chooses at once."""


class Coder(NamedTuple):
    """Decoders: `words` int32 (total + 1,), `state` int64 (G, most states), others int64 (G,).

    `place` is that of the next word, `end` that after the last one; `turn` is that of the `states`
    which has the next symbol. States that are none stay 2**32.
    """

    words: Tensor
    place: Tensor
    end: Tensor
    state: Tensor
    states: Tensor
    turn: Tensor


def there(machine: Machine, found: turns.Turns) -> Coder:
    """Return decoders that go on where those of the host stand."""
    words = machine.empty(len(found.words) + 1, dtype=torch.int32)
    words[-1] = 0
    if len(found.words):
        words[:-1] = machine.tensor(found.words.view(np.int32))
    return Coder(
        words,
        machine.tensor(found.place[:, 0]),
        machine.tensor(found.place[:, 1]),
        machine.tensor(found.state.view(np.int64)),
        machine.tensor(found.states),
        machine.tensor(found.turn),
    )


def moving(coder: Coder) -> tuple[Tensor, ...]:
    """Return what moves of decoders as they decode."""
    return coder.place, coder.state, coder.turn


def finished(coder: Coder) -> list[bool]:
    """Return whether each stream ended just where its symbols did."""
    last = torch.where(coder.states == 1, 0, 1 << 32)[:, None]
    nothing = torch.arange(coder.state.shape[1], device=last.device) >= coder.states[:, None]
    done = ((coder.state == last) | nothing).all(1) & (coder.place == coder.end)
    return [bool(one) for one in done.cpu().numpy()]


def starved(coder: Coder) -> Tensor:
    """Return whether each stream lacks a word, if it was cut, bool (G,); once it does, it stays."""
    return ((coder.state >> 32) == 0).any(1) & (coder.place == coder.end)


def take(
    coder: Coder,
    found: Mixtures,
    counts: Tensor,
    slots: int,
    alphabet: int,
    sigmoid: Tensor,
) -> Tensor:
    """Return the values that streams hold next, int64 (N,), and move the streams on.

    Rows of `found` are streams by tiles by `slots`; of tile k of stream g the first `counts[g, k]`
    (int64) are there. Each is known only when the one before is: all streams at once, position by
    position.
    """
    groups, tiles = counts.shape
    shape = (groups, tiles, slots)
    stride = WAYS if alphabet > WAYS else 1
    masses = _masses(found.lows, stride, alphabet, found, sigmoid)  # the first round's, of all
    parts = [one.view(*shape, *one.shape[1:]) for one in (*found, masses)]
    values = parts[3].clone()
    for k in range(tiles):
        for s in range(slots):
            *lane, known = (one[:, k, s] for one in parts)
            mine = Mixtures(*lane)
            state = coder.state.gather(1, coder.turn[:, None])[:, 0]
            value, lower, upper = _choose(state, mine.lows, stride, known)
            if stride > 1:
                known = _masses(value, 1, alphabet, mine, sigmoid)
                value, lower, upper = _choose(state, value, 1, known)
            used = s < counts[:, k]
            values[:, k, s] = torch.where(used, value, mine.lows)
            _pop(coder, lower, upper - lower, used)
    return values.view(-1)


def _masses(below: Tensor, stride: int, alphabet: int, found: Mixtures, sigmoid: Tensor) -> Tensor:
    """Return the frequencies of all values below probes, (N, WAYS + 1), from `below` on."""
    probes = below[:, None] + torch.arange(WAYS + 1, device=below.device) * stride
    probes = torch.minimum(probes, (found.lows + alphabet)[:, None])
    many = Mixtures(*(one.repeat_interleave(WAYS + 1, 0) for one in found))
    return mixture.cumulative(probes.view(-1), alphabet, many, sigmoid).view(probes.shape)


def _choose(
    state: Tensor, below: Tensor, stride: int, masses: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the last probe whose frequency does not exceed the quantile, and the interval."""
    place = (masses <= (state & (TOTAL - 1))[:, None]).sum(1, keepdim=True) - 1
    lower, upper = masses.gather(1, place)[:, 0], masses.gather(1, place + 1)[:, 0]
    return below + place[:, 0] * stride, lower, upper


def _pop(coder: Coder, lower: Tensor, frequency: Tensor, used: Tensor) -> None:
    turn = coder.turn[:, None]
    old = coder.state.gather(1, turn)[:, 0]
    state = ((old >> PRECISION) & ((1 << (64 - PRECISION)) - 1)) * frequency
    state = state + (old & (TOTAL - 1)) - lower
    hungry = used & ((state >> 32) == 0) & (coder.place < coder.end)
    word = coder.words[coder.place].to(torch.int64) & 0xFFFFFFFF
    filled = torch.where(hungry, (state << 32) | word, state)
    coder.state.scatter_(1, turn, torch.where(used, filled, old)[:, None])
    coder.turn.copy_((coder.turn + used) % coder.states)
    coder.place.add_(hungry)
