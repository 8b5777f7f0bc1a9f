"""Where the decisions of an adaptive coder go to or come from: intervals for ANS, or a stream."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idfzip.coding import ans
from idfzip.integer.jit import inlined, kernel

Intervals = npt.NDArray[np.int32]


class Port(NamedTuple):
    """`reading` (1,) is 1 where decisions come from the stream `coder`, 0 where they are noted.

    Those are noted as rows of lower end and frequency in `noted`, int32 (n, 2), of which
    `used` (1,) are filled; whoever fills it makes room first.
    """

    reading: npt.NDArray[np.int64]
    coder: ans.Coder
    used: npt.NDArray[np.int64]


def writer() -> Port:
    """Return a port that notes decisions."""
    return Port(np.zeros(1, np.int64), ans.decoder([np.zeros(0, np.uint32)]), np.zeros(1, np.int64))


def reader(stream: bytes) -> Port:
    """Return a port that reads a stream; raises FormatError for one of no whole words."""
    return Port(np.ones(1, np.int64), ans.decoder([ans.from_bytes(stream)]), np.zeros(1, np.int64))


@kernel
def roomy(noted: Intervals, used: int, more: int) -> Intervals:
    """Return `noted`, or a larger copy where it has no room for `more` rows."""
    if used + more <= len(noted):
        return noted
    wider = np.empty((2 * (used + more), 2), np.int32)
    wider[:used] = noted[:used]
    return wider


@inlined
def decide(bit: int, chance: int, port: Port, noted: Intervals) -> int:
    """Code a decision whose yes has probability `chance` / 2**16, and return it.

    `bit` is what to note, of no account where the port reads. A yes takes the lower part.
    """
    yes = chance << (ans.PRECISION - 16)
    if port.reading[0]:
        bit = 1 if ans.peek(port.coder.state, 0) < yes else 0
        lower, frequency = (0, yes) if bit else (yes, ans.TOTAL - yes)
        ans.pop(port.coder.words, port.coder.place, port.coder.state, 0, lower, frequency)
    else:
        noted[port.used[0], 0] = 0 if bit else yes
        noted[port.used[0], 1] = yes if bit else ans.TOTAL - yes
        port.used[0] += 1
    return bit


@inlined
def choose(value: int, count: int, port: Port, noted: Intervals) -> int:
    """Code one of `count` values (at most 2**16), all alike, and return it; see `decide`."""
    share = ans.TOTAL // count
    if port.reading[0]:
        value = min(ans.peek(port.coder.state, 0) // share, count - 1)
    lower = value * share
    frequency = share if value < count - 1 else ans.TOTAL - lower
    if port.reading[0]:
        ans.pop(port.coder.words, port.coder.place, port.coder.state, 0, lower, frequency)
    else:
        noted[port.used[0], 0] = lower
        noted[port.used[0], 1] = frequency
        port.used[0] += 1
    return value
