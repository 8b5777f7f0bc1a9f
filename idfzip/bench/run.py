"""A comparison: every codec on every image in turn, timed, decoded and compared.

Codecs take turns on each image, so that a noisy machine is noisy for all. A size or a time counts
only if the pixels came back. A codec that fails once has failures in place of figures; the others
keep theirs. An image counts only once all codecs are through with it, so that sums are over the
same images at every moment, also after an interrupt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from idfzip.bench import memory, sample
from idfzip.bench.codecs import Codec, Missing
from idfzip.bench.sample import Array, LeftOut, Sample
from idfzip.errors import BenchError

Advance = Callable[[int], object]


@dataclass(frozen=True)
class Found:
    """One image that was read: its name, its kind, its shape, its bytes as bare pixels."""

    name: str
    kind: str
    shape: tuple[int, int, int]
    raw: int

    @classmethod
    def of(cls, one: Sample) -> Found:
        """Return what is known of an image without its pixels."""
        height, width, channels = one.pixels.shape
        return cls(one.name, one.kind, (height, width, channels), one.pixels.nbytes)

    @property
    def count(self) -> int:
        """Number of pixels."""
        return self.shape[0] * self.shape[1]


@dataclass
class Survey:
    """The images to compare on, by file, those left out, and the side of tiles."""

    files: dict[Path, list[Found]]
    left: list[LeftOut]
    tile: int = 0

    @property
    def kinds(self) -> set[str]:
        """The kinds of all images."""
        return {image.kind for images in self.files.values() for image in images}


def survey(paths: Sequence[Path], tile: int = 0) -> Survey:
    """Read every file once, to know what can be compared; raises BenchError for a missing path."""
    result = Survey({}, [], tile)
    for path in sample.files(paths):
        found = sample.read(path, tile)
        if isinstance(found, LeftOut):
            result.left.append(found)
        else:
            result.files[path] = [Found.of(one) for one in found]
    return result


@dataclass
class Pass:
    """One repeat: pixels, and each codec's seconds of encoding and decoding."""

    pixels: int = 0
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass
class Result:
    """What was found, as far as it went.

    `sizes` are bytes by codec and image, `failures` lines by codec, `peaks` MB by codec, `unheld`
    the kinds of images that were not compared on, or the codecs that sat out, in words.
    """

    codecs: list[Codec]
    missing: list[Missing]
    left: list[LeftOut]
    unheld: list[str]
    images: dict[str, Found] = field(default_factory=dict)
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)
    passes: list[Pass] = field(default_factory=list)
    peaks: dict[str, float] = field(default_factory=dict)
    interrupted: bool = False

    def bytes_of(self, codec: str) -> int | None:
        """Return the bytes that a codec made of all images, None if it failed or none is done."""
        if codec in self.failures or not self.images:
            return None
        return sum(self.sizes[codec][image] for image in self.images)


def plan(found: Survey, codecs: Sequence[Codec | Missing]) -> Result:
    """Return a comparison that has not begun; raises BenchError where there is nothing to compare.

    A codec that holds none of the kinds sits out; the others are compared on what all can hold.
    """
    here = [codec for codec in codecs if isinstance(codec, Codec)]
    missing = [codec for codec in codecs if isinstance(codec, Missing)]
    if not found.kinds:
        raise BenchError("there is no image to compare on" + _because(found.left))
    if not here:
        raise BenchError(
            "no codec is installed: " + "; ".join(f"{m.name}: {m.how}" for m in missing)
        )
    able = [codec for codec in here if codec.kinds & found.kinds]
    unheld = [
        f"{codec.name} does not hold images of kind {', '.join(sorted(found.kinds))}: not compared"
        for codec in here
        if codec not in able
    ]
    common = found.kinds.intersection(*(codec.kinds for codec in able))
    for kind in sorted(found.kinds - common):
        cannot = ", ".join(codec.name for codec in able if kind not in codec.kinds)
        count = sum(image.kind == kind for images in found.files.values() for image in images)
        unheld.append(f"{count} of kind {kind} left out for all, not held by {cannot} as used here")
    if not able or not common:
        raise BenchError(
            "no image that all codecs can hold (--codec chooses): " + "; ".join(unheld)
        )
    return Result(able, missing, found.left, unheld)


def _because(left: Sequence[LeftOut]) -> str:
    return f" (first of {len(left)} left out: {left[0].path}: {left[0].reason})" if left else ""


def held(result: Result, found: Survey) -> dict[Path, list[Found]]:
    """Return the images that all codecs of the comparison can hold, by file."""
    kinds = found.kinds.intersection(*(codec.kinds for codec in result.codecs))
    images = {p: [i for i in listed if i.kind in kinds] for p, listed in found.files.items()}
    return {path: listed for path, listed in images.items() if listed}


def run(
    result: Result,
    found: Survey,
    repeat: int = 3,
    advance: Advance | None = None,
    with_memory: bool = True,
) -> None:
    """Compare, filling `result`; an interrupt (Ctrl-C) ends it early, with what is done.

    `advance` is called with pixels that a codec is through with. Memory takes a process for each
    codec, and a few seconds.
    """
    tell = advance or (lambda count: None)
    images = held(result, found)
    try:
        _warm_up(result.codecs, images, found.tile)
        for number in range(repeat):
            _pass(result, images, found.tile, number == 0, tell)
        if with_memory:
            _peaks(result, images, found.tile)
    except KeyboardInterrupt:
        result.interrupted = True


def _read(path: Path, images: Sequence[Found], tile: int) -> list[Sample]:
    """Return the images of a file again; raises BenchError if it is no longer what it was."""
    again = sample.read(path, tile)
    wanted = {image.name for image in images}
    chosen = [] if isinstance(again, LeftOut) else [s for s in again if s.name in wanted]
    if len(chosen) != len(images):
        raise BenchError(f"{path}: the file changed during the comparison")
    return chosen


def _warm_up(codecs: Sequence[Codec], files: dict[Path, list[Found]], tile: int) -> None:
    """Let libraries load and kernels compile, on a corner of one image of each kind."""
    seen: set[str] = set()
    for path, images in files.items():
        if {image.kind for image in images} <= seen:
            continue
        for one in _read(path, images, tile):
            if one.kind not in seen:
                seen.add(one.kind)
                for codec in codecs:
                    _timed(codec, memory.corner(one))


def _pass(
    result: Result, files: dict[Path, list[Found]], tile: int, first: bool, tell: Advance
) -> None:
    """Go through all images; the first pass counts as far as it goes, others only as a whole."""
    totals = Pass()
    if first:
        result.passes.append(totals)
    for path, images in files.items():
        for one, image in zip(_read(path, images, tile), images, strict=True):
            _one(result, totals, one, image, first, tell)
    if not first:
        result.passes.append(totals)


def _one(
    result: Result, totals: Pass, one: Sample, image: Found, first: bool, tell: Advance
) -> None:
    tries = {}
    for codec in result.codecs:
        if first or codec.name not in result.failures:
            tries[codec.name] = _timed(codec, one)
        tell(one.count)
    for name, attempt in tries.items():
        if isinstance(attempt, str):
            result.failures.setdefault(name, []).append(f"{one.name}: {attempt}")
            continue
        size, encoding, decoding = attempt
        if first:
            result.sizes.setdefault(name, {})[one.name] = size
        before = totals.seconds.get(name, (0.0, 0.0))
        totals.seconds[name] = (before[0] + encoding, before[1] + decoding)
    totals.pixels += one.count
    if first:
        result.images[one.name] = image  # last, since an interrupt may come at any moment


def _timed(codec: Codec, one: Sample) -> tuple[int, float, float] | str:
    """Return bytes, seconds of encoding and of decoding, or how the codec failed."""
    try:
        start = time.perf_counter()
        data = codec.encode(one)
        middle = time.perf_counter()
        pixels = codec.decode(data, one.layout)
        end = time.perf_counter()
    except Exception as error:  # whatever a codec raises is a failure of that codec, and shown
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return difference(pixels, one.pixels) or (len(data), middle - start, end - middle)


def difference(found: Array, expected: Array) -> str:
    """Return where pixels differ from those expected, or an empty string."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return f"gave {found.dtype} {found.shape} for {expected.dtype} {expected.shape}"
    if np.array_equal(found, expected):
        return ""
    wrong = np.argwhere((found != expected).any(axis=2))
    return f"{len(wrong)} wrong pixels, the first in row {wrong[0][0]}, column {wrong[0][1]}"


def _peaks(result: Result, files: dict[Path, list[Found]], tile: int) -> None:
    """Measure memory on the image of most pixels."""
    path, image = max(
        ((path, image) for path, images in files.items() for image in images),
        key=lambda item: item[1].count,
    )
    largest = _read(path, [image], tile)[0]
    for codec in result.codecs:
        if codec.name not in result.failures:
            peak = memory.peak(codec, largest)
            if peak is not None:
                result.peaks[codec.name] = peak
