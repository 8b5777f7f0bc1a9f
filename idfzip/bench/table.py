"""A comparison as rows of figures, the same in CSV, in JSON and on a terminal."""

from __future__ import annotations

import csv
import dataclasses
import io
import statistics
from dataclasses import dataclass
from typing import Any

from idfzip.bench.run import Result

NOTES = (
    "bpd: bits per subpixel (value of a channel), all bytes over all subpixels. ratio: bytes of "
    "bare pixels over bytes. saving: percent of bytes, against png and against the classical codec "
    "of fewest bytes.",
    "Sizes are of whole files (.idfz for idfzip) without the source's metadata; every file was "
    "decoded and compared.",
    "mps: megapixels a second, median over repeats (+-: half the range), from pixels in memory to "
    "bytes in memory and back, kernels warm; without start-up, verification, reading and writing. "
    "The codecs take turns on each image.",
    "peak_mb: memory in MB while a fresh process codes and decodes the largest image, above what "
    "it held before (interpreter, libraries, model, pixels).",
)
"""What is in a size and what is in a time, as it is printed with the figures."""


@dataclass(frozen=True)
class Row:
    """One codec's figures, rounded as they are shown; None for those there are none of.

    Savings are percent, speeds 10**6 pixels a second, memory 10**6 bytes.
    """

    codec: str
    bpd: float | None
    ratio: float | None
    saving_vs_png: float | None
    saving_vs_best_classical: float | None
    encode_mps: float | None
    decode_mps: float | None
    peak_mb: float | None
    images: int
    failures: int


FIELDS = tuple(field.name for field in dataclasses.fields(Row))
_DIGITS = {
    "bpd": 4,
    "ratio": 3,
    "saving_vs_png": 2,
    "saving_vs_best_classical": 2,
    "encode_mps": 3,
    "decode_mps": 3,
    "peak_mb": 1,
}


def rows(result: Result) -> list[Row]:
    """Return a row for each codec, the fewest bits first, those that failed last."""
    found = [_row(result, codec.name) for codec in result.codecs]
    return sorted(found, key=lambda row: (row.bpd is None, row.bpd or 0.0))


def best_classical(result: Result) -> str | None:
    """Return the classical codec of fewest bytes, None where none is without failure."""
    sizes = {codec.name: result.bytes_of(codec.name) for codec in result.codecs if codec.classical}
    known = {name: size for name, size in sizes.items() if size is not None}
    return min(known, key=lambda name: known[name]) if known else None


def speeds(result: Result, codec: str) -> tuple[list[float], list[float]]:
    """Return the megapixels a second of encoding and of decoding, of each repeat."""
    passes = [p for p in result.passes if codec in p.seconds]
    encoding = [p.pixels / 1e6 / p.seconds[codec][0] for p in passes]
    return encoding, [p.pixels / 1e6 / p.seconds[codec][1] for p in passes]


def _row(result: Result, name: str) -> Row:
    failures = len(result.failures.get(name, []))
    size = result.bytes_of(name)
    if size is None:
        nothing = dict.fromkeys(FIELDS[1:8])
        return Row(codec=name, images=len(result.images), failures=failures, **nothing)
    subpixels = sum(image.count * image.shape[2] for image in result.images.values())
    raw = sum(image.raw for image in result.images.values())
    encoding, decoding = speeds(result, name)
    values: dict[str, float | None] = {
        "bpd": 8 * size / subpixels,
        "ratio": raw / size,
        "saving_vs_png": _saving(size, _bytes_of(result, "png")),
        "saving_vs_best_classical": _saving(size, _bytes_of(result, best_classical(result))),
        "encode_mps": statistics.median(encoding),
        "decode_mps": statistics.median(decoding),
        "peak_mb": result.peaks.get(name),
    }
    rounded = {k: None if v is None else round(v, _DIGITS[k]) for k, v in values.items()}
    return Row(codec=name, images=len(result.images), failures=failures, **rounded)


def _bytes_of(result: Result, name: str | None) -> int | None:
    taken = any(codec.name == name for codec in result.codecs)
    return result.bytes_of(name) if name and taken else None


def _saving(size: int, other: int | None) -> float | None:
    return None if other is None else 100 * (1 - size / other)


def cells(row: Row) -> list[str]:
    """Return the texts of a row, empty where there is no figure."""
    found = []
    for name in FIELDS:
        value = getattr(row, name)
        digits = _DIGITS.get(name)
        found.append("" if value is None else f"{value:.{digits}f}" if digits else str(value))
    return found


def to_csv(result: Result) -> str:
    """Return the table as CSV with a line of names."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(cells(row) for row in rows(result))
    return out.getvalue()


def to_json(result: Result, per_image: bool = False) -> dict[str, Any]:
    """Return the table with all that goes with it, as JSON has it.

    `per_image` adds bits per subpixel of every image and codec.
    """
    names = [codec.name for codec in result.codecs]
    spread = {
        name: dict(zip(("encode_mps", "decode_mps"), speeds(result, name), strict=True))
        for name in names
        if name not in result.failures
    }
    found: dict[str, Any] = {
        "codecs": [dataclasses.asdict(row) for row in rows(result)],
        "best_classical": best_classical(result),
        "megapixels": sum(image.count for image in result.images.values()) / 1e6,
        "settings": {codec.name: codec.settings for codec in result.codecs},
        "speeds": spread,
        "failures": result.failures,
        "left_out": {str(left.path): left.reason for left in result.left},
        "not_held": result.unheld,
        "not_installed": {missing.name: missing.how for missing in result.missing},
        "interrupted": result.interrupted,
        "notes": list(NOTES),
    }
    if per_image:
        found["per_image"] = {image: bits(result, image) for image in result.images}
    return found


def bits(result: Result, image: str) -> dict[str, float]:
    """Return the bits per subpixel of an image by each codec that has no failure."""
    shape = result.images[image].shape
    subpixels = shape[0] * shape[1] * shape[2]
    return {
        codec.name: round(8 * result.sizes[codec.name][image] / subpixels, 4)
        for codec in result.codecs
        if codec.name not in result.failures
    }
