"""Measure the released models beside other codecs, and write the README's table of bits.

Usage: `python scripts/results.py FOLDER... [--merge FILE] [--readme README.md] [--json FILE]`, with
the extra `idfzip[bench]`. Every figure is of real files or streams, decoded and compared; those of
idfzip are whole `.idfz` files. The mean is over images.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import imagecodecs
import numpy as np
from PIL import Image
from tqdm import tqdm

from idfzip.container import idfz, models
from idfzip.container.header import ImageHeader
from idfzip.container.tiling import Effort
from idfzip.images import reader
from idfzip.images.picture import Picture, Pixels

START, END = "<!-- results -->", "<!-- end of results -->"


def by_pillow(form: str, **options: Any) -> Callable[[Pixels], int]:
    """Return a codec of Pillow: the bytes of pixels, which are decoded and compared."""

    def size(pixels: Pixels) -> int:
        out = io.BytesIO()
        squeezed = pixels[..., 0] if pixels.shape[2] == 1 else pixels
        Image.fromarray(squeezed).save(out, form, **options)
        mode = "L" if pixels.shape[2] == 1 else "RGB"
        check(np.asarray(Image.open(out).convert(mode)), squeezed, form)
        return len(out.getvalue())

    return size


def by_imagecodecs(name: str, **options: Any) -> Callable[[Pixels], int]:
    """Return a codec of imagecodecs, likewise."""
    encode = getattr(imagecodecs, f"{name}_encode")
    decode = getattr(imagecodecs, f"{name}_decode")

    def size(pixels: Pixels) -> int:
        squeezed = pixels[..., 0] if pixels.shape[2] == 1 else pixels
        data = encode(squeezed, **options)
        check(decode(data).reshape(squeezed.shape), squeezed, name)
        return len(data)

    return size


def check(found: Any, expected: Any, name: str) -> None:
    """Stop where a codec did not give the pixels back."""
    if not np.array_equal(found, expected):
        raise click.ClickException(f"{name} did not give the pixels back")


CODECS = {
    "PNG": by_pillow("PNG", optimize=True),
    "WebP": by_pillow("WEBP", lossless=True, quality=100, method=6, exact=True),
    "JPEG 2000": by_imagecodecs("jpeg2k", level=0, reversible=True),
    "JPEG XL e9": by_imagecodecs("jpegxl", effort=9, lossless=True, numthreads=2),
}


def idfzip_size(picture: Picture) -> int:
    """Return the bytes of an `.idfz` file, coded by the model and decoded again."""
    model = models.released(picture.pixels.shape[2])
    data = idfz.compress(picture, model, Effort(2))
    file = idfz.parse(data)
    found, _ = idfz.decompress(file, None, Effort(2))
    if not (isinstance(found, Picture) and isinstance(file.head, ImageHeader)):
        raise click.ClickException("not coded as an image")
    check(found.pixels, picture.pixels, "idfzip")
    return len(data)


def measure(folder: Path) -> dict[str, Any]:
    """Return the bits per subpixel of every codec and image of a folder."""
    table: dict[str, dict[str, float]] = {name: {} for name in ("idfzip", *CODECS)}
    for path in tqdm(sorted(folder.iterdir()), desc=folder.name):
        if path.suffix not in (".png", ".webp"):
            continue
        picture = reader.read(path.read_bytes(), str(path))
        if not isinstance(picture, Picture):
            raise click.ClickException(f"{path}: {picture.reason}")
        pixels = picture.pixels
        table["idfzip"][path.name] = 8 * idfzip_size(picture) / pixels.size
        for name, size in CODECS.items():
            table[name][path.name] = 8 * size(pixels) / pixels.size
    means = {name: float(np.mean(list(found.values()))) for name, found in table.items()}
    ratios = {k: v / table["JPEG XL e9"][k] for k, v in table["idfzip"].items()}
    worst = max(ratios, key=lambda k: ratios[k])
    return {
        "images": len(ratios),
        "mean_bpd": means,
        "worst": {"image": worst, "ratio": ratios[worst]},
        "per_image": table,
    }


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """Return the table."""
    names = ["idfzip", "JPEG XL e9", "WebP", "JPEG 2000", "PNG"]
    lines = [
        "| images | " + " | ".join(names) + " | against JPEG XL | worst image |",
        "| --- " * (len(names) + 3) + "|",
    ]
    for folder, found in results.items():
        means = found["mean_bpd"]
        change = 100 * (means["idfzip"] / means["JPEG XL e9"] - 1)
        worst = f"{found['worst']['image']} {100 * (found['worst']['ratio'] - 1):+.1f}%"
        cells = " | ".join(f"{means[name]:.3f}" for name in names)
        lines.append(f"| {folder} ({found['images']}) | {cells} | {change:+.1f}% | {worst} |")
    return "\n".join(lines)


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--merge", multiple=True, type=click.Path(path_type=Path), help="Earlier figures.")
@click.option("--readme", type=click.Path(path_type=Path), help="File whose table is replaced.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="All figures.")
def main(
    folders: tuple[Path, ...], merge: tuple[Path, ...], readme: Path | None, output: Path | None
) -> None:
    """Measure the images in FOLDERS, after the figures of earlier calls (--json)."""
    results: dict[str, dict[str, Any]] = {}
    for file in merge:
        results |= json.loads(file.read_text())
    results |= {str(folder): measure(folder) for folder in folders}
    table = markdown(results)
    click.echo(table)
    if output:
        output.write_text(json.dumps(results, indent=1))
    if readme:
        before, rest = readme.read_text().split(START)
        after = rest.split(END)[1]
        readme.write_text(f"{before}{START}\n{table}\n{END}{after}")


if __name__ == "__main__":
    main()
