"""Tensors of a model for categories, checked: every table and every adaptive state."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from idfzip.codecs import bilevel, categories, indexed
from idfzip.codecs import palette as palettes
from idfzip.codecs.bilevel import Bilevel
from idfzip.codecs.categories import Categories
from idfzip.codecs.indexed import Indexed
from idfzip.codecs.palette import Palettes
from idfzip.codecs.surroundings import MOST_SURROUNDINGS, NEIGHBOURS
from idfzip.container.tensors import Facts, Tensors, table, tensor
from idfzip.errors import ModelError
from idfzip.integer import logistic
from idfzip.priors import adaptive

MAX_WEIGHT = 1 << 23
_MAP, _COUNTER, _CHANCE = (1 << 22) - 1, (1 << 31) - 1, (1 << 16) - 1
_TEST = (24, 24)
_TEST_ALPHABET = 7


def to_tensors(model: Indexed) -> Tensors:
    """Return the tensors of a model without its self-test."""
    tensors: Tensors = {
        "tables.rates": model.bilevel.rates,
        "tables.histories": model.categories.histories,
        "tables.squash": model.bilevel.squash,
        "bilevel.reaches": model.bilevel.reaches,
        "categories.surroundings": model.categories.surroundings,
    }
    for name, part in _parts(model).items():
        for field, array in part._asdict().items():
            packed = array.view("<i2").astype(np.int16) if array.dtype == np.uint8 else array
            tensors[f"{name}.{field}"] = packed
    return tensors


def _parts(model: Indexed) -> dict[str, Any]:
    return {
        "bilevel": model.bilevel.learned,
        "categories": model.categories.learned,
        "palettes": model.palettes.learned,
    }


def facts(model: Indexed) -> dict[str, int]:
    """Return what a decoder needs to know beside the tensors."""
    return {"channels": model.channels}


def self_test(model: Indexed) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Return a plane of seven categories, and the words of its streams; see `measured_sums`."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, _TEST_ALPHABET, _TEST).astype(np.int16)
    inputs[4:16, 4:20] = inputs[4:16, :1]
    return inputs, measured_sums(model, {"test.inputs": inputs})


def measured_sums(model: Indexed, tensors: Tensors) -> npt.NDArray[np.int32]:
    """Return the words of the streams that this machine makes for a self-test's inputs.

    Two streams: of the lowest bits, and of the values with a palette of powers.
    """
    inputs = tensor(tensors, "test.inputs", np.int16, 2)
    if inputs.shape != _TEST or inputs.min() < 0 or inputs.max() >= _TEST_ALPHABET:
        raise ModelError(f"self-test of shape {inputs.shape}, or of values beyond 0 to 6")
    plane = inputs.astype(np.int32)[None]
    powers = (1 << np.arange(3 * _TEST_ALPHABET) % 8).astype(np.uint8).reshape(-1, 3)
    streams = indexed.encode(model, [plane & 1], alphabet=2)
    streams += indexed.encode(model.with_palette(powers), [plane], alphabet=_TEST_ALPHABET)
    return np.frombuffer(b"".join(streams), "<i4").astype(np.int32)


def _state(tensors: Tensors, name: str, shape: tuple[int, ...], high: int, low: int = 0) -> Any:
    array = tensor(tensors, name, np.int32, len(shape))
    if array.shape != shape or array.min() < low or array.max() > high:
        raise ModelError(f"tensor {name}: shape {array.shape}, or values out of range")
    return array


def _weights(tensors: Tensors, name: str, rows: int, inputs: int) -> Any:
    return _state(tensors, name, (rows, inputs), MAX_WEIGHT, -MAX_WEIGHT)


def _corrections(tensors: Tensors, name: str) -> Any:
    return _state(tensors, name, (256, adaptive.CELLS), _CHANCE)


def from_tensors(tensors: Tensors, known: Facts) -> Indexed:
    """Return the model in tensors; raises ModelError where anything is not as it should be."""
    if known.get("channels") != 1:
        raise ModelError("1 channel expected")
    squash = table(tensors, "squash", np.int64, logistic.ENTRIES, 0, 1 << 32)
    rates = table(tensors, "rates", np.int32, adaptive.MOVES, 1, 1 << 16)
    if squash[0] >= squash[-1] or rates[0] < rates[-1]:
        raise ModelError("table squash or rates runs the wrong way")
    histories = tensor(tensors, "tables.histories", np.int16, 2)
    if histories.shape != (256, 2) or histories.min() < 0 or histories.max() > 255:
        raise ModelError("table histories is out of range")
    expanded = logistic.expand(squash)
    return Indexed(
        Bilevel(squash, expanded, rates, _reaches(tensors), _bilevel(tensors)),
        _categories(tensors, expanded, rates, histories),
        Palettes(expanded, histories, _palettes(tensors)),
    )


def _reaches(tensors: Tensors) -> npt.NDArray[np.int16]:
    reaches = tensor(tensors, "bilevel.reaches", np.int16, 2)
    if reaches.shape != (len(bilevel.TEMPLATES), bilevel.ROWS):
        raise ModelError(f"bilevel.reaches of shape {reaches.shape}")
    above = reaches[:, 1:].astype(np.int64)
    sizes = reaches[:, 0] + np.where(above >= 0, 2 * above + 1, 0).sum(1)
    inside = reaches.max() < bilevel.COLUMNS and above.min() >= -1 and reaches[:, 0].min() >= 1
    kept = sizes[: bilevel.KEPT].tolist() == list(bilevel.SIZES[: bilevel.KEPT])
    if not (inside and kept and sizes.max() <= bilevel.MOST_SIZE):
        raise ModelError("bilevel.reaches is out of range")
    return reaches


def _bilevel(tensors: Tensors) -> bilevel.Learned:
    counters = sum(1 << size for size in bilevel.SIZES[: bilevel.KEPT])
    return bilevel.Learned(
        _state(tensors, "bilevel.counters", (counters,), _COUNTER),
        _weights(tensors, "bilevel.near", 1 << bilevel.NEAR, bilevel.INPUTS),
        _weights(tensors, "bilevel.known", 3**bilevel.KNOWN, bilevel.INPUTS),
        _corrections(tensors, "bilevel.corrections"),
    )


def _categories(
    tensors: Tensors,
    expanded: logistic.Tables,
    rates: npt.NDArray[np.int32],
    histories: npt.NDArray[np.int16],
) -> Categories:
    rows = tensor(tensors, "categories.surroundings", np.int16, 2)
    fits = rows.shape[1] == len(NEIGHBOURS) + 1
    if not fits or not categories.MEMORIES <= len(rows) <= MOST_SURROUNDINGS:
        raise ModelError(f"categories.surroundings of shape {rows.shape}")
    if rows.min() < 0 or rows[:, :-1].max() > 1 or rows[:, -1].max() > 8:
        raise ModelError("categories.surroundings is out of range")
    inputs = categories.TRAITS + len(rows) + 1
    traits = (categories.TRAITS, 1 << categories.TRAIT_BITS)
    learned = categories.Learned(
        _state(tensors, "categories.traits", traits, _COUNTER),
        _state(tensors, "categories.maps", (len(rows), 256), _MAP),
        _weights(tensors, "categories.stage", categories.SELECTIONS, inputs),
        _weights(tensors, "categories.known", categories.SELECTIONS, inputs),
        _corrections(tensors, "categories.corrections"),
    )
    return Categories(expanded, rates, histories, rows, learned)


def _palettes(tensors: Tensors) -> palettes.Learned:
    packed = tensor(tensors, "palettes.histories", np.int16, 1)
    seen = packed.astype("<i2").view(np.uint8)
    if len(seen) != sum(1 << bits for bits in palettes.BITS):
        raise ModelError(f"palettes.histories of {len(packed)} entries")
    count = len(palettes.BITS)
    return palettes.Learned(
        seen,
        _state(tensors, "palettes.maps", (count, 256), _MAP),
        _weights(tensors, "palettes.weights", 32, count + 1),
    )
