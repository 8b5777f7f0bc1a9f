"""Names of an archive's members: relative paths with `/`, that stay below the folder they go to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from idfzip.errors import FormatError

MAX_NAME = 4096
"""Most bytes of a name in UTF-8; 255 of each of its parts."""

_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def _fault(name: str) -> str:
    """Return what is wrong with a name, or an empty string."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "it is not UTF-8"
    if not 0 < size <= MAX_NAME:
        return f"it has {size} bytes"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "it leaves the folder"
    if any(ord(c) < 32 or ord(c) == 127 for c in name):
        return "it has control characters"
    if "\\" in name:
        return "it has a backslash"
    for part in name.split("/"):
        if part == "..":
            return "it leaves the folder"
        if part in ("", "."):
            return "it has an empty part"
        if len(part.encode()) > 255:
            return "a part of it has over 255 bytes"
        if os.name == "nt" and (
            _DEVICES.fullmatch(part) or part[-1] in ". " or set(part) & set('<>:"|?*')
        ):
            return "this system has no such names"
    return ""


def check(name: str) -> str:
    """Return the name; raises FormatError, naming it, where it may not be a member's."""
    fault = _fault(name)
    if fault:
        raise FormatError(f"member {shown(name)}: the name is refused: {fault}")
    return name


def check_folders(listed: Iterable[str]) -> None:
    """Raise FormatError where one name is a folder of another."""
    known = set(listed)
    for name in known:
        parts = name.split("/")
        for i in range(1, len(parts)):
            folder = "/".join(parts[:i])
            if folder in known:
                raise FormatError(f"member {shown(folder)}: it is a folder of {shown(name)}")


def shown(name: str) -> str:
    """Return a name for messages: as it is, or escaped where it holds what terminals obey."""
    return name if name.isprintable() else ascii(name)
