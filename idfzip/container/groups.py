"""Groups of planes: what one model codes together, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from idfzip.images.picture import Kind, Layout


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
