"""A comparison as a figure: bits against speed, image by image; bits against likeness."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from idfzip.bench import lossy, similarity
from idfzip.bench.run import Result
from idfzip.bench.table import Row, best_classical, bits, rows
from idfzip.errors import BenchError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OTHER, OURS = "tab:blue", "tab:red"


def check(suffix: str) -> None:
    """Raise BenchError where a figure of this suffix cannot be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise BenchError("a plot needs matplotlib: pip install 'idfzip[bench]'")
    from matplotlib.backend_bases import FigureCanvasBase

    if suffix.removeprefix(".").lower() not in FigureCanvasBase.get_supported_filetypes():
        raise BenchError(f"a plot cannot be written as '{suffix}': use .png, .svg or .pdf")


def draw(result: Result, suffix: str = ".png") -> bytes:
    """Return the figure as a file of a format that matplotlib writes, named by its suffix.

    Two panels show bits per subpixel against megapixels a second, encoding and decoding, with the
    front of codecs that no other beats in both; the third the bits of each image against those of
    the best classical codec. Raises BenchError as `check` does.
    """
    check(suffix)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    measured = [row for row in rows(result) if row.bpd is not None]
    ours = {codec.name for codec in result.codecs if not codec.classical}
    _speeds(left, [(row, row.encode_mps or 0.0) for row in measured], ours, "encoding")
    _speeds(middle, [(row, row.decode_mps or 0.0) for row in measured], ours, "decoding")
    _images(right, result, sorted(ours))
    out = io.BytesIO()
    figure.savefig(out, format=suffix[1:], dpi=110)
    return out.getvalue()


def draw_lossy(result: lossy.Result, suffix: str = ".png") -> bytes:
    """Return the curves of lossy codecs: PSNR and MS-SSIM, in dB, against bits a pixel.

    As `draw`; raises BenchError as `check` does.
    """
    check(suffix)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    table = lossy.rows(result)
    for painter in result.painters:
        mine = [row for row in table if row.codec == painter.name]
        bits = [row.bpp for row in mine]
        style = {"marker": "o", "lw": 2} if painter.models else {"marker": ".", "lw": 1}
        left.plot(bits, [row.psnr for row in mine], label=painter.name, **style)
        levels = [similarity.decibels(row.ms_ssim) for row in mine]
        right.plot(bits, levels, label=painter.name, **style)
    for axes, name in ((left, "PSNR, dB"), (right, "-10 log10(1 - MS-SSIM), dB")):
        axes.set_xlabel("bits a pixel")
        axes.set_ylabel(name)
        axes.set_xlim(0, 1)
        axes.grid(alpha=0.3)
        axes.legend()
    out = io.BytesIO()
    figure.savefig(out, format=suffix[1:], dpi=110)
    return out.getvalue()


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points (speed, bits) that no other beats in both, slowest first.

    >>> front([(1.0, 2.0), (2.0, 3.0), (1.5, 3.5)])
    [(1.0, 2.0), (2.0, 3.0)]
    """
    kept: list[tuple[float, float]] = []
    for speed, bpd in sorted(points, key=lambda point: (-point[0], point[1])):
        if not kept or bpd < kept[-1][1]:
            kept.append((speed, bpd))
    return kept[::-1]


def _speeds(axes: Axes, points: list[tuple[Row, float]], ours: set[str], what: str) -> None:
    for i, (row, speed) in enumerate(points):
        place = (speed, row.bpd or 0.0)
        axes.plot(*place, "o", color=OURS if row.codec in ours else OTHER)
        aside = (4, -10 if i % 2 else 4)  # neighbours in size differ, so that names do not meet
        axes.annotate(row.codec, place, aside, textcoords="offset points", fontsize=8)
    best = front([(speed, row.bpd or 0.0) for row, speed in points])
    if best:
        axes.plot(*zip(*best, strict=True), drawstyle="steps-pre", color="grey", lw=1, zorder=0)
        axes.set_xscale("log")
        axes.margins(x=0.15)
    axes.set_xlabel(f"MP/s, {what}")
    axes.set_ylabel("bits per subpixel")


def _images(axes: Axes, result: Result, ours: Sequence[str]) -> None:
    best = best_classical(result)
    usable = [name for name in ours if name not in result.failures]
    if best is None or not usable:
        axes.set_axis_off()
        return
    table = [bits(result, image) for image in result.images]
    for name in usable:
        axes.plot([b[best] for b in table], [b[name] for b in table], ".", label=name)
    shown = [b[name] for b in table for name in (best, *usable)]
    ends = [min(shown), max(shown)]
    axes.plot(ends, ends, color="grey", lw=1, zorder=0)
    axes.set_xlabel(f"{best}, bits per subpixel of each image")
    axes.set_ylabel("idfzip; below the line it is smaller")
    axes.legend()
