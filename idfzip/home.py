"""The user's folders, where the XDG base directory specification has them."""

from __future__ import annotations

import os
from pathlib import Path


def folder(variable: str, *usual: str) -> Path | None:
    """Return the folder that an environment variable names, or the usual one below the home.

    None for a user without a home.
    """
    named = os.environ.get(variable)
    if named:
        return Path(named)
    try:
        return Path.home().joinpath(*usual)
    except RuntimeError:
        return None
