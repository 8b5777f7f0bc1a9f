"""Where models are found: a file by its path, or by name or hash in the folders below.

`$IDFZIP_MODELS` (folders, separated as in `$PATH`), the user's folder, the package.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from idfzip import home
from idfzip.container.groups import Content
from idfzip.container.header import ModelName
from idfzip.container.model_file import Model, load
from idfzip.errors import ModelError, ModelNotFound

SUFFIX = ".idfm"
RELEASED = {
    Content.COLOUR: ("photo-fast", "photo", "photo-max"),
    Content.GREY: ("grey", "grey-max"),
    Content.INDEX: ("indexed",),
}
"""The released models for groups of planes, from fast to thorough."""

DEFAULT_LEVEL = 5
_FAST, _THOROUGH, ALL = 3, 8, 9
"""Efforts: up to the first the fastest model is taken, from the second on the most thorough one,
at the last all of them; between the usual one."""

FIRST = RELEASED | {Content.COLOUR: ("photo-fast", "photo-first", "photo-max")}
"""The same, for what comes after a lossy picture."""

LOSSY = "lossy"
"""The released model that `compress --lossy` takes, for colour and grey."""

PROGRESSIVE = {Content.COLOUR: ("progressive",), Content.GREY: ("progressive-grey",)}
"""The same, for `compress --progressive`."""


def folders() -> list[Path]:
    """Return the folders that are searched, in order."""
    listed = os.environ.get("IDFZIP_MODELS", "")
    mine = own_folder()
    package = Path(__file__).parent.parent
    inside = package / "models"
    return [
        *(Path(part) for part in listed.split(os.pathsep) if part),
        *([mine] if mine else []),
        inside if inside.is_dir() else package.parent / "models",
    ]


def own_folder() -> Path | None:
    """Return the user's folder, None for one without a home."""
    data = home.folder("XDG_DATA_HOME", ".local", "share")
    return data / "idfzip" / "models" if data else None


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
    if path.suffix == SUFFIX or path.name != name:
        return open_file(path)
    for file in files():
        if file.stem == name:
            return open_file(file)
    if len(name) >= 8 and all(c in "0123456789abcdef" for c in name):
        for file in files():
            model = open_file(file)
            if model.identity.startswith(name):
                return model
    if path.is_file():  # last, so that none in the working folder stands for an installed one
        return open_file(path)
    known = ", ".join(sorted({f.stem for f in files()})) or "none"
    raise ModelNotFound(f"model {name}: no such file or name (installed: {known})")


def packaged(name: str) -> Model:
    """Return the package's model of a name, whatever else of that name is installed."""
    return open_file(folders()[-1] / f"{name}{SUFFIX}")


def released(content: Content, level: int = DEFAULT_LEVEL) -> list[Model]:
    """Return the package's models to try for a group of planes at a level of effort, 1 to 9."""
    names = RELEASED[content]
    if level < ALL and names:
        names = (_chosen(names, level),)
    return [packaged(name) for name in names]


def lossy_first(content: Content, level: int = DEFAULT_LEVEL) -> Model:
    """Return the package's model for a group of planes of which a lossy picture is known."""
    return packaged(_chosen(FIRST[content], level))


def _chosen(names: Sequence[str], level: int) -> str:
    """Return one of names, from fast to thorough, at a level of effort."""
    usual = (len(names) - 1) // 2
    place = 0 if level <= _FAST else len(names) - 1 if level >= _THOROUGH else usual
    return names[place]


def progressive(content: Content) -> list[Model]:
    """Return the package's model that codes a group of planes from coarse to fine, if any does."""
    return [packaged(name) for name in PROGRESSIVE.get(content, ())]


def usual(channels: int) -> Model:
    """Return the package's usual model for images of 1 or 3 channels."""
    return released(Content.GREY if channels == 1 else Content.COLOUR)[0]


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
