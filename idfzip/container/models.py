"""Where models are found: a file by its path, or by name or hash in the folders below.

`$IDFZIP_MODELS` (folders, separated as in `$PATH`), the user's folder, the package.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from idfzip.container.header import ModelName
from idfzip.container.model_file import Model, load
from idfzip.errors import ModelError, ModelNotFound

SUFFIX = ".idfm"
RELEASED = {3: "photo", 1: "grey"}
"""The released model for images of so many channels."""

PROGRESSIVE = {3: "progressive", 1: "progressive-grey"}
"""The same, for `compress --progressive`."""


def folders() -> list[Path]:
    """Return the folders that are searched, in order."""
    listed = os.environ.get("IDFZIP_MODELS", "")
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    package = Path(__file__).parent.parent
    inside = package / "models"
    return [
        *(Path(part) for part in listed.split(os.pathsep) if part),
        Path(home) / "idfzip" / "models",
        inside if inside.is_dir() else package.parent / "models",
    ]


def files() -> list[Path]:
    """Return every model file in the folders, in order of search."""
    return [f for folder in folders() if folder.is_dir() for f in sorted(folder.glob(f"*{SUFFIX}"))]


def open_file(path: Path) -> Model:
    """Return the model in a file; raises ModelNotFound or ModelError."""
    try:
        stat = path.stat()
        return _open(path, stat.st_mtime_ns, stat.st_size)
    except FileNotFoundError:
        raise ModelNotFound(f"{path}: no such model file") from None
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None


@lru_cache(maxsize=16)
def _open(path: Path, changed: int, size: int) -> Model:
    return load(path.read_bytes(), str(path))


def by_name(name: str) -> Model:
    """Return the model of a path, a name or a hash (8 digits or more of it)."""
    path = Path(name)
    if path.suffix == SUFFIX or path.is_file():
        return open_file(path)
    for file in files():
        if file.stem == name:
            return open_file(file)
    if len(name) >= 8 and all(c in "0123456789abcdef" for c in name):
        for file in files():
            model = open_file(file)
            if model.identity.startswith(name):
                return model
    known = ", ".join(sorted({f.stem for f in files()})) or "none"
    raise ModelNotFound(f"model {name}: no such file or name (installed: {known})")


def released(channels: int, progressive: bool = False) -> Model:
    """Return the model of the package for images of 1 or 3 channels."""
    return by_name((PROGRESSIVE if progressive else RELEASED)[channels])


def is_released(model: Model) -> bool:
    """Return whether the model is one of the package's."""
    inside = sorted(folders()[-1].glob(f"*{SUFFIX}"))
    return any(open_file(file).identity == model.identity for file in inside)


def for_file(wanted: ModelName, known: Sequence[Model] = ()) -> Model:
    """Return the model that a file names, one of `known` or installed; raises ModelNotFound."""
    for model in known:
        if model.short == wanted.hash:
            return model
    candidates = files()
    candidates.sort(key=lambda f: f.stem != wanted.name)
    for file in candidates:
        try:
            model = open_file(file)
        except ModelError:
            continue  # a damaged file in a folder must not hide the right one
        if model.short == wanted.hash:
            return model
    raise ModelNotFound(
        f"model {wanted} is not installed: install its file with 'idfzip models add', or name it "
        "with -m"
    )
