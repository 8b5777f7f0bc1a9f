"""Compilation of the numba kernels.

Kernels release the interpreter lock and never use fast maths. Compiled code is cached beside the
package or, where that is read-only, in the user's cache; where no place can be written, numba
raises at decoration and the kernel is compiled afresh in each process instead.

A kernel holds the code of others, inlined, and constants of other modules, but numba looks only at
the file that a kernel stands in when it asks whether a cached one is still good. A stale kernel
would code files that nobody else can decode, so the stamp is replaced by one of all sources.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config
from numba.extending import register_jitable

F = TypeVar("F", bound=Callable[..., Any])


def interpreted() -> bool:
    """Return whether kernels run as plain Python (`NUMBA_DISABLE_JIT=1`)."""
    return bool(vars(config)["DISABLE_JIT"])


@lru_cache(maxsize=1)
def _sources() -> str:
    """Return a digest of every source of the package that kernels are made from."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for part in ("integer", "coding", "flows", "priors", "codecs"):
        for file in sorted((package / part).glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def kernel(function: F) -> F:
    """Return `function` compiled by numba in nopython mode, cached on disk where possible."""
    plain = numba.njit(nogil=True, error_model="numpy")(function)
    if interpreted():
        return cast(F, plain)
    try:
        cached = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
        file = getattr(cached, "_cache")._cache_file  # noqa: B009
        if not hasattr(file, "_source_stamp"):
            return cast(F, plain)  # another numba: better slow than stale
        file._source_stamp = _sources()
    except (RuntimeError, AttributeError):  # no place to write a cache, or another numba
        return cast(F, plain)
    return cast(F, cached)


def inlined(function: F) -> F:
    """Return a small `function` compiled into every kernel that calls it.

    A call costs numba a count of references for every array it passes; inlined, a look-up of the
    prior's distribution takes 9 ns instead of 63.
    """
    return cast(F, numba.njit(nogil=True, error_model="numpy", inline="always")(function))


def shared(function: F) -> F:
    """Return a small `function` as it is, which is compiled into kernels that call it.

    For what Python calls as well: a function that is `inlined` is compiled for that in each process
    anew, for a tenth of a second or two. Of numbers only. LLVM may inline it; numba must not: with
    `inline="always"` a kernel that called one with an `and` in it decoded other pixels (0.68.1).
    """
    made: F = register_jitable(error_model="numpy")(function)
    return made
