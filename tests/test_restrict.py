from __future__ import annotations

import numpy as np
from conftest import make_lattice, picture
from restrict import restricted

from idfzip.codecs import lattice
from idfzip.codecs.flagship import Learning
from idfzip.flows import colour


def test_a_restricted_model_codes_grey_planes_as_the_whole_one_does():
    model = make_lattice(3, learning=Learning(400, 2))
    grey = picture("smooth", 40, 50, 1)
    one, three = colour.forward(grey), colour.forward(np.repeat(grey, 3, 2))
    small = restricted(model)
    (stream,) = lattice.encode(small, [one])
    (found,) = lattice.decode(small, [stream], [(40, 50)])
    np.testing.assert_array_equal(found, one)
    # Without learning, whose heads influence each other, both expect the same of each value.
    still, whole = restricted(make_lattice(3)), make_lattice(3)
    for share in (0.1, 0.4):
        cut = stream[: int(share * len(stream)) & ~3]
        one = lattice.preview(still, cut[:8], (8, 8), False).planes
        three = lattice.preview(whole, cut[:8], (8, 8), False).planes
        assert one.shape == (1, 8, 8)
        assert three[0, 0, 0] == one[0, 0, 0]
