"""Lines of talk, on standard error."""

from __future__ import annotations

import click

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def say(text: str, quiet: bool = False) -> None:
    """Print a line; what would end it or steer a terminal, as names may, is shown in digits."""
    if not quiet:
        click.echo(text.translate(_CONTROLS), err=True)
