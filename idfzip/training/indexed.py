"""Training of a model for categories: it codes the images one after the other and keeps its state.

Counters, maps and weights learn while coding, in whole numbers, in training as in use; so there is
nothing to freeze. Every pass sees all training images in a new order; the state after the pass
whose held-out images took the fewest bits is kept. Palettes are passed anew each time with empty
histories: what is learned of histories must be learned from palettes that were not seen before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from idfzip.codecs import bilevel, categories, decisions
from idfzip.codecs import palette as palettes
from idfzip.codecs.bilevel import Bilevel
from idfzip.codecs.categories import Categories
from idfzip.codecs.colours import colours
from idfzip.codecs.indexed import Indexed
from idfzip.codecs.palette import Palettes
from idfzip.codecs.surroundings import surroundings
from idfzip.coding import ans
from idfzip.errors import TrainingError
from idfzip.integer import logistic
from idfzip.priors import adaptive
from idfzip.training.recipe import IndexedRecipe

HELD_OUT = 10
"""One of so many images of a kind is held out."""

Report = Callable[[str], object]


@dataclass(frozen=True)
class Example:
    """A plane of categories, int32 (height, width), and their palette, uint8 (K, 3 or 4).

    Without a palette it is a bilevel one.
    """

    plane: npt.NDArray[np.int32]
    palette: npt.NDArray[np.uint8] | None


def read(folders: Sequence[Path]) -> list[Example]:
    """Return the palette and bilevel images below folders (or files), by name.

    Others are left out; raises TrainingError where there is none.
    """
    found = []
    for folder in folders:
        paths = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
        for path in paths:
            if path.is_file():
                found += list(_examples(path))
    if not found:
        raise TrainingError("no image of a palette or of one bit a pixel in these folders")
    return found


def _examples(path: Path) -> Iterator[Example]:
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        return
    if image.mode == "1":
        yield Example(np.asarray(image).astype(np.int32), None)
    elif image.mode == "P":
        plane = np.asarray(image).astype(np.int32)
        palette = palette_of(image)
        if plane.max() < len(palette):
            yield Example(plane, palette)


def palette_of(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Return the palette of an image of mode P, uint8 (K, 3), or (K, 4) with transparency."""
    colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    transparency = image.info.get("transparency")
    if transparency is None:
        return colours
    alpha = np.full((len(colours), 1), 255, np.uint8)
    if isinstance(transparency, int):
        alpha[transparency] = 0
    else:
        alpha[: len(transparency), 0] = np.frombuffer(transparency, np.uint8)[: len(colours)]
    return np.concatenate([colours, alpha], 1)


def untrained() -> Indexed:
    """Return the model that training begins with."""
    squash = logistic.squash_table()
    tables = logistic.expand(squash)
    rates, histories = adaptive.rate_table(), adaptive.history_table()
    seen = surroundings()
    return Indexed(
        Bilevel(squash, tables, rates, bilevel.reaches(), bilevel.untrained(tables)),
        Categories(tables, rates, histories, seen, categories.untrained(tables, len(seen))),
        Palettes(tables, histories, palettes.untrained()),
    )


def train(examples: Sequence[Example], recipe: IndexedRecipe, seed: int, report: Report) -> Indexed:
    """Return the trained model; `report` is called with a line of text after each pass."""
    held_out, training = _split(examples)
    rng = np.random.default_rng(seed)
    model = best = untrained()
    fewest = np.inf
    for step in range(recipe.passes):
        order = rng.permutation(len(training))
        model = _cleared(model)
        for i in order:
            model = _seen(model, _cropped(training[i], recipe.crop, rng))
        cautious = _cautious(model, recipe.trust)
        bits = sum(length(cautious, _cropped(example, 4 * recipe.crop)) for example in held_out)
        report(f"pass {step + 1}: held-out images take {bits / 8:.0f} bytes")
        if bits < fewest:
            best, fewest = cautious, bits
    return best


def _split(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Return the examples that are held out, and those to train on: all, where there are few."""
    held_out, training = [], []
    for has_palette in (False, True):
        mine = [e for e in examples if (e.palette is not None) == has_palette]
        held_out += mine[HELD_OUT // 2 :: HELD_OUT]
        training += [e for i, e in enumerate(mine) if i % HELD_OUT != HELD_OUT // 2]
    return held_out or list(examples), training or list(examples)


def _cropped(example: Example, side: int, rng: np.random.Generator | None = None) -> Example:
    """Return a part of an example of at most `side` x `side` (16 times as many if bilevel)."""
    side = side if example.palette is not None else 4 * side
    spare = np.maximum(np.array(example.plane.shape) - side, 0)
    y, x = (rng.integers(0, spare + 1) if rng is not None else spare // 2).tolist()
    return Example(example.plane[y : y + side, x : x + side], example.palette)


def _cleared(model: Indexed) -> Indexed:
    empty = model.palettes.learned._replace(histories=palettes.untrained().histories)
    return replace(model, palettes=replace(model.palettes, learned=empty))


def _seen(model: Indexed, example: Example) -> Indexed:
    """Return the model after coding an example."""
    return _coded(model, example)[0]


def length(model: Indexed, example: Example) -> float:
    """Return the bits of an example and its palette."""
    return _coded(model, example)[1]


def _coded(model: Indexed, example: Example) -> tuple[Indexed, float]:
    plane, palette = example.plane.copy(), example.palette
    if palette is None or len(palette) == 2:
        noted = np.empty((plane.size + 1, 2), np.int32)
        known = model.bilevel.learned
        learned = bilevel.walk(model.bilevel, plane, decisions.writer(), noted, known)
        after, bits = replace(model, bilevel=replace(model.bilevel, learned=learned)), _bits(noted)
    else:
        known_colours, start = colours(len(palette), palette), model.categories.learned
        noted, state = categories.walk(
            model.categories, plane, decisions.writer(), known_colours, start
        )
        changed = replace(model.categories, learned=state)
        after, bits = replace(model, categories=changed), _bits(noted)
    if palette is None:
        return after, bits
    values = palette.astype(np.int64)
    noted, seen = palettes.walk(model.palettes, values, decisions.writer(), model.palettes.learned)
    return replace(after, palettes=replace(model.palettes, learned=seen)), bits + _bits(noted)


def _bits(noted: decisions.Intervals) -> float:
    return float((ans.PRECISION - np.log2(noted[:, 1])).sum())


def _cautious(model: Indexed, trust: int) -> Indexed:
    """Return a model whose counters have moved `trust` times at most, so that they go on moving."""

    def limited(counters: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        moves = counters & (adaptive.MOVES - 1)
        calm: npt.NDArray[np.int32] = counters - moves + np.minimum(moves, trust)
        return calm

    two, more = model.bilevel.learned, model.categories.learned
    two, more = (
        two._replace(counters=limited(two.counters)),
        more._replace(traits=limited(more.traits)),
    )
    return Indexed(
        replace(model.bilevel, learned=two), replace(model.categories, learned=more), model.palettes
    )
