"""Lines of text, of which names are a part: talk on standard error, and what was asked for."""

from __future__ import annotations

import click

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def say(text: str, quiet: bool = False) -> None:
    """Print a line of talk, unless it is to be `quiet`."""
    if not quiet:
        click.echo(_tame(text), err=True)


def tell(text: str) -> None:
    """Print a line of what was asked for, on standard output."""
    click.echo(_tame(text))


def _tame(text: str) -> str:
    """Return a line; what would end it or steer a terminal, as names may, is shown in digits."""
    return text.translate(_CONTROLS)
