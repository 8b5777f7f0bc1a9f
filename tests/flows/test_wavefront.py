from __future__ import annotations

import numpy as np
import pytest

from idfzip.flows import wavefront
from idfzip.flows.wavefront import MARGIN

SIZES = [(1, 1), (1, 9), (9, 1), (2, 2), (3, 8), (8, 3), (6, 6), (12, 5), (40, 3), (3, 40)]


def neighbour(values, y, x, constant):
    """The rule of the module's text, said another way."""
    width = values.shape[1]
    if y < 0:
        y, x = 0, x + 2 * y
    if x < 0:
        y, x = y - 1, 0
    if y < 0:
        return constant
    return values[y, min(x, width - 1)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_groups_cover_each_pixel_once(height, width):
    seen = np.zeros((height, width), int)
    for t in range(wavefront.steps(height, width)):
        for y in range(wavefront.first_row(t, width), wavefront.end_row(t, height)):
            seen[y, t - 2 * y] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_margin_repeats_what_the_rule_says_and_is_known_in_time(height, width):
    values = np.arange(height * width, dtype=np.int32).reshape(height, width) + 1000
    plane = wavefront.ring(7, height, np.int32)
    for t in range(wavefront.steps(height, width)):
        rows = range(wavefront.first_row(t, width), wavefront.end_row(t, height))
        for y in rows:
            x = t - 2 * y
            for dy in range(-MARGIN, 1):
                for dx in range(-MARGIN, MARGIN + 1):
                    if wavefront.is_causal(dy, dx):
                        found = plane[wavefront.slot(t + dx + 2 * dy), y + dy + MARGIN]
                        assert found == neighbour(values, y + dy, x + dx, 7), (y, x, dy, dx)
        for y in rows:
            plane[wavefront.slot(t), y + MARGIN] = values[y, t - 2 * y]
        wavefront.spread(plane, t, height, width)


def test_what_is_causal():
    assert wavefront.is_causal(0, -1)
    assert wavefront.is_causal(-1, 1)
    assert wavefront.is_causal(-2, 3)
    assert not wavefront.is_causal(0, 0)
    assert not wavefront.is_causal(-1, 2)
    assert not wavefront.is_causal(-5, 0)
    assert not wavefront.is_causal(1, -4)
