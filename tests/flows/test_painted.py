from __future__ import annotations

import numpy as np
from conftest import make_design, picture

from idfzip.flows import autoregressive, colour, painted
from idfzip.flows.wavefront import MARGIN


def rows_of(tile, shown):
    """Return the inputs of all pixels, in order of coding."""
    design, size = make_design(3), tile.shape[1:]
    stop = autoregressive.steps([size])
    room = tile[0].size
    batch = autoregressive.begin(design, [size], 3, room, picture=shown)
    seen = autoregressive.record(len(batch.inputs), 3)
    others = np.zeros((1, *tile.shape), np.int32)
    _, count = autoregressive.observe(design, batch, tile[None], others, 0, stop, room, seen)
    assert count == room
    return batch.inputs[:count, : autoregressive.width(design, 3, shown is not None)].copy()


def test_frames_repeat_the_outermost():
    planes = np.arange(12, dtype=np.int32).reshape(1, 3, 4)
    framed = painted.framed(planes)
    assert framed.shape == (1, 3 + 2 * MARGIN, 4 + 2 * MARGIN)
    assert (framed[0, :MARGIN, MARGIN:-MARGIN] == planes[0, 0]).all()
    assert (framed[0, MARGIN:-MARGIN, -MARGIN:] == planes[0, :, -1:]).all()


def test_inputs_are_beside_those_without_a_picture():
    tile = colour.forward(picture("smooth", 9, 11, 3))
    shown = colour.forward(picture("smooth", 9, 11, 3, seed=1))
    plain, more = rows_of(tile, None), rows_of(tile, shown)
    assert more.shape[1] == plain.shape[1] + 3 * painted.INPUTS
    np.testing.assert_array_equal(more[:, : plain.shape[1]], plain)
    assert np.abs(more).max() <= 511
    assert np.any(more[:, plain.shape[1] :])


def test_the_picture_is_seen_ahead_and_the_pixels_are_not():
    """A change of a pixel changes what later ones see; one of the picture what earlier ones see."""
    height, width = 7, 9
    tile = colour.forward(picture("smooth", height, width, 3))
    y, x = 4, 5
    order = [
        (row, t - 2 * row)
        for t in range(autoregressive.steps([(height, width)]))
        for row in range(height)
        if 0 <= t - 2 * row < width
    ]
    before = rows_of(tile, tile)
    other = tile.copy()
    other[0, y, x] += 40
    of_pixel = (rows_of(other, tile) != before).any(1)
    of_picture = (rows_of(tile, other) != before).any(1)
    for place, pixel, seen in zip(order, of_pixel, of_picture, strict=True):
        step = place[1] + 2 * place[0]
        assert not pixel or step > x + 2 * y
        if (y - place[0], x - place[1]) in {(0, 0), (0, 1), (0, 2), (1, 0), (2, 0)}:
            assert seen
