"""Streams of GPUs that nobody else has."""

from __future__ import annotations

import ctypes
import os

import torch

DRIVER = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"

_NON_BLOCKING = 1
"""It waits for nothing on the default stream (`CU_STREAM_NON_BLOCKING`)."""


def own(device: torch.device) -> torch.cuda.Stream:
    """Return a stream of a GPU, made for the caller alone, and never taken back.

    Torch's own streams come from a pool of 32, so that two who ask for one may have the same: what
    one of them launches while the other captures would become part of the other's graph. Raises
    RuntimeError where the device fails.
    """
    driver, handle = ctypes.CDLL(DRIVER), ctypes.c_void_p()
    with torch.cuda.device(device):
        torch.cuda.current_stream().synchronize()  # makes torch's context the current one
        error = driver.cuStreamCreate(ctypes.byref(handle), _NON_BLOCKING)
    if error:
        raise RuntimeError(f"CUDA error {error}: no stream")
    return torch.cuda.ExternalStream(handle.value, device=device)  # type: ignore[no-untyped-call]
