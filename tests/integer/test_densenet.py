from __future__ import annotations

import numpy as np
import pytest
from conftest import make_conv, make_net

from idfzip.errors import ModelError
from idfzip.integer.densenet import DenseNet


@pytest.mark.parametrize("size", [3, 40, 1023])
def test_sums_are_those_of_plain_integers(size):
    rng = np.random.default_rng(size)
    net = make_net(5, 4, rng, 33, size)
    for shape in [(1, 1), (2, 9), (30, 17)]:
        values = rng.integers(-128, 128, (*shape, 5)).astype(np.int32)
        values[0, 0], values[-1, -1] = -128, 127
        np.testing.assert_array_equal(net.sums(values), net.plain_sums(values))


def test_layers_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    net = make_net(5, 4, rng)
    with pytest.raises(ModelError, match="narrow 0"):
        DenseNet(net.wide, net.wide, net.last)
    with pytest.raises(ModelError, match="narrow 1"):
        DenseNet((net.narrow[0], net.narrow[0]), net.wide, net.last)
    with pytest.raises(ModelError, match="wide 0"):
        DenseNet(net.narrow, net.narrow, net.last)
    with pytest.raises(ModelError, match="last"):
        DenseNet(net.narrow, net.wide, make_conv(9, 5, 4, rng))
    with pytest.raises(ModelError, match="0 narrow"):
        DenseNet((), (), net.last)
