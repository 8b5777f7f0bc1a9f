"""What is decoded of streams on a device."""

from __future__ import annotations

from typing import NamedTuple

from idfzip.codecs.seen import Seen


class Read(NamedTuple):
    """A tile as far as its stream shows it, and whether the stream ended just where it did."""

    seen: Seen
    finished: bool
