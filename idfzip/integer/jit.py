"""Compilation of the numba kernels.

Kernels release the interpreter lock and never use fast maths. Compiled code is cached beside the
package or, where that is read-only, in the user's cache; where no place can be written, numba
raises at decoration and the kernel is compiled afresh in each process instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Return `function` compiled by numba in nopython mode, cached on disk where possible."""
    try:
        return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # "no locator available": nowhere to write a cache
        return cast(F, numba.njit(nogil=True, error_model="numpy")(function))
