from __future__ import annotations

import numpy as np
import pytest
from conftest import CONTENTS, make_flagship, make_vqvae, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.codecs import flagship, lossy_first, vqvae
from idfzip.codecs.flagship import STATIC, Learning
from idfzip.codecs.lossy_first import LossyFirst
from idfzip.coding import turns
from idfzip.errors import ModelError
from idfzip.flows import colour


def planes(content, height, width, channels=3):
    return colour.forward(picture(content, height, width, channels))


LEARNING = Learning(900, 1, 3)
MODELS = {
    (painter, channels, looks): LossyFirst(
        make_vqvae(painter),
        make_flagship(channels, learning=LEARNING if looks else STATIC, looks=looks),
    )
    for painter, channels in ((1, 1), (3, 1), (3, 3))
    for looks in (False, True)
}


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(MODELS)),
    st.sampled_from(CONTENTS),
    st.integers(1, 30),
    st.integers(1, 30),
    st.data(),
)
def test_any_picture_comes_back(which, content, height, width, data):
    model = MODELS[which]
    stages = data.draw(st.integers(1, model.painter.stages))
    rate = data.draw(st.sampled_from([0, 5000]))
    tile = planes(content, height, width, model.channels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns, "SHARE", data.draw(st.sampled_from([6, turns.SHARE])))
        parts = lossy_first.encode(model, tile, stages, rate)
    assert len(parts) == 2
    (back,) = lossy_first.decode(model, [b"".join(parts)], [(height, width)])
    np.testing.assert_array_equal(back, tile)


@pytest.mark.parametrize("share", [turns.SHARE, 99])
@pytest.mark.parametrize("which", [(3, 3, True), (3, 1, False)])
def test_the_first_part_is_a_lossy_picture(monkeypatch, which, share):
    monkeypatch.setattr(turns, "SHARE", share)
    model, size = MODELS[which], (24, 32)
    tile = planes("smooth", *size, model.channels)
    parts = lossy_first.encode(model, tile, 2)
    painted = vqvae.encode_stages(model.painter, tile, 2)[1][: model.channels]
    seen = lossy_first.preview(model, parts[0], size, True)
    assert seen.known is None
    assert seen.share < 0.02
    assert (seen.planes != painted).mean() < 0.02  # but for what the last words hold of the rest
    whole = b"".join(parts)
    more = lossy_first.preview(model, whole[: len(whole) // 8 * 4], size, True)
    assert seen.share < more.share < 1
    exact = (more.planes == tile).all(0)
    assert exact.mean() >= more.share
    assert (more.planes == np.where(exact, tile, painted)).all()
    every = lossy_first.preview(model, whole, size, False)
    assert every.share == 1
    np.testing.assert_array_equal(every.planes, tile)
    assert lossy_first.preview(model, b"", size, True).share == 0


def test_margins_help_to_paint_and_are_not_coded():
    model = MODELS[3, 3, True]
    whole = planes("smooth", 40, 48)
    parts = lossy_first.encode(model, whole, 3, 0, (1, 0, 1, 1))
    inner = whole[:, 8:32, :40]
    (back,) = lossy_first.decode(model, [b"".join(parts)], [(24, 40)])
    np.testing.assert_array_equal(back, inner)


def test_a_network_that_looks_sees_the_picture():
    model = make_flagship(3, looks=True)
    tile = planes("smooth", 12, 14)
    other = planes("noise", 12, 14)
    streams = [flagship.encode(model, [tile], picture=p)[0] for p in (tile, other)]
    assert streams[0] != streams[1]
    for stream, shown in zip(streams, (tile, other), strict=True):
        (back,) = flagship.decode(model, [stream], [(12, 14)], picture=shown)
        np.testing.assert_array_equal(back, tile)
    with pytest.raises(ModelError, match="--lossy-first only"):
        flagship.encode(model, [tile])
    with pytest.raises(ModelError, match="--lossy-first only"):
        flagship.decode(model, streams[:1], [(12, 14)])


def test_damage_is_seen():
    model = MODELS[3, 3, False]
    tile = planes("noise", 16, 16)
    stream = b"".join(lossy_first.encode(model, tile, 2))
    for at in (2, 9, len(stream) // 2):
        wrong = bytearray(stream)
        wrong[at] ^= 4
        (found,) = lossy_first.decode(model, [bytes(wrong)], [(16, 16)])
        assert found is None or not np.array_equal(found, tile)
    assert lossy_first.decode(model, [stream[:-4]], [(16, 16)]) == [None]


def test_colour_after_a_grey_picture_is_refused():
    with pytest.raises(ModelError, match="of grey images with one of colour"):
        LossyFirst(make_vqvae(1), make_flagship(3))
    model = MODELS[3, 1, True]
    assert model.channels == 1
    assert model.operations == model.painter.operations + model.rest.operations
