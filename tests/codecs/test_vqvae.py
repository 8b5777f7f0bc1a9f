from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import CONTENTS, make_vqvae, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from idfzip.codecs import vqvae
from idfzip.errors import ModelError
from idfzip.flows import colour


def planes(content, height, width, channels=3):
    return colour.forward(picture(content, height, width, channels))


MODELS = {(c, s): make_vqvae(c, s) for c in (1, 3) for s in ((1, 2), (2,), (1, 1, 1))}


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(MODELS)),
    st.sampled_from(CONTENTS),
    st.integers(1, 37),
    st.integers(1, 37),
    st.data(),
)
def test_every_file_paints_what_the_encoder_saw(which, content, height, width, data):
    model = MODELS[which]
    stages = data.draw(st.integers(1, model.stages))
    rate = data.draw(st.sampled_from([0, 5000]))
    given_planes = planes(content, height, width, model.channels)
    parts, painted = vqvae.encode_stages(model, given_planes, stages, rate)
    assert len(parts) == stages
    assert painted.shape == given_planes.shape
    (back,) = vqvae.decode(model, [b"".join(parts)], [(height, width)])
    np.testing.assert_array_equal(back, painted)
    pixels = colour.inverse(painted)
    assert pixels.min() >= 0
    assert pixels.max() <= 255


def test_the_first_parts_paint_fewer_stages():
    model = make_vqvae(3)
    whole = planes("smooth", 40, 48)
    parts, _ = vqvae.encode_stages(model, whole, 3)
    for stages in (1, 2, 3):
        _, painted = vqvae.encode_stages(model, whole, stages)
        seen = vqvae.preview(model, b"".join(parts[:stages]), (40, 48), stages < 3)
        np.testing.assert_array_equal(seen.planes, painted)
        assert seen.share == stages / 3
    nothing = vqvae.preview(model, b"", (40, 48), True)
    assert nothing.share == 0


def test_margins_are_painted_and_cut_off():
    """What a tile paints at a side with a margin is what it paints of the larger picture."""
    model = make_vqvae(3)
    whole = planes("smooth", 48, 56)
    _, painted = vqvae.encode_stages(model, whole, 3)
    for sides in ((1, 0, 0, 1), (0, 1, 1, 0), (1, 1, 1, 1), (0, 0, 0, 1)):
        parts, inner = vqvae.encode_stages(model, whole, 3, 0, sides)
        top, left, bottom, right = (8 * side for side in sides)
        expected = painted[:, top : 48 - bottom, left : 56 - right]
        np.testing.assert_array_equal(colour.inverse(inner), colour.inverse(expected))
        (back,) = vqvae.decode(model, [b"".join(parts)], [inner.shape[1:]])
        np.testing.assert_array_equal(back, inner)


def test_sizes_and_sides():
    model = make_vqvae(3)
    assert (model.channels, model.stages, model.stride) == (3, 3, 8)
    assert model.extent(1, 17) == (8, 24)
    assert model.operations > sum(c.weight.size for c in model.levels[1].encoder.convs[:1]) / 16


@pytest.mark.parametrize(("count", "extent"), [(1, 8), (3, 8), (8, 8), (5, 24)])
def test_edges_are_mirrored(count, extent):
    index = vqvae._mirrored(count, extent)
    np.testing.assert_array_equal(
        np.arange(count)[index], np.pad(np.arange(count), (0, extent - count), mode="symmetric")
    )


def test_grey_by_a_model_of_colour():
    model = make_vqvae(3)
    grey = planes("smooth", 20, 20, 1)
    same = colour.forward(np.repeat(picture("smooth", 20, 20, 1), 3, 2))
    one, other = (vqvae.encode_stages(model, p, 2)[1] for p in (grey, same))
    np.testing.assert_array_equal(one, other)


def test_damage_is_seen():
    model = make_vqvae(3)
    stream = vqvae.encode(model, [planes("noise", 24, 24)])[0]
    wrong = bytearray(stream)
    wrong[9] ^= 4
    assert vqvae.decode(model, [bytes(wrong), stream[:-4]], [(24, 24)] * 2) == [None, None]


def test_other_alphabets_are_refused():
    with pytest.raises(ModelError, match="paints 256"):
        vqvae.encode(make_vqvae(3), [planes("dot", 8, 8)], alphabet=16)


def test_what_does_not_fit_is_refused():
    coarse, fine = make_vqvae(3).levels
    with pytest.raises(ModelError, match="coarsest one with context"):
        dataclasses.replace(make_vqvae(3), levels=(fine,))
    with pytest.raises(ModelError, match="4, 2 come back"):
        dataclasses.replace(fine, lift=coarse.lift)
    with pytest.raises(ModelError, match="without codebooks"):
        dataclasses.replace(fine, priors=())
    with pytest.raises(ModelError, match="squares of"):
        dataclasses.replace(coarse, encoder=fine.encoder)
    with pytest.raises(ModelError, match="no levels"):
        dataclasses.replace(make_vqvae(3), levels=())
    with pytest.raises(ModelError, match="context of 3 channels"):
        dataclasses.replace(make_vqvae(3), levels=(coarse, coarse))
