"""Measure speed: idfzip beside JPEG XL (libjxl, effort 9), in one run, interleaved.

Usage: `python scripts/speed.py IMAGE... [--repeat 3] [--megapixels 12]`. Needs `idfzip[bench]`. The
images are coded one by one, and once as a mosaic of so many megapixels. Start-up, reading, writing
and verifying are outside the times; everything is decoded and compared once.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import imagecodecs
import numpy as np
from PIL import Image

from idfzip.codecs import flagship
from idfzip.container import idfz, models
from idfzip.container.tiling import Effort
from idfzip.flows import autoregressive, colour
from idfzip.images.picture import Picture, Pixels
from idfzip.integer import network

START, END = "<!-- speed -->", "<!-- end of speed -->"


def mosaic(pictures: list[Pixels], megapixels: float) -> Pixels:
    """Return pictures of the first one's size side by side, about so many megapixels."""
    height, width = pictures[0].shape[:2]
    fitting = [p for p in pictures if p.shape == pictures[0].shape]
    count = max(1, round(megapixels * 1e6 / (height * width)))
    across = max(1, round((count * height / width) ** 0.5))
    rows = -(-count // across)
    pick = [[fitting[(r * across + c) % len(fitting)] for c in range(across)] for r in range(rows)]
    return np.concatenate([np.concatenate(row, axis=1) for row in pick])


def timed(action: Callable[..., Any]) -> tuple[Any, float]:
    """Return what an action returns, and its seconds."""
    start = time.perf_counter()
    result = action()
    return result, time.perf_counter() - start


def measure(pictures: list[Pixels], threads: int, repeat: int) -> dict[str, list[float]]:
    """Return MP/s of each repeat, by codec and direction, over all pictures."""
    model = models.released(pictures[0].shape[2])
    effort = Effort(threads)
    seconds: dict[str, list[float]] = {}
    for _ in range(repeat):
        total: dict[str, float] = {}
        for pixels in pictures:
            data, t = timed(lambda p=pixels: idfz.compress(Picture(p), model, effort))
            total["idfzip compress"] = total.get("idfzip compress", 0) + t
            file = idfz.parse(data)
            found, t = timed(lambda f=file: idfz.decompress(f, model, effort))
            total["idfzip decompress"] = total.get("idfzip decompress", 0) + t
            options = {"effort": 9, "lossless": True, "numthreads": threads}
            other, t = timed(lambda p=pixels, o=options: imagecodecs.jpegxl_encode(p, **o))
            total["JPEG XL e9 encode"] = total.get("JPEG XL e9 encode", 0) + t
            back, t = timed(lambda o=other: imagecodecs.jpegxl_decode(o, numthreads=threads))
            total["JPEG XL e9 decode"] = total.get("JPEG XL e9 decode", 0) + t
            same = np.array_equal(found[0].pixels, pixels) and np.array_equal(back, pixels)
            if not same:
                raise click.ClickException("a codec did not give the pixels back")
        for key, value in total.items():
            seconds.setdefault(key, []).append(value)
    size = sum(p.shape[0] * p.shape[1] for p in pictures) / 1e6
    return {key: [size / s for s in values] for key, values in seconds.items()}


def stages(pixels: Pixels) -> dict[str, float]:
    """Return the microseconds a pixel of each stage of decoding one tile, one thread.

    The stages run apart, on the same tile, with the pixels known; the last row is what decoding
    takes in all, in which the search for each value is the main part of the rest.
    """
    model = models.released(pixels.shape[2]).flagship
    planes = colour.forward(np.ascontiguousarray(pixels[:256, :1024]))
    size = (planes.shape[1], planes.shape[2])
    streams = flagship.encode(model, [planes])
    _, whole = timed(lambda: flagship.decode(model, streams, [size]))
    batch = autoregressive.begin(model.design, [size], model.channels)
    seen = autoregressive.record(len(batch.inputs), model.channels)
    residuals = np.zeros_like(planes)
    weights, buffers = model.network.weights, model.network.buffers(len(batch.inputs))
    errors = np.zeros((len(batch.inputs), 3 * model.channels), np.float32)
    spent = dict.fromkeys(("learn, solve", "learn, solve, gather", "trunk", "heads"), 0.0)
    parts = (batch.planes[0], batch.errors[0], batch.found.partial[0], batch.found.link[0])
    for inputs, key in ((False, "learn, solve"), (True, "learn, solve, gather")):
        batch.sums.row[:], batch.sums.above[:] = 0, 0
        for t in range(autoregressive.steps([size])):
            count, seconds = timed(
                lambda t=t, i=inputs: autoregressive.advance(model.design, batch, t, 0, i)
            )
            spent[key] += seconds
            autoregressive.exchange(*parts, t, *size, planes, residuals, False, seen, 0)
            if inputs:
                _, seconds = timed(
                    lambda n=count: network.run_trunk(batch.inputs, 0, n, weights, buffers)
                )
                spent["trunk"] += seconds
                for c in range(model.channels):
                    _, seconds = timed(
                        lambda c=c, n=count: network.run_head(c, 0, n, errors, weights, buffers)
                    )
                    spent["heads"] += seconds
    solving = spent.pop("learn, solve")
    spent = {
        "learn, solve": solving,
        "gather": spent.pop("learn, solve, gather") - solving,
        **spent,
    }
    spent["tables, search, coder, rest"] = whole - sum(spent.values())
    spent["all"] = whole
    return {key: value * 1e6 / (size[0] * size[1]) for key, value in spent.items()}


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--repeat", default=3)
@click.option("--threads", default=2)
@click.option("--megapixels", default=12.0)
@click.option("--readme", type=click.Path(path_type=Path), help="File whose table is replaced.")
def main(
    paths: tuple[Path, ...], repeat: int, threads: int, megapixels: float, readme: Path | None
) -> None:
    """Print megapixels per second, and where the time goes."""
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    measure([pictures[0][:64, :64]], threads, 1)
    large = mosaic(pictures, megapixels)
    lines = ["| images | codec | MP/s, median (spread) | against JPEG XL encoding |"]
    lines.append("| --- | --- | --- | --- |")
    for title, chosen in ((f"{len(pictures)} one by one", pictures), ("a mosaic", [large])):
        rates = measure(chosen, threads, repeat)
        reference = statistics.median(rates["JPEG XL e9 encode"])
        size = sum(p.shape[0] * p.shape[1] for p in chosen) / 1e6
        for key, values in rates.items():
            middle = statistics.median(values)
            spread = f"{min(values):.3f} to {max(values):.3f}"
            cells = (f"{title}, {size:.1f} MP", key, f"{middle:.3f} ({spread})")
            lines.append(f"| {' | '.join(cells)} | {middle / reference:.2f} |")
    lines += ["", "| stage of decoding | us a pixel, one thread |", "| --- | --- |"]
    lines += [f"| {key} | {value:.2f} |" for key, value in stages(pictures[0]).items()]
    table = "\n".join(lines)
    click.echo(table)
    if readme:
        before, rest = readme.read_text().split(START)
        after = rest.split(END)[1]
        readme.write_text(f"{before}{START}\n{table}\n{END}{after}")


if __name__ == "__main__":
    main()
