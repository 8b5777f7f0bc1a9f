"""Networks that look at pictures, by fused kernels: the processor's bytes (see `test_fused`)."""

from __future__ import annotations

import pytest
from conftest import make_flagship, make_vqvae
from test_device_lossy_first import NONE, check
from test_fused import fused  # noqa: F401  # a fixture, and what to skip for

from idfzip.codecs.flagship import STATIC, Learning
from idfzip.codecs.lossy_first import LossyFirst

pytestmark = pytest.mark.usefixtures("several_states")


@pytest.mark.parametrize(
    ("channels", "how", "sizes"),
    [(1, Learning(9000, 0, 1), [(9, 17)]), (3, STATIC, [(5, 4)])],
)
def test_a_batch_is_the_same_bytes(fused, channels, how, sizes):  # noqa: F811
    rest = make_flagship(channels, learning=how, looks=True)
    model = LossyFirst(make_vqvae(channels), rest)
    check(fused, model, sizes, 2, 0, [NONE] * len(sizes))
