"""Keys of recipes: fields of dataclasses, each of which checks the values that a file gives it.

A check returns a value as the recipe takes it, and raises ValueError that says what is expected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, fields
from typing import Any

from idfzip.errors import TrainingError
from idfzip.flows.wavefront import is_causal

Check = Callable[[Any], Any]


def number(low: float, high: float) -> Check:
    """Return the check of a number."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("a number expected")
        if not low <= value <= high:
            raise ValueError(f"between {low:g} and {high:g} expected")
        return float(value)

    return check


def whole(low: int, high: int) -> Check:
    """Return the check of a whole number."""

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"a whole number between {low} and {high} expected")
        return value

    return check


def yes_or_no(value: Any) -> bool:
    """Check a value that is true or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false expected")
    return value


def text(value: Any) -> str:
    """Check a text."""
    if not isinstance(value, str):
        raise ValueError("a text expected")
    return value


def one_of(names: tuple[str, ...]) -> Check:
    """Return the check of a text that is one of `names`."""

    def check(value: Any) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)} expected")
        return str(value)

    return check


def list_of(each: Check, low: int, high: int) -> Check:
    """Return the check of a list of `low` to `high` entries that pass a check themselves."""

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not low <= len(value) <= high:
            raise ValueError(f"a list of {low} to {high} entries expected")
        return tuple(each(entry) for entry in value)

    return check


def offset(length: int) -> Check:
    """Return the check of where a pixel lies that is coded earlier: dy and dx are the last two."""

    def check(value: Any) -> tuple[int, ...]:
        found: tuple[int, ...] = list_of(whole(-4, 4), length, length)(value)
        if not is_causal(*found[-2:]):
            raise ValueError(f"{list(found)}: a pixel that is coded earlier expected")
        return found

    return check


def key(check: Check, **options: Any) -> Any:
    """Return the field of a key whose values pass a check; `options` are those of `field`."""
    return field(metadata={"check": check}, **options)


def checked(kind: type[Any], table: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the values of a table for a recipe; raises TrainingError that names the source."""
    checks = {f.name: f.metadata["check"] for f in fields(kind)}
    found = {}
    for name, value in table.items():
        if name not in checks:
            known = ", ".join(sorted(checks))
            raise TrainingError(f"{source}: {name} is not a key of recipes (known: {known})")
        try:
            found[name] = checks[name](value)
        except ValueError as error:
            raise TrainingError(f"{source}: {name} = {value!r:.40}: {error}") from None
    return found


def missing(kind: type[Any], values: dict[str, Any]) -> list[str]:
    """Return the keys of a recipe that need a value and have none."""
    return [f.name for f in fields(kind) if f.name not in values and _is_needed(f)]


def _is_needed(entry: Any) -> bool:
    return entry.default is entry.default_factory  # both are MISSING
