"""The rule of `--device auto`: a GPU is taken where it was measured to be faster.

Once for each GPU, number of threads, version of torch, model, and whenever this package is changed,
tiles of 64 x 64 are decoded side by side on the device, and one on a thread of the processor. The
*least batch* is the least of 1, 4, 16, 64 and 256 tiles for which the device took less time than
all threads would; batches of fewer tiles are coded on the processor, and all if there is none. It
is kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch

from idfzip import home
from idfzip.device import check, engine
from idfzip.device.machine import Machine

BATCHES = (1, 4, 16, 64, 256)
NEVER = 1 << 62
SIDE = 64


def cache() -> Path | None:
    """Return the file in which the measured batches are kept, None where there is no place."""
    mine = home.folder("XDG_CACHE_HOME", ".cache")
    return mine / "idfzip" / "devices.json" if mine else None


@lru_cache(maxsize=1)
def _sources() -> str:
    """Return a digest of this package."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def least_batch(machine: Machine, codec: Any, identity: str, threads: int) -> int:
    """Return from how many tiles on a device is taken, measured now if it is not known."""
    name = torch.cuda.get_device_name(machine.device) if machine.device.type == "cuda" else "cpu"
    how = "kernels" if machine.fuses else "operators"
    versions = f"torch {torch.__version__}, sources {_sources()}"
    key = f"{name}, {how}, {threads} threads, {versions}, model {identity[:16]}"
    known = _read()
    if key not in known:
        known[key] = _measured(machine, codec, threads)
        _write(known)
    return known[key]


def _measured(machine: Machine, codec: Any, threads: int) -> int:
    one, here = engine.of(codec), engine.here(codec)
    size = (SIDE, SIDE)
    stream = b"".join(engine.encode_here(codec, check.any_tile(codec.channels, SIDE), check.VALUES))

    def there(count: int) -> None:
        given = ([stream] * count, [size] * count)
        one.read(machine, codec, *given, cut=False, alphabet=check.VALUES)

    here.decode(codec, [stream], [size])
    alone = _seconds(lambda: here.decode(codec, [stream], [size]))
    there(1)  # takes what is made once
    for count in BATCHES:
        if _seconds(partial(there, count)) < alone * count / min(count, threads):
            return count
    return NEVER


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _read() -> dict[str, int]:
    """Return what is known; nothing where the file is missing or is not what was written."""
    file = cache()
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if type(value) is int and value > 0}


def _write(known: dict[str, int]) -> None:
    """Keep what is known, where that is possible; else it is measured again."""
    file = cache()
    if file is None:
        return
    part = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(known, indent=1))
        os.replace(part, file)
    except OSError:
        return
