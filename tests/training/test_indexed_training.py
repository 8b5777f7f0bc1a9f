from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from idfzip.cli.main import main
from idfzip.container import models
from idfzip.errors import TrainingError

pytest.importorskip("torch", reason="training needs the extra idfzip[train]")


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(6):
        stripes = (np.arange(40)[:, None] // 4 + np.arange(30) // 5 + i) % 6
        image = Image.fromarray(stripes.astype(np.uint8))
        image.putpalette(rng.integers(0, 256, 18).astype(np.uint8).tobytes())
        image.save(tmp_path / f"p{i}.png", transparency=i if i % 2 else None)
        Image.fromarray(stripes % 2 > 0).save(tmp_path / f"b{i}.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "colour.png")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_training_gives_a_model_that_packs_such_images_better(folder, tmp_path):
    from idfzip.training import indexed, recipe

    examples = indexed.read([folder])
    assert len(examples) == 12
    assert sum(example.palette is None for example in examples) == 6
    before = sum(indexed.length(indexed.untrained(), example) for example in examples)
    lines = []
    model = indexed.train(examples, recipe.IndexedRecipe(passes=2), 0, lines.append)
    assert sum(indexed.length(model, example) for example in examples) < 0.7 * before
    assert len(lines) == 2
    again = indexed.train(examples, recipe.IndexedRecipe(passes=2), 0, lines.append)
    np.testing.assert_array_equal(again.categories.learned.stage, model.categories.learned.stage)


def test_the_command_writes_a_model(folder, tmp_path):
    output = tmp_path / "mine.idfm"
    arguments = ["train", str(folder), "--recipe", "indexed", "-o", str(output), "-q"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert models.open_file(output).architecture.name == "indexed"


def test_folders_without_such_images_are_refused(tmp_path):
    from idfzip.training import indexed

    with pytest.raises(TrainingError, match="no image"):
        indexed.read([tmp_path])
