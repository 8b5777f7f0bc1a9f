from __future__ import annotations

import numpy as np
import pytest
from conftest import make_flagship

pytest.importorskip("torch", reason="training needs the extra idfzip[train]")


@pytest.mark.parametrize("channels", [1, 3])
def test_thawing_and_freezing_change_nothing(channels):
    from idfzip.training.freeze import freeze_network, thaw

    network = make_flagship(channels).network
    again = freeze_network(thaw(network))
    for group in ("trunk", "heads", "outs"):
        for a, b in zip(getattr(network, group), getattr(again, group), strict=True):
            np.testing.assert_array_equal(a.weight, b.weight)
            np.testing.assert_array_equal(a.bias, b.bias)
