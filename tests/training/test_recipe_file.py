from __future__ import annotations

import pytest

from idfzip.errors import TrainingError

pytest.importorskip("torch", reason="training needs the extra idfzip[train]")

GOOD = """
architecture = "flagship"
hidden = [8]
regressors = [[0, 0, -1]]
neighbours = [[0, -1]]
"""


def read(tmp_path, text, channels=3):
    from idfzip.training import recipe_file

    (tmp_path / "mine.toml").write_text(text)
    return recipe_file.read(str(tmp_path / "mine.toml"), channels)


@pytest.mark.parametrize("channels", [1, 3])
def test_all_shipped_recipes_can_be_read(channels):
    from idfzip.training import recipe_file
    from idfzip.training.recipe import IndexedRecipe

    names = recipe_file.shipped()
    assert set(names) >= {"fast", "default", "max", "idf", "idf++", "progressive", "tiny"}
    assert recipe_file.read_indexed("indexed") == IndexedRecipe()
    assert recipe_file.read_indexed("fast") is None
    for name in set(names) - {"indexed"}:
        recipe_file.read(name, channels)


@pytest.mark.parametrize(("name", "kind"), [("photo", 3), ("grey", 1)])
def test_the_released_models_are_of_the_default_recipe(name, kind):
    from idfzip.container import models
    from idfzip.training import recipe_file

    made, flagship = recipe_file.read("default", kind), models.by_name(name).codec
    assert made.design.regressors.tolist() == flagship.design.regressors.tolist()
    assert made.design.neighbours.tolist() == flagship.design.neighbours.tolist()
    assert list(made.hidden) == [len(layer.bias) for layer in flagship.network.trunk]


def test_what_differs_for_grey(tmp_path):
    text = GOOD + "[grey]\nhidden = [4, 4]\n"
    assert read(tmp_path, text).hidden == (8,)
    assert read(tmp_path, text, 1).hidden == (4, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "widht = 3", "widht is not a key of recipes"),
        (GOOD + "rate = 7", "rate = 7: between 1e-06 and 1 expected"),
        (GOOD + "rate = true", "rate = True: a number expected"),
        (GOOD + "head = 1.5", "head = 1.5: a whole number between"),
        (GOOD + "mirrored = 1", "mirrored = 1: true or false expected"),
        (GOOD + "[grey]\nlevels = 3", "grey: levels is not a key"),
        (GOOD.replace("[0, -1]]\n", "[0, 1]]\n"), "a pixel that is coded earlier expected"),
        (
            GOOD.replace("flagship", "other"),
            "architecture: one of bitswap, flagship, idf, indexed, lattice, vqvae, vqgan, dvae",
        ),
        (GOOD.replace("hidden = [8]", ""), "hidden is missing"),
        (GOOD.replace("hidden = [8]", "hidden = []"), "a list of 1 to 8 entries expected"),
        (GOOD.replace("[0, 0, -1]", "[1, 0, -1]"), "images of 1 channels have no such"),
        ('architecture = "idf"\nlevels = 9', "levels = 9: a whole number between 1 and 6"),
        ("a = = b", "Invalid"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(TrainingError, match=r"mine\.toml") as caught:
        read(tmp_path, text, 1)
    assert message in str(caught.value)


def test_an_unknown_name():
    from idfzip.training import recipe_file

    with pytest.raises(TrainingError, match=r"recipe none: no such .* default, dvae, fast"):
        recipe_file.read("none", 3)
