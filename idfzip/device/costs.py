"""What coding on a device takes of its memory, for the size of batches.

Counted from the tensors that live at once, rounded up; no batch is sized by trial.
"""

from __future__ import annotations

from idfzip.codecs.flagship import Flagship
from idfzip.device.schedule import Group
from idfzip.flows import alphabet as alphabets
from idfzip.flows import context

_SUMS = 6
"""Tensors of the window's terms that live at once while they are summed."""

_WORDS = 12
"""Numbers of 64 bits for each input of the network, while inputs are made."""


def _terms(flagship: Flagship) -> int:
    n = len(flagship.design.regressors) + flagship.channels
    return n * (n + 1) // 2 + 1 + flagship.channels


def _pixel(flagship: Flagship, alphabet: int) -> int:
    """Return the bytes of a pixel's sums and inputs."""
    item = 8 if alphabets.alphabet(alphabet).deep else 4
    design = flagship.design
    inputs = context.width(len(design.neighbours), len(design.places), flagship.channels)
    return _SUMS * item * _terms(flagship) + 8 * _WORDS * inputs


def _network(flagship: Flagship) -> int:
    """Return the bytes of a network that learns: values, their exact ones, squares, slopes."""
    return 6 * 4 * flagship.operations if flagship.learning.rate else 0


def encoding(flagship: Flagship, group: Group, alphabet: int) -> int:
    """Return about how many bytes encoding a group takes."""
    largest = max(sum(h * w for h, w in run) for run in group.runs)
    return largest * _pixel(flagship, alphabet) + _network(flagship)


def decoding(flagship: Flagship, group: Group, alphabet: int) -> int:
    """Return about how many bytes decoding a group takes."""
    n = len(flagship.design.regressors) + flagship.channels
    item = 8 if alphabets.alphabet(alphabet).deep else 4
    runs = group.runs
    tiles = max(map(len, runs))
    height = max(h for h, _ in group.sizes)
    width = max(w for _, w in group.sizes)
    slots = tiles * min(height, (width + 1) // 2)
    step = slots * (_pixel(flagship, alphabet) + 3 * 4 * (n + 1) * n)
    ring = tiles * height * 8 * item * _terms(flagship)
    planes = tiles * height * width * flagship.channels * 2 * item * 2
    return step + ring + planes + _network(flagship)
