"""What training shows the heads is what coding shows them."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import make_flagship, picture

from idfzip.codecs import encoding
from idfzip.codecs.last_stage import Tables
from idfzip.flows import autoregressive, colour
from idfzip.flows.alphabet import BYTES
from idfzip.integer.network import SEEN_INPUTS
from idfzip.priors import mixture

torch = pytest.importorskip("torch", reason="training needs the extra idfzip[train]")


@pytest.mark.parametrize("content", ["smooth", "noise", "saturated"])
def test_heads_are_shown_the_same(content):
    from idfzip.training import batch, samples

    model = make_flagship(3)
    planes = colour.forward(picture(content, 20, 30, 3, 1))
    held = samples.observe(model.design, planes, 1.0, np.random.default_rng(0))
    rows = len(held)
    prior = mixture.deepened(model.prior, 0)
    tables = Tables(**model.design.tables._asdict(), **prior._asdict())
    record = autoregressive.Record(held.means, held.leads, held.values.astype(np.int32))
    seen = np.zeros((rows, SEEN_INPUTS * 3), np.float32)
    encoding.see(tables, record, held.scales.astype(np.int32), BYTES.deep, rows, seen)
    taken = batch.take(batch.store(held, torch.device("cpu")), torch.arange(rows))
    for c, extra in enumerate(taken.extras):
        np.testing.assert_array_equal(extra.numpy() * 64, seen[:, : SEEN_INPUTS * c])
    assert len(np.unique(seen[:, 3])) > 10, "leads that say something"
