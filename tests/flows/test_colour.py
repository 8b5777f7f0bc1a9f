from __future__ import annotations

import numpy as np
import pytest

from idfzip.flows import colour, depth


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


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_values_and_colour_at_one_go(channels, kind):
    ladder = depth.even(3, 243, 16)
    rng = np.random.default_rng(2)
    pixels = rng.choice(ladder.values, (9, 7, channels)).astype(kind)
    planes = colour.to_planes(pixels, ladder.numbers)
    assert planes.dtype == np.int32
    np.testing.assert_array_equal(planes, colour.forward(ladder.forward(pixels)))
    values = ladder.values.astype(kind)
    for type_of_planes in (np.int16, np.int32, np.int64):
        room = np.zeros((2, channels, 10, 12), type_of_planes)
        room[1, :, :9, :7] = planes
        found = colour.to_samples(room[1, :, :9, :7], values)
        assert found.dtype == kind
        np.testing.assert_array_equal(found, pixels)


def test_numbers_out_of_range_are_clamped():
    planes = np.array([[[200, 0]], [[100, -9]], [[-90, 9]]], np.int16)
    found = colour.to_samples(planes, np.arange(10, 200, 10).astype(np.uint8))
    assert found.tolist() == [[[190, 190, 190], [10, 10, 100]]]
