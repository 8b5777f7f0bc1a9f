"""Files of recipes: strict TOML, those in the package and others.

`architecture` tells of which class in `idfzip.training.recipe` the keys are; a table `[grey]` has
those that differ for grey images. A key that is not known, or a value that cannot be, is an error
that names it. The package ships those in `idfzip/training/recipes`.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from idfzip.errors import TrainingError
from idfzip.training import keys
from idfzip.training.recipe import (
    AnyRecipe,
    BitswapRecipe,
    DvaeRecipe,
    FlagshipRecipe,
    IdfRecipe,
    IndexedRecipe,
    LatticeRecipe,
    NvilRecipe,
    VqganRecipe,
    VqvaeRecipe,
)

FOLDER = Path(__file__).parent / "recipes"

_ARCHITECTURES: dict[str, type[AnyRecipe | IndexedRecipe]] = {
    "bitswap": BitswapRecipe,
    "flagship": FlagshipRecipe,
    "idf": IdfRecipe,
    "indexed": IndexedRecipe,
    "lattice": LatticeRecipe,
    "vqvae": VqvaeRecipe,
    "vqgan": VqganRecipe,
    "dvae": DvaeRecipe,
    "nvil": NvilRecipe,
}


def shipped() -> list[str]:
    """Return the names of the recipes in the package."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def read(name: str, channels: int) -> AnyRecipe:
    """Return the recipe of a name or a file, for images of 1 or 3 channels.

    Raises TrainingError that names the key where something is wrong.
    """
    recipe = _read(name, channels)
    if isinstance(recipe, IndexedRecipe):
        raise TrainingError(f"recipe {name}: images of palettes or of one bit a pixel expected")
    return recipe


def read_indexed(name: str) -> IndexedRecipe | None:
    """Return the recipe of a name or a file, None where it is for values that are no categories."""
    recipe = _read(name, 3)
    return recipe if isinstance(recipe, IndexedRecipe) else None


def _read(name: str, channels: int) -> AnyRecipe | IndexedRecipe:
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(shipped())
        raise TrainingError(f"recipe {name}: no such file or name (shipped: {known})") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrainingError(f"recipe {name}: {error}") from None
    kind = _ARCHITECTURES.get(str(table.pop("architecture", "")))
    if kind is None:
        known = ", ".join(_ARCHITECTURES)
        raise TrainingError(f"recipe {name}: architecture: one of {known} expected")
    grey = table.pop("grey", {})
    if not isinstance(grey, dict):
        raise TrainingError(f"recipe {name}: grey: a table expected")
    values = keys.checked(kind, table, f"recipe {name}")
    if channels == 1:
        values |= keys.checked(kind, grey, f"recipe {name}: grey")
    missing = keys.missing(kind, values)
    if missing:
        raise TrainingError(f"recipe {name}: {missing[0]} is missing")
    recipe = kind(**values)
    if isinstance(recipe, NvilRecipe) and (
        len(recipe.stages) > 1 or recipe.entries != 1 << recipe.size
    ):
        raise TrainingError(f"recipe {name}: one level of codes of 2**size entries expected")
    if isinstance(recipe, FlagshipRecipe) and any(r[0] >= channels for r in recipe.regressors):
        raise TrainingError(
            f"recipe {name}: regressors: images of {channels} channels have no such"
        )
    return recipe
