"""Lines of text, of which names are a part: talk on standard error, and what was asked for."""

from __future__ import annotations

import sys

import click

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def say(text: str, quiet: bool = False) -> None:
    """Print a line of talk, unless it is to be `quiet`."""
    if not quiet:
        click.echo(_tame(text), err=True)


def tell(text: str) -> None:
    """Print a line of what was asked for, on standard output."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(_tame(text).encode(encoding, "backslashreplace").decode(encoding))


def is_terminal() -> bool:
    """Return whether talk is read on a terminal; it may be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def _tame(text: str) -> str:
    """Return a line; what would end it or steer a terminal, as names may, is shown in digits."""
    return text.translate(_CONTROLS)
