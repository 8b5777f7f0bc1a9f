"""What kernels read in tables, int64: sizes, and addresses of halves and of singles.

All are multiples of so many numbers, `by`, which lets a compiler load that many at once.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def size(at: tl.tensor, by: tl.constexpr) -> tl.tensor:
    """Return a size or a distance."""
    return tl.multiple_of(tl.load(at), by)


@triton.jit  # type: ignore[untyped-decorator]
def halves(at: tl.tensor, by: tl.constexpr) -> tl.tensor:
    """Return a pointer to halves."""
    return tl.multiple_of(tl.load(at).to(tl.pointer_type(tl.float16)), 2 * by)


@triton.jit  # type: ignore[untyped-decorator]
def singles(at: tl.tensor, by: tl.constexpr) -> tl.tensor:
    """Return a pointer to singles."""
    return tl.multiple_of(tl.load(at).to(tl.pointer_type(tl.float32)), 4 * by)
