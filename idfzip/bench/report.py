"""A comparison as text for a terminal, in lines of at most 100 columns."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence

from idfzip.bench.run import Result
from idfzip.bench.table import FIELDS, NOTES, Row, bits, cells, rows, speeds

WIDTH = 100
_ABREAST = 6
"""Codecs side by side in a table of images."""

_LISTED = 20
"""Unreadable files that are named."""


def to_text(result: Result, per_image: bool = False) -> str:
    """Return the table, and all that is to be said with it, in lines of at most 100 columns."""
    lines = grid(_header(), [_shown(result, row) for row in rows(result)])
    if per_image:
        lines += ["", *_images(result)]
    lines.append("")
    for note in (*_talk(result), *NOTES):
        lines += textwrap.wrap(note, WIDTH, subsequent_indent="  ", break_long_words=True)
    return "\n".join(lines)


def _header() -> list[list[str]]:
    """Return the names of columns, each broken into at most three words below each other."""
    words = [name.replace("_vs_", "_vs ").split("_") for name in FIELDS]
    height = max(map(len, words))
    padded = [[*w, *[""] * (height - len(w))] for w in words]
    return [[column[i] for column in padded] for i in range(height)]


def _shown(result: Result, row: Row) -> list[str]:
    texts = dict(zip(FIELDS, cells(row), strict=True))
    if row.bpd is None:
        texts["bpd"] = "error" if row.failures else ""
    else:
        for name, values in zip(
            ("encode_mps", "decode_mps"), speeds(result, row.codec), strict=True
        ):
            if len(values) > 1:
                half = 50 * (max(values) - min(values)) / statistics.median(values)
                texts[name] += f" +-{half:.0f}%"
    return [text or "-" for text in texts.values()]


def grid(header: Sequence[Sequence[str]], body: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of columns, the first at the left and cut so that all fit."""
    widths = [max(map(len, column)) for column in zip(*header, *body, strict=True)]
    widths[0] = max(6, min(widths[0], WIDTH - sum(w + 2 for w in widths[1:])))
    lines = []
    for row in (*header, ["-" * w for w in widths], *body):
        rest = "".join(f"  {cell:>{w}}" for cell, w in zip(row[1:], widths[1:], strict=True))
        lines.append((_cut(row[0], widths[0]) + rest).rstrip())
    return lines


def _cut(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else "~" + text[1 - width :]


def _images(result: Result) -> list[str]:
    """Return tables of bits per subpixel of each image, as many as the codecs need."""
    names = [row.codec for row in rows(result) if row.bpd is not None]
    groups = [names[i : i + _ABREAST] for i in range(0, len(names), _ABREAST)]
    lines: list[str] = []
    for group in groups:
        body = [
            [image, *(f"{bits(result, image)[name]:.4f}" for name in group)]
            for image in result.images
        ]
        header = [["bpd of each image", *(_cut(name, 10).strip() for name in group)]]
        lines += [*grid(header, body), ""]
    return lines[:-1]


def _talk(result: Result) -> list[str]:
    """Return what must be said: failures, what was left out, and each codec's settings."""
    found = ["Interrupted: figures are of what was done so far."] if result.interrupted else []
    for name, failures in result.failures.items():
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        found.append(f"FAILED {name}: {failures[0]}{more}")
    found += _left_out(result)
    found += result.unheld
    found += [f"not installed: {missing.name}: {missing.how}" for missing in result.missing]
    return [*found, *(f"{codec.name}: {codec.settings}" for codec in result.codecs)]


def _left_out(result: Result) -> list[str]:
    """Return lines on files left out: each damaged one, others of one reason together."""
    damaged = [left for left in result.left if left.damaged]
    lines = [f"unreadable, left out for all: {d.path}: {d.reason}" for d in damaged[:_LISTED]]
    if len(damaged) > _LISTED:
        lines.append(f"unreadable: {len(damaged) - _LISTED} more files (--json names all)")
    reasons: dict[str, list[str]] = {}
    for left in result.left:
        if not left.damaged:
            reasons.setdefault(left.reason, []).append(str(left.path))
    return [
        *lines,
        *(f"left out: {len(p)} ({reason}), the first {p[0]}" for reason, p in reasons.items()),
    ]
