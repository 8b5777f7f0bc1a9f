r"""Make the README's table of kinds of images: which representation wins, beside WebP and JPEG XL.

Usage: `python scripts/kinds.py [NAME=]PATH... [--results FILE]`, with the extra `idfzip[bench]`.
Every file is compressed, decoded and compared. Bytes are those of whole files, `idfzip` with
metadata; the others hold pixels alone: PNG (Pillow, optimize), WebP (lossless, quality 100, method
6) and JPEG XL (lossless, effort 9). PNG has palettes as they are and bilevel images as such, the
others colours, and fewer than 8 bits as 8. For bilevel images there is CCITT G4, too: the strips of
a TIFF file. The README has these:

    python scripts/kinds.py kinds=FOLDER sprites=FOLDER bilevel=FOLDER depth16=FOLDER screens=FOLDER
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image, TiffImagePlugin
from reproduce import replace
from tqdm import tqdm

from idfzip.bench import codecs, sample
from idfzip.bench.codecs import Codec
from idfzip.bench.sample import Sample
from idfzip.container import choice, idfz
from idfzip.container.effort import Effort, all_cores
from idfzip.errors import UnsupportedImage
from idfzip.images import reader
from idfzip.images.picture import BILEVEL, Layout, Picture

Row = dict[str, Any]
OTHERS = ("webp", "jpegxl-9", "png")
COLUMNS = ("source", "idfzip", "png", "ccitt-g4", "webp", "jpegxl-9")
_STRIP_BYTES = 279
"""TIFF's tag of the bytes of each strip."""

WORDS = {"models": "models", "webp": "WebP", "png": "PNG", "source": "the file as it is"}


def measure(path: Path, effort: Effort, others: Sequence[Codec]) -> Row:
    """Return a file's kind, what it is packed by, and its bytes; raises UnsupportedImage."""
    data = path.read_bytes()
    found = reader.read(data, str(path))
    if not isinstance(found, Picture):
        size = len(idfz.store(data, found.format))
        kind = f"{found.format}: {found.reason}"
        return {"kind": kind, "by": "source", "source": len(data), "idfzip": size}
    chosen = choice.smallest(found, data, None, effort)
    back, _ = idfz.decompress(idfz.parse(chosen.data), None, effort)
    if isinstance(back, Picture):
        same = np.array_equal(back.pixels, found.pixels) and back.metadata == found.metadata
    else:
        same = back.data == data
    if not same:
        raise click.ClickException(f"{path}: came back changed")
    row: Row = {"kind": str(found.kind), "by": chosen.winner, "source": len(data)}
    row["idfzip"] = len(chosen.data)
    shown = colours(found)
    if shown is not None:
        row |= {c.name: len(c.encode(shown)) for c in others if shown.kind in c.kinds}
    if found.kind == BILEVEL:
        row |= bilevel(found)
    return row


def bilevel(picture: Picture) -> dict[str, int]:
    """Return the bytes of a bilevel image by the codecs that know such images."""
    image = Image.fromarray(picture.pixels[:, :, 0] != 0)
    out, fax = io.BytesIO(), io.BytesIO()
    image.save(out, "PNG", optimize=True)
    image.save(fax, "TIFF", compression="group4")
    fax.seek(0)
    with TiffImagePlugin.TiffImageFile(fax) as tiff:
        strips = tiff.tag_v2[_STRIP_BYTES]
    return {"png": len(out.getvalue()), "ccitt-g4": sum(strips)}


def colours(picture: Picture) -> Sample | None:
    """Return the image as other codecs take it, PNG with its palette; None where they cannot."""
    if picture.kind.layout == Layout.CMYK:
        return None
    if picture.kind.layout == Layout.PALETTE:
        if picture.format != "PNG":
            return None
        return sample.of_chunks("", picture)
    scale = max(1, 255 // ((1 << picture.kind.depth) - 1))
    return Sample("", picture.pixels * np.array(scale, picture.pixels.dtype))


def summed(rows: Sequence[Row]) -> list[Row]:
    """Return a row for each kind, bytes added up; a codec that lacks one file has none."""
    together = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        same = [row for row in rows if row["kind"] == kind]
        by = Counter(row["by"] for row in same)
        row = {"kind": kind, "files": len(same), "by": dict(by)}
        for name in COLUMNS:
            if all(name in one for one in same):
                row[name] = sum(one[name] for one in same)
        together.append(row)
    return together


def table(sets: dict[str, list[Row]]) -> str:
    """Return the table, a line for each set and kind."""
    titles = ["images", "kind", "by", "source", "idfzip", "PNG", "CCITT G4", "WebP", "JPEG XL"]
    lines = [f"| {' | '.join(titles)} |", "| --- " * len(titles) + "|"]
    for name, rows in sets.items():
        for row in rows:
            by = ", ".join(
                f"{WORDS[key]} {count}" if len(row["by"]) > 1 else WORDS[key]
                for key, count in row["by"].items()
            )
            sizes = [str(row.get(key, "")) for key in COLUMNS]
            cells = [f"{name} ({row['files']})", row["kind"], by, *sizes]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@click.command()
@click.argument("sets", metavar="[NAME=]PATH...", nargs=-1)
@click.option("--results", type=click.Path(path_type=Path), default=Path("docs/kinds.json"))
@click.option("--readme", type=click.Path(path_type=Path), default=Path("README.md"))
def main(sets: tuple[str, ...], results: Path, readme: Path) -> None:
    """Measure sets of images, add them to the results, and write the README's table."""
    data: dict[str, list[Row]] = json.loads(results.read_text()) if results.exists() else {}
    known = codecs.choose(codecs.listed(codecs.How(all_cores())), OTHERS)
    others = [codec for codec in known if isinstance(codec, Codec)]
    for argument in sets:
        name, _, path = argument.rpartition("=")
        rows = []
        for file in tqdm(sample.files([Path(path)]), desc=name or path):
            try:
                rows.append(measure(file, Effort(all_cores()), others))
            except UnsupportedImage as error:
                click.echo(str(error), err=True)
        data[name or path] = summed(rows)
        results.write_text(json.dumps(data, indent=1) + "\n")
    readme.write_text(replace(readme.read_text(), "kinds", table(data)))


if __name__ == "__main__":
    main()
