"""A comparison of lossy codecs: bits a pixel against how alike the pictures are.

Every codec paints every image at every quality of its ladder. Bits, PSNR and MS-SSIM are means
over images at one quality, as is usual; an image counts once all codecs are through with it.
"""

from __future__ import annotations

import csv
import io
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from idfzip.bench import sample, similarity
from idfzip.bench.codecs import Missing
from idfzip.bench.painters import Painter, Pixels
from idfzip.bench.report import WIDTH, grid
from idfzip.bench.sample import LeftOut, Sample
from idfzip.container.lossy import psnr
from idfzip.errors import BenchError

FIELDS = ("codec", "quality", "images", "bpp", "psnr", "ms_ssim", "ms_ssim_jpeg")
_DIGITS = {"bpp": 4, "psnr": 2, "ms_ssim": 4, "ms_ssim_jpeg": 4}
_WORST = 100.0
"""PSNR of a picture that is equal: that of one wrong subpixel in some megapixels."""

Advance = Callable[[int], object]


@dataclass(frozen=True)
class Point:
    """One image at one quality: bits a pixel, PSNR in dB, MS-SSIM, seconds both ways."""

    bpp: float
    psnr: float
    ms_ssim: float
    encoding: float
    decoding: float


@dataclass(frozen=True)
class Row:
    """One codec at one quality, means over images; `ms_ssim_jpeg` is JPEG's at as many bits."""

    codec: str
    quality: float
    images: int
    bpp: float
    psnr: float
    ms_ssim: float
    ms_ssim_jpeg: float | None


@dataclass
class Result:
    """What was found, as far as it went: points by codec and quality, one for each image."""

    painters: list[Painter]
    missing: list[Missing]
    left: list[LeftOut]
    images: list[str] = field(default_factory=list)
    pixels: int = 0
    points: dict[tuple[str, float], list[Point]] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)
    interrupted: bool = False


def run(
    paths: Sequence[Path],
    painters: Sequence[Painter | Missing],
    advance: Advance | None = None,
) -> Result:
    """Compare on the images at `paths`; an interrupt (Ctrl-C) ends it early, with what is done.

    Images are grey or RGB of 8 bits, of 176 pixels at least each way. `advance` is called with
    pixels that a codec is through with. Raises BenchError where there is nothing to compare.
    """
    here = [painter for painter in painters if isinstance(painter, Painter)]
    result = Result(here, [p for p in painters if isinstance(p, Missing)], [])
    if not here:
        raise BenchError("no codec is installed: " + "; ".join(m.how for m in result.missing))
    try:
        for path in sample.files(paths):
            found = _read(path)
            if isinstance(found, LeftOut):
                result.left.append(found)
            else:
                _image(result, found, advance or (lambda count: None))
    except KeyboardInterrupt:
        result.interrupted = True
    if not result.images and not result.interrupted:
        why = f" (first left out: {result.left[0].reason})" if result.left else ""
        raise BenchError(f"there is no image to compare on{why}")
    return result


def _read(path: Path) -> Sample | LeftOut:
    found = sample.read(path)
    if isinstance(found, LeftOut):
        return found
    (one,) = found
    if one.kind not in ("grey", "RGB"):
        return LeftOut(path, f"images of kind {one.kind} are not painted")
    if min(one.pixels.shape[:2]) < similarity.LEAST:
        return LeftOut(path, f"MS-SSIM needs {similarity.LEAST} pixels each way")
    return one


def _image(result: Result, one: Sample, advance: Advance) -> None:
    pixels = one.pixels.astype(np.uint8, copy=False)
    found: dict[tuple[str, float], Point] = {}
    for painter in result.painters:
        for quality in painter.qualities:
            point = _painted(painter, pixels, quality)
            if isinstance(point, str):
                result.failures.setdefault(painter.name, []).append(
                    f"{one.name}, {quality:g}: {point}"
                )
            else:
                found[painter.name, quality] = point
        advance(one.count)
    for key, point in found.items():
        result.points.setdefault(key, []).append(point)
    result.pixels += one.count
    result.images.append(one.name)


def _painted(painter: Painter, pixels: Pixels, quality: float) -> Point | str:
    """Return what a codec makes of an image, or how it failed."""
    try:
        start = time.perf_counter()
        data = painter.encode(pixels, quality)
        middle = time.perf_counter()
        back = painter.decode(data)
        end = time.perf_counter()
    except Exception as error:  # whatever a codec raises is a failure of that codec, and shown
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if pixels.shape[2] == 1:  # formats of colour hold grey as three channels
        back = back[:, :, back.shape[2] // 2][:, :, None]
    if back.shape != pixels.shape or back.dtype != pixels.dtype:
        return f"gave {back.dtype} {back.shape} for {pixels.dtype} {pixels.shape}"
    return Point(
        8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
        min(psnr(pixels, back), _WORST),
        similarity.ms_ssim(pixels, back),
        middle - start,
        end - middle,
    )


def rows(result: Result) -> list[Row]:
    """Return the table; a quality at which a codec failed on some image is left out."""
    found = []
    for painter in result.painters:
        for quality in painter.qualities:
            points = result.points.get((painter.name, quality), [])
            if points and len(points) == len(result.images):
                table = np.array([[p.bpp, p.psnr, p.ms_ssim] for p in points])
                bpp, decibels, alike = map(float, table.mean(0))
                count = len(points)
                found.append(Row(painter.name, quality, count, bpp, decibels, alike, None))
    curve = [(row.bpp, row.ms_ssim) for row in found if row.codec == "jpeg"]
    return [
        Row(r.codec, r.quality, r.images, r.bpp, r.psnr, r.ms_ssim, between(curve, r.bpp))
        for r in found
    ]


def between(curve: Sequence[tuple[float, float]], bpp: float) -> float | None:
    """Return the similarity of a curve of (bits, similarity) at some bits; None outside of it.

    Linear in the logarithm of bits, and in decibels.

    >>> between([(0.1, 0.9), (0.4, 0.99)], 0.2)
    0.9683772233983162
    >>> between([(0.1, 0.9), (0.4, 0.99)], 0.05)
    """
    ordered = sorted(set(curve))
    if not ordered or not ordered[0][0] <= bpp <= ordered[-1][0]:
        return None
    places = np.log([bits for bits, _ in ordered])
    levels = [similarity.decibels(value) for _, value in ordered]
    return float(1 - 10 ** (-np.interp(np.log(bpp), places, levels) / 10))


def cells(row: Row) -> list[str]:
    """Return the texts of a row, empty where there is no figure."""
    found = []
    for name in FIELDS:
        value, digits = getattr(row, name), _DIGITS.get(name)
        text = f"{value:g}" if isinstance(value, float) and digits is None else str(value)
        found.append("" if value is None else f"{value:.{digits}f}" if digits else text)
    return found


def speeds(result: Result, codec: str) -> tuple[float, float] | None:
    """Return megapixels a second of encoding and decoding, over all images and qualities."""
    taken = [points for (name, _), points in result.points.items() if name == codec]
    count = sum(len(points) for points in taken) / max(1, len(result.images))
    encoding, decoding = (
        sum(getattr(p, name) for points in taken for p in points)
        for name in ("encoding", "decoding")
    )
    megapixels = count * result.pixels / 1e6
    return (megapixels / encoding, megapixels / decoding) if taken else None


def to_csv(result: Result) -> str:
    """Return the table as CSV with a line of names."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(cells(row) for row in rows(result))
    return out.getvalue()


def to_json(result: Result, per_image: bool = False) -> dict[str, Any]:
    """Return the table with all that goes with it, as JSON has it."""
    found: dict[str, Any] = {
        "points": [asdict(row) for row in rows(result)],
        "megapixels": result.pixels / 1e6,
        "settings": {painter.name: painter.settings for painter in result.painters},
        "speeds": {painter.name: speeds(result, painter.name) for painter in result.painters},
        "failures": result.failures,
        "left_out": {str(left.path): left.reason for left in result.left},
        "not_installed": {missing.name: missing.how for missing in result.missing},
        "interrupted": result.interrupted,
    }
    if per_image:
        found["per_image"] = {
            f"{codec} {quality:g}": dict(zip(result.images, map(asdict, points), strict=False))
            for (codec, quality), points in result.points.items()
        }
    return found


def to_text(result: Result) -> str:
    """Return the table, and all that is to be said with it, in lines of at most 100 columns."""
    header = [[name.replace("_jpeg", " of jpeg") for name in FIELDS]]
    lines = [*grid(header, [[text or "-" for text in cells(row)] for row in rows(result)]), ""]
    for note in _notes(result):
        lines += textwrap.wrap(note, WIDTH, subsequent_indent="  ")
    return "\n".join(lines)


def _notes(result: Result) -> list[str]:
    megapixels = result.pixels / 1e6
    notes = [f"{len(result.images)} images, {megapixels:.1f} MP; means over images"]
    notes += ["interrupted: only the images that all codecs had done"] * result.interrupted
    for painter in result.painters:
        speed = speeds(result, painter.name)
        measured = f"; {speed[0]:.2f} MP/s encoding, {speed[1]:.2f} decoding" if speed else ""
        notes.append(f"{painter.name}: {painter.settings}{measured}")
    notes += [f"{name}: failed: {lines[0]}" for name, lines in result.failures.items()]
    notes += [f"{missing.name} is missing: {missing.how}" for missing in result.missing]
    notes += [f"left out: {left.path}: {left.reason}" for left in result.left[:10]]
    notes.append(
        "bpp: bits a pixel of whole files. ms_ssim: Wang et al. 2003, mean of channels. of jpeg: "
        "JPEG's at as many bits, between its qualities"
    )
    return notes
