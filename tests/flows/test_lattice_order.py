from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from idfzip.flows import lattice


@given(st.integers(1, 40))
def test_mirrored_places_lie_inside_and_keep_their_parity(side):
    place = lattice.mirrored(side)
    assert place[lattice.REACH : -lattice.REACH].tolist() == list(range(side))
    assert ((place >= 0) & (place < side)).all()
    if side > 1:
        assert (place % 2 == np.arange(-lattice.REACH, side + lattice.REACH) % 2).all()


@given(st.integers(1, 70), st.integers(1, 70))
def test_levels_and_phases_visit_every_pixel_once(height, width):
    seen = np.zeros((height, width), int)
    seen[0, 0] = 1
    for bits in range(lattice.levels(height, width)):
        for top, left in lattice.PHASES:
            seen[top << bits :: 2 << bits, left << bits :: 2 << bits] += 1
    assert (seen == 1).all()


def test_a_finer_level_begins_with_guesses():
    level = lattice.start(1)
    level.planes[:] = 7
    finer = lattice.finer(level, 2, 5, 8)
    np.testing.assert_array_equal(finer.planes, np.full((1, 2, 2), 7))
    finer.planes[0] = [[1, 2], [3, 4]]
    finest = lattice.finer(finer, 1, 5, 8)
    assert finest.planes[0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4]]
