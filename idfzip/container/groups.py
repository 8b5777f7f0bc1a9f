"""Groups of planes: what one model codes together, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from idfzip.flows import depth as depths
from idfzip.flows.depth import Ladder
from idfzip.images.picture import Kind, Layout, Pixels


class Content(Enum):
    """What the values of a group are."""

    GREY = "grey"
    COLOUR = "colour"
    INDEX = "index"
    """Categories: entries of a palette, ink or none."""


@dataclass(frozen=True)
class Group:
    """Planes that one model codes together: what they are, the first channel, their number."""

    content: Content
    first: int = 0
    channels: int = 1

    @property
    def place(self) -> slice:
        """Where the group's channels are in a picture's pixels."""
        return slice(self.first, self.first + self.channels)


_COLOUR = Group(Content.COLOUR, 0, 3)
_GROUPS = {
    Layout.GREY: (Group(Content.GREY),),
    Layout.GREY_ALPHA: (Group(Content.GREY, 1), Group(Content.GREY)),
    Layout.RGB: (_COLOUR,),
    Layout.RGBA: (Group(Content.GREY, 3), _COLOUR),
    Layout.PALETTE: (Group(Content.INDEX),),
    Layout.CMYK: (Group(Content.GREY, 3), _COLOUR),
}


def of(kind: Kind) -> tuple[Group, ...]:
    """Return the groups of a kind: alpha and black ink first; fewer than 8 bits as categories."""
    return (Group(Content.INDEX),) if kind.depth < 8 else _GROUPS[kind.layout]


_MANY = 64
"""From so many values next to each other on, those of 8 bits are not told."""


def ladder(group: Group, samples: Pixels, depth: int) -> Ladder:
    """Return the values of a group's samples (height, width, C), which are coded as numbers.

    Of 8 bits, or of categories, all values are taken where leaving some out would save little.
    """
    used = depths.used(samples)
    first, last = int(used.values[0]), int(used.values[-1])
    if group.content == Content.INDEX:
        spared = last + 1 - len(used)
        return used if 2 * spared > last else depths.even(0, last, 1)
    fitted = used if len(used) == 1 else depths.fit(samples, used)
    if depth == 8 and fitted.is_even and fitted.step == 1 and last - first >= _MANY:
        return full(depth)
    return fitted


def full(depth: int) -> Ladder:
    """Return the ladder of all values of a depth."""
    return depths.even(0, (1 << depth) - 1, 1)
