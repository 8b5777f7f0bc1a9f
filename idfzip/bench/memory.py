"""The memory that a codec needs, measured in a process of its own (on Linux only).

A process that codes many images keeps what it freed, so growth there says little. A fresh one
loads the codec, codes a corner of the image, sets the kernel's high-water mark back, and codes and
decodes the whole; the growth of the mark is the codec's.
"""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from idfzip.bench.codecs import Codec
from idfzip.bench.sample import Indexed, Sample

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
CORNER = 16
"""Side of the corner of an image that libraries are loaded and kernels compiled with."""


def corner(one: Sample) -> Sample:
    """Return the upper left corner of an image."""
    pixels = np.ascontiguousarray(one.pixels[:CORNER, :CORNER])
    if one.indexed is None:
        return Sample(one.name, pixels)
    indices = np.ascontiguousarray(one.indexed.indices[:CORNER, :CORNER])
    return Sample(one.name, pixels, Indexed(indices, one.indexed.colours))


def peak(codec: Codec, one: Sample) -> float | None:
    """Return MB (10**6 bytes) above the process, its libraries and the pixels themselves.

    None where the system keeps no such mark, or the process died. To be called in the main thread.
    """
    if not (_CLEAR.exists() and _STATUS.exists()):
        return None
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(theirs, codec, one), daemon=True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends it
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)
    theirs.close()
    try:
        found: float | None = mine.recv()
        return found
    except EOFError:
        return None
    finally:
        process.terminate()
        process.join()


def _report(connection: Connection, codec: Codec, one: Sample) -> None:
    small = corner(one)
    codec.decode(codec.encode(small), small.layout)
    connection.send(_growth(codec, one))


def _growth(codec: Codec, one: Sample) -> float | None:
    try:
        _CLEAR.write_text("5")
    except OSError:
        return None
    before = _kilobytes("VmRSS")
    codec.decode(codec.encode(one), one.layout)
    return max(0, _kilobytes("VmHWM") - before) * 1024 / 1e6


def _kilobytes(key: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1])
