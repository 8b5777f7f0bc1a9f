from __future__ import annotations

import numpy as np
import pytest

from idfzip.flows import colour


@pytest.mark.parametrize("channels", [1, 3])
def test_inverse_gives_the_pixels_back(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, channels)).astype(np.uint8)
    planes = colour.forward(pixels)
    assert planes.shape == (channels, 9, 7)
    np.testing.assert_array_equal(colour.inverse(planes), pixels)


def test_every_plane_has_an_alphabet_of_256():
    planes = colour.forward(np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8))
    for c in (1, 2):
        assert (planes[c] >= -planes[0]).all()
        assert (planes[c] <= 255 - planes[0]).all()
