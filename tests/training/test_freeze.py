from __future__ import annotations

import numpy as np
import pytest
from conftest import make_flagship

pytest.importorskip("torch", reason="training needs the extra idfzip[torch]")


@pytest.mark.parametrize("channels", [1, 3])
def test_thawing_and_freezing_change_nothing(channels):
    from idfzip.training.freeze import freeze_network, thaw

    network = make_flagship(channels).network
    again = freeze_network(thaw(network))
    for group in ("trunk", "heads", "outs"):
        for a, b in zip(getattr(network, group), getattr(again, group), strict=True):
            np.testing.assert_array_equal(a.weight, b.weight)
            np.testing.assert_array_equal(a.bias, b.bias)


def test_images_fall_on_the_same_side_whatever_else_is_there():
    from idfzip.training.folder import split

    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (5, 5, 3)).astype(np.uint8) for _ in range(60)]
    kept, held = split(images)
    assert len(kept) + len(held) == 60
    assert 1 <= len(held) <= 20
    fewer_held = split(images[10:])[1]
    assert {h.tobytes() for h in fewer_held} == {
        h.tobytes() for h in held if any(h is i for i in images[10:])
    }
    assert split(images[:1]) == (images[:1], images[:1])
