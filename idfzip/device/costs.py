"""What coding on a device takes of its memory, for the size of batches.

Counted from the tensors that live at once, rounded up; no batch is sized by trial.
"""

from __future__ import annotations

from idfzip.codecs.flagship import Flagship
from idfzip.device.machine import Machine
from idfzip.device.room import ALIGNED, PROBES, SLOTS, aligned
from idfzip.device.schedule import Group
from idfzip.flows import alphabet as alphabets
from idfzip.flows import context
from idfzip.flows.wavefront import MARGIN, SLOPE
from idfzip.integer.learning import PERIOD
from idfzip.integer.network import SEEN_INPUTS, Network

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


def network(one: Network, learns: bool) -> int:
    """Return the bytes of a network of fused kernels: values, their exact ones, squares."""
    return one.operations * (2 + 4 + 4 if learns else 2)


def activations(one: Network, sees: int, learns: bool) -> int:
    """Return the bytes of what a network does at a row, whose heads see so much."""
    trunk, heads, outs = (
        sum(len(layer.bias) for layer in layers) for layers in (one.trunk, one.heads, one.outs)
    )
    errors = 2 * (trunk + heads + outs) if learns else 0
    return 2 * (one.inputs + sees + trunk + heads) + 4 * heads + errors


def coding(
    machine: Machine, flagship: Flagship, group: Group, alphabet: int, encoding: bool
) -> int:
    """Return about how many bytes coding a group takes."""
    if machine.fuses:
        return _fused(flagship, group, alphabet, encoding)
    return (_encoding if encoding else _decoding)(flagship, group, alphabet)


def _encoding(flagship: Flagship, group: Group, alphabet: int) -> int:
    largest = max(sum(h * w for h, w in run) for run in group.runs)
    return largest * _pixel(flagship, alphabet) + _network(flagship)


def _decoding(flagship: Flagship, group: Group, alphabet: int) -> int:
    n = len(flagship.design.regressors) + flagship.channels
    item = 8 if alphabets.alphabet(alphabet).deep else 4
    tiles, height, width = _extent(group)
    # Tiles of a step have as many slots as the largest.
    step = (
        tiles * min(height, (width + 1) >> 1) * (_pixel(flagship, alphabet) + 3 * 4 * (n + 1) * n)
    )
    ring = tiles * height * 8 * item * _terms(flagship)
    planes = tiles * _plane(height, width) * flagship.channels * 2 * item * 2
    return step + ring + planes + _network(flagship)


def _extent(group: Group) -> tuple[int, int, int]:
    """Return the most tiles of a run, and their largest sides."""
    tiles = max(map(len, group.runs))
    height, width = (max(sides) for sides in zip(*group.sizes, strict=True))
    return tiles, height, width


def _plane(height: int, width: int) -> int:
    """Return the places of a plane, margins to the sides included (`field.Field`)."""
    return (height + MARGIN) * (width + SLOPE * (height + MARGIN))


def mixtures(components: int, channels: int, item: int) -> int:
    """Return the bytes of a row's mixtures, of means of `item` bytes, and of probes of them."""
    return components * channels * (2 * 4 + item) + 4 * PROBES


def _fused(flagship: Flagship, group: Group, alphabet: int, encoding: bool) -> int:
    """Return the bytes that fused kernels need: rows of a step and a period, not of all pixels.

    Where nothing is learned, runs are encoded side by side.
    """
    if encoding and not flagship.learning.rate:
        group = Group(group.sizes, len(group.sizes))
    c, learns = flagship.channels, flagship.learning.rate > 0
    n = len(flagship.design.regressors) + c
    item = 8 if alphabets.alphabet(alphabet).deep else 4
    tiles, height, width = _extent(group)
    row = item * _terms(flagship) + 8 * (6 + 8 * c + c * c)
    row += activations(flagship.network, SEEN_INPUTS * c, learns)
    row += mixtures(flagship.network.components, c, item)
    rows = group.abreast + ALIGNED + PERIOD * learns
    height, width = aligned(height), aligned(width + 2 * MARGIN)
    ring = tiles * height * SLOTS * item * (2 * _terms(flagship) + n + 1 + c)
    planes = tiles * _plane(height, width) * c * item * 3
    # Intervals, those of streams joined from runs, and words made of them.
    noted = group.pixels * (3 if learns else 5) * 4 * c if encoding else 0
    weights = network(flagship.network, True) if learns else 0  # else all groups share them
    return rows * row + ring + planes + noted + weights
