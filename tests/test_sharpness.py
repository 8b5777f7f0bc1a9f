from __future__ import annotations

import numpy as np
import pytest
from conftest import picture
from sharpness import energy


def test_energy_is_the_mean_square_of_steps():
    steps = np.zeros((3, 4, 1), np.uint8)
    steps[:, 2:] = 6  # one step of 6 in three across, none down
    assert energy(steps) == pytest.approx(36 / 3)


def test_a_blurred_picture_has_less():
    sharp = picture("noise", 40, 40, 3).astype(np.uint16)
    blurred = ((sharp[1:] + sharp[:-1]) // 2).astype(np.uint8)
    assert energy(blurred) < 0.9 * energy(sharp.astype(np.uint8))
