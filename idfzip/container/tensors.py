"""Tensors and facts of a model file, checked one by one as they are taken out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from idfzip.errors import ModelError
from idfzip.flows import context
from idfzip.priors import mixture

Tensors = dict[str, npt.NDArray[Any]]
Facts = Mapping[str, Any]
"""The metadata that decoding needs, beside the tensors."""


def tensor(tensors: Tensors, name: str, dtype: type, dimensions: int) -> npt.NDArray[Any]:
    """Return a tensor; raises ModelError unless it is of this type and number of dimensions."""
    array = tensors.get(name)
    if array is None:
        raise ModelError(f"tensor {name} is missing")
    if array.dtype != np.dtype(dtype) or array.ndim != dimensions:
        raise ModelError(f"tensor {name}: {array.dtype} {array.shape}")
    return array


def table(tensors: Tensors, name: str, dtype: type, size: int, low: int, high: int) -> Any:
    """Return a table whose values lie in order, rising or falling, between two bounds."""
    array = tensor(tensors, f"tables.{name}", dtype, 1)
    steps = np.diff(array.astype(np.int64))
    ordered = bool((steps >= 0).all() or (steps <= 0).all())
    if len(array) != size or not ordered or array.min() < low or array.max() > high:
        raise ModelError(f"table {name} is out of range")
    return array


def fact(facts: Facts, name: str, low: int, high: int) -> int:
    """Return a whole number of the metadata; raises ModelError unless it lies between bounds."""
    value = facts.get(name)
    if not isinstance(value, int) or not low <= value <= high:
        raise ModelError(f"{name} {value!a}: {low} to {high} expected")
    return value


def prior(tensors: Tensors) -> mixture.Tables:
    """Return the tables of the prior."""
    found = mixture.Tables(
        table(tensors, "exp", np.int64, 2048, 0, 1 << 20),
        table(tensors, "sigmoid", np.int64, 1025, 0, 1 << mixture.SIGMOID_BITS),
        table(tensors, "inverse", np.int64, mixture.SPREADS, 1, 1 << 27),
        table(tensors, "span", np.int64, context.SCALES, 1, 1 << 21),
    )
    if found.exp[0] != 1 << 20 or found.sigmoid[0] > found.sigmoid[-1]:
        raise ModelError("table exp or sigmoid is out of range")
    return found


def prior_tensors(tables: mixture.Tables) -> Tensors:
    """Return the tensors of the prior's tables."""
    return {f"tables.{name}": getattr(tables, name) for name in tables._fields}
