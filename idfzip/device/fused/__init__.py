"""Kernels that fuse the operators of a step of the wavefront (`photo`): 17 launches for 1,307.

They count as the operators do, in the same types and the same order where rounding depends on it;
products and sums of floating point are never fused. Written in Triton, which comes with torch for
CUDA; where it is missing the operators serve.

*Rows.* A row is a pixel of the present step, or one of the present period of a group whose network
learns. Row `g * capacity + i` is pixel `i` of group `g`, in the order of coding, so that what a
kernel writes stands where learning looks for it and nothing is copied. Programs whose rows are none
return at once. What is one number a row lies as (.., rows), matrices as (rows, ..).

Triton reads annotations, too, and knows no names but its own and constants.
"""

from __future__ import annotations

from typing import Any

Kernel = Any
"""A function that triton has compiled, or interprets."""

WARPS = 4
"""Of a program, where its module does not say otherwise."""


def launch(
    kernel: Kernel, grid: tuple[int, ...], *args: Any, warps: int = WARPS, **fixed: Any
) -> None:
    """Run a kernel on all programs of a grid; `fixed` are compiled into it."""
    kernel[grid](*args, **fixed, num_warps=warps, enable_fp_fusion=False)


def power(count: int, least: int = 1) -> int:
    """Return the least power of two that is no less than either."""
    return max(least, 1 << (count - 1).bit_length())
