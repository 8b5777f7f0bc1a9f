from __future__ import annotations

import io

import numpy as np
import pytest
from conftest import picture
from PIL import Image

from idfzip.errors import TrainingError

pytest.importorskip("torch", reason="training needs the extra idfzip[train]")


def save(path, count, shape=(5, 5, 3)):
    rng = np.random.default_rng(0)
    np.save(path, rng.integers(0, 256, (count, *shape)).astype(np.uint8))


def test_images_fall_on_the_same_side_whatever_else_is_there(tmp_path):
    from idfzip.training.folder import read, split

    save(tmp_path / "many.npy", 60)
    found = read([tmp_path])
    kept, held = split(found)
    assert len(kept) + len(held) == 60
    assert 1 <= len(held) <= 20
    found.sources = found.sources[10:]
    fewer = {source.digest for source in split(found)[1]}
    assert fewer == {source.digest for source in held if source.index >= 10}
    found.sources = found.sources[:1]
    assert split(found) == (found.sources, found.sources)


def test_mosaics_are_cut_row_by_row(tmp_path):
    from idfzip.training.folder import Options, read

    mosaic = picture("noise", 70, 100, 3)
    Image.fromarray(mosaic).save(tmp_path / "mosaic.png")
    found = read([tmp_path], options=Options(tile=32))
    assert len(found.sources) == 6
    np.testing.assert_array_equal(found.sources[4].read(), mosaic[32:64, 32:64])


def test_what_does_not_stay_in_memory_is_read_again(tmp_path, monkeypatch):
    from idfzip.training import folder

    monkeypatch.setattr(folder, "KEPT_BYTES", 100)
    save(tmp_path / "many.npy", 3)
    sources = folder.read([tmp_path]).sources
    assert [source.kept is None for source in sources] == [False, True, True]
    np.testing.assert_array_equal(sources[2].read(), np.load(tmp_path / "many.npy")[2])
    save(tmp_path / "many.npy", 2)
    with pytest.raises(TrainingError, match="changed during training"):
        sources[2].read()


def test_lossy_formats_only_if_asked(tmp_path):
    from idfzip.training.folder import Options, read

    Image.fromarray(picture("smooth", 40, 40, 3)).save(tmp_path / "a.jpg")
    with pytest.raises(TrainingError, match="no image to train on"):
        read([tmp_path])
    assert len(read([tmp_path], options=Options(lossy=True)).sources) == 1


def test_colour_turned_into_grey(tmp_path):
    from idfzip.training.folder import Options, read

    Image.fromarray(picture("smooth", 40, 40, 3)).save(tmp_path / "a.png")
    found = read([tmp_path], options=Options(grey=True))
    assert found.channels == 1
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(found.sources[0].read()[..., 0], image.convert("L"))


def decoded(quality):
    rng = np.random.default_rng(0)
    smooth = picture("smooth", 96, 128, 3).astype(int)
    noisy = np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
    if not quality:
        return noisy
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def test_decoded_jpegs_are_noticed():
    from idfzip.training.folder import looks_decoded

    assert looks_decoded(decoded(40))
    assert looks_decoded(decoded(60))
    assert not looks_decoded(decoded(0))
    assert not looks_decoded(picture("constant", 80, 80, 1))
    assert not looks_decoded(picture("noise", 80, 80, 3))
