r"""Make every table and figure of the README from folders of images.

Usage: `python scripts/reproduce.py [NAME=]FOLDER[@TILE]...`, with the extra `idfzip[bench]`. Sets
are measured as by `idfzip bench` and added to a file of results, which the tables are made from, so
that sets can be measured one by one, and again; with no set the tables are only written anew. With
`--codec NAME` idfzip and these are measured again: of others the sizes are kept; speeds are always
those of one run, with `--keep-speeds` the earlier one. The README has these:

    python scripts/reproduce.py kodak=FOLDER cid22/validation=FOLDER cifar10=test-1000.webp@32 \
        microscopy/colour=FOLDER microscopy/gray=FOLDER gb82/screens=FOLDER
    python scripts/reproduce.py --mosaic FOLDER --stages IMAGE

`cifar10` is the first 1,000 test images of CIFAR-10 as one mosaic of 32 x 32 squares. A mosaic of
the images of a folder, which must be of one size, shows the speed on one large image.
"""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from PIL import Image
from stages import load, markdown, stages
from tqdm import tqdm

from idfzip.bench import codecs, plot, run, sample, table
from idfzip.container.effort import all_cores

Figures = dict[str, Any]

PAPER = {"IDF": 3.34, "Bit-Swap": 3.82, "FLIF": 4.37, "PNG": 5.89, "JPEG 2000": 5.20}
"""Hoogeboom et al. 2019, table 1: CIFAR-10, bits per dimension over the 10,000 test images."""

OURS_OF_PAPER = {"PNG": "png", "JPEG 2000": "jpeg2000"}
CIFAR, FRONT = "cifar10", "kodak"
"""Names of the set of the paper's table, and of that whose speed and figure are shown."""

KEPT_IMAGES = 100
"""Figures of single images are kept of sets of at most so many."""


def measure(
    paths: Sequence[Path], tile: int, extra: Sequence[str], repeat: int, names: Sequence[str] = ()
) -> run.Result:
    """Return the comparison of idfzip, the models `extra` and others on files or folders.

    The others are those of `names`, all if there is none.
    """
    found = run.survey(paths, tile)
    threads = all_cores()
    given = codecs.with_models(extra, codecs.How(threads))
    wanted = [codecs.OURS, *names] if names else []
    result = run.plan(found, [*codecs.choose(codecs.listed(codecs.How(threads)), wanted), *given])
    pixels = sum(image.count for images in run.held(result, found).values() for image in images)
    total = pixels * repeat * len(result.codecs)
    with tqdm(total=total, unit="px", unit_scale=True, desc=str(paths[0])) as bar:
        run.run(result, found, repeat, bar.update)
    if result.interrupted:
        raise click.Abort
    return result


def figures(result: run.Result) -> Figures:
    """Return what is kept of a comparison: its table, its worst image, the machine."""
    found = table.to_json(result, per_image=len(result.images) <= KEPT_IMAGES)
    for key in ("left_out", "per_image"):
        if key in found:
            found[key] = {Path(name).name: value for name, value in found[key].items()}
    found["worst"] = worst(result)
    found["machine"] = {"processor": processor(), "threads": all_cores()}
    return found


def merged(old: Figures, new: Figures) -> Figures:
    """Return new figures of a set, with the old sizes of codecs that were not measured again.

    Those of idfzip with a model are not kept: the model may be another by now.
    """
    again = set(new["settings"])
    classical = [row for row in old["codecs"] if not row["codec"].startswith(codecs.OURS)]
    kept = [row for row in classical if row["codec"] not in again]
    same = all(row["images"] == new["codecs"][0]["images"] for row in kept)
    if not same or old["megapixels"] != new["megapixels"]:
        raise click.ClickException("the set has changed: measure all codecs")
    kept = [row | {"encode_mps": None, "decode_mps": None, "peak_mb": None} for row in kept]
    rows = sorted([*new["codecs"], *kept], key=lambda r: (r["bpd"] is None, r["bpd"] or 0.0))
    others = [row for row in rows if not row["codec"].startswith(codecs.OURS) and row["bpd"]]
    best = {row["codec"]: row["bpd"] for row in others}
    first = others[0]["codec"] if others else None
    for row in rows:
        for field, name in (("saving_vs_png", "png"), ("saving_vs_best_classical", first)):
            known = row["bpd"] and name in best
            row[field] = round(100 * (1 - row["bpd"] / best[name]), 2) if known else None
    found = new | {"codecs": rows, "best_classical": first}
    names = {row["codec"] for row in kept}
    for key in ("settings", "failures"):
        found[key] = new[key] | {name: v for name, v in old[key].items() if name in names}
    if "per_image" in new and "per_image" in old:
        for image, bits in new["per_image"].items():
            was = old["per_image"][image]
            bits |= {name: value for name, value in was.items() if name in names}
        found["worst"] = worst_of(new["per_image"], first)
    elif first != new["best_classical"]:
        found["worst"] = None
    return found


def worst_of(images: dict[str, dict[str, float]], best: str | None) -> Figures | None:
    """Return what `worst` does, of bits per subpixel of each image and codec."""
    held = {name: bits for name, bits in images.items() if {codecs.OURS, best} <= set(bits)}
    if best is None or not held:
        return None
    ratios = {name: bits[codecs.OURS] / bits[best] for name, bits in held.items()}
    name = max(ratios, key=lambda image: ratios[image])
    return {"image": name, "percent": 100 * (ratios[name] - 1)}


def worst(result: run.Result) -> Figures | None:
    """Return the image on which idfzip does worst against the best classical codec of the set."""
    best = table.best_classical(result)
    if best is None or codecs.OURS not in result.sizes or codecs.OURS in result.failures:
        return None
    ours, theirs = result.sizes[codecs.OURS], result.sizes[best]
    name = max(result.images, key=lambda image: ours[image] / theirs[image])
    return {"image": Path(name).name, "percent": 100 * (ours[name] / theirs[name] - 1)}


def processor() -> str:
    """Return the name of the processor, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def mosaic(folder: Path, target: Path, megapixels: float) -> None:
    """Write images of one size side by side, over again, about so many megapixels in all."""
    pictures = [load(file) for file in sample.files([folder])]
    height, width = pictures[0].shape[:2]
    fitting = [p for p in pictures if p.shape == pictures[0].shape]
    count = max(1, round(megapixels * 1e6 / (height * width)))
    across = max(1, round((count * height / width) ** 0.5))
    rows = -(-count // across)
    pick = [[fitting[(r * across + c) % len(fitting)] for c in range(across)] for r in range(rows)]
    Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in pick])).save(target)


def of(found: Figures, codec: str, field: str) -> Any:
    """Return a figure of a codec, None where there is none."""
    return next((row[field] for row in found["codecs"] if row["codec"] == codec), None)


def results_table(sets: Figures) -> str:
    """Return the table of bits per subpixel, a line for each set."""
    names = [name for name in order(sets) if any(of(s, name, "images") for s in sets.values())]
    titles = ["images", *names, "saving against", "worst image against it"]
    lines = [f"| {' | '.join(titles)} |", "| --- " * len(titles) + "|"]
    for name, found in sets.items():
        cells = [f"{name} ({found['codecs'][0]['images']})"]
        cells += [shown(of(found, codec, "bpd"), of(found, codec, "failures")) for codec in names]
        saving = of(found, codecs.OURS, "saving_vs_best_classical")
        cells.append("" if saving is None else f"{saving:+.1f}% {found['best_classical']}")
        last = found["worst"]
        cells.append(f"{last['image']} {-last['percent']:+.1f}%" if last else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def order(sets: Figures) -> list[str]:
    """Return the names of codecs in the order of lists, models of one's own after idfzip."""
    known = list(dict.fromkeys(name for found in sets.values() for name in found["settings"]))
    return sorted(known, key=lambda name: not name.startswith(codecs.OURS))


def shown(bpd: float | None, failures: int | None) -> str:
    """Return a cell of bits."""
    return "error" if failures else "" if bpd is None else f"{bpd:.3f}"


def speed_table(sets: Figures, mosaics: Figures) -> str:
    """Return the table of speeds, of the images of one set and of a mosaic of them."""
    titles = ["images", "codec", "encode MP/s (spread)", "decode MP/s (spread)", "peak MB"]
    lines = [f"| {' | '.join(titles)} |", "| --- " * len(titles) + "|"]
    for what, found in ((FRONT, sets.get(FRONT)), (f"{FRONT}, a mosaic", mosaics.get(FRONT))):
        if found is None:
            continue
        for row in found["codecs"]:
            name = row["codec"]
            rates = found["speeds"].get(name)
            if rates is None and not row["failures"]:
                continue  # its size is of another run
            cells = [f"{what}, {found['megapixels']:.1f} MP", name]
            cells += [spread(rates[key]) if rates else "error" for key in rates or ("", "")]
            cells.append("" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}")
            lines.append(f"| {' | '.join(cells)} |")
    machine = sets[FRONT]["machine"]
    return "\n".join(lines) + f"\n\nThreads: {machine['threads']}, on {machine['processor']}."


def spread(values: Sequence[float]) -> str:
    """Return the median of rates, and the least and the greatest."""
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def paper_table(sets: Figures) -> str:
    """Return the paper's figures for CIFAR-10 beside those measured here."""
    found = sets.get(CIFAR, {"codecs": [], "settings": {}})
    rows: list[tuple[str, str, str]] = []
    for name, bpd in PAPER.items():
        ours = OURS_OF_PAPER.get(name, "")
        here = shown(of(found, ours, "bpd"), of(found, ours, "failures"))
        rows.append((name, f"{bpd:.2f}", here))
    for name in order({CIFAR: found}):
        if name not in OURS_OF_PAPER.values():
            rows.append((name, "", shown(of(found, name, "bpd"), of(found, name, "failures"))))
    head = ["| codec | the paper, 10,000 images | here, 1,000 images |", "| --- | --- | --- |"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def replace(text: str, marker: str, part: str) -> str:
    """Return a text with what is between two markers replaced."""
    start, end = f"<!-- {marker} -->", f"<!-- end of {marker} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise click.ClickException(f"one '{start}' and one '{end}' are needed")
    before, rest = text.split(start)
    return f"{before}{start}\n{part}\n{end}{rest.split(end)[1]}"


def write(readme: Path, data: Figures, folder: Path) -> None:
    """Write the tables for which there are results between their markers, and the figure's link."""
    text = replace(readme.read_text(), "cifar10", paper_table(data["sets"]))
    if data["sets"]:
        text = replace(text, "results", results_table(data["sets"]))
    if FRONT in data["sets"]:
        text = replace(text, "speed", speed_table(data["sets"], data["mosaics"]))
        link = f"{folder.name}/{figure(FRONT)}"
        words = f"Bits against speed on {FRONT}, and image by image"
        text = replace(text, "figure", f"![{words}]({link})")
    if data["stages"]:
        text = replace(text, "stages", markdown(data["stages"]))
    readme.write_text(text)


def figure(name: str) -> str:
    """Return the file name of a set's figure."""
    return f"bench-{name.replace('/', '-')}.png"


def parse(argument: str) -> tuple[str, Path, int]:
    """Return the name, the path and the side of tiles of [NAME=]FOLDER[@TILE]."""
    name, _, rest = argument.rpartition("=")
    path, _, tile = rest.rpartition("@")
    if not path or not tile.isdigit():
        path, tile = rest, "0"
    return name or path, Path(path), int(tile)


def with_speeds(old: Figures, new: Figures) -> Figures:
    """Return new figures of a set with the speeds, memory, machine and order of an earlier run."""
    fields = ("encode_mps", "decode_mps", "peak_mb")
    before: Figures = {row["codec"]: {f: row[f] for f in fields} for row in old["codecs"]}
    rows = [row | before.get(row["codec"], {}) for row in new["codecs"]]
    kept: Figures = {key: old[key] for key in ("speeds", "machine") if key in old}
    names = [name for name in old["settings"] if name in new["settings"]]
    kept["settings"] = {name: new["settings"][name] for name in names} | new["settings"]
    return new | {"codecs": rows, **kept}


@click.command()
@click.argument("sets", metavar="[NAME=]FOLDER[@TILE]...", nargs=-1)
@click.option("-m", "--model", "extra", multiple=True, help="A model to compare as well.")
@click.option("--codec", "names", multiple=True, help="Of the others measure only this (again).")
@click.option("--keep-speeds", is_flag=True, help="Of a set that is measured again.")
@click.option("--repeat", default=3, help="Times to repeat.")
@click.option("--mosaic", "tiled", type=click.Path(path_type=Path), help="Folder for a mosaic.")
@click.option("--megapixels", default=12.0, help="Size of the mosaic.")
@click.option("--stages", "image", type=click.Path(path_type=Path), help="Image for the stages.")
@click.option("--results", type=click.Path(path_type=Path), default=Path("docs/results.json"))
@click.option("--readme", type=click.Path(path_type=Path), default=Path("README.md"))
def main(
    sets: tuple[str, ...],
    extra: tuple[str, ...],
    names: tuple[str, ...],
    keep_speeds: bool,
    repeat: int,
    tiled: Path | None,
    megapixels: float,
    image: Path | None,
    results: Path,
    readme: Path,
) -> None:
    """Measure sets of images, add them to the results, and write the README's tables."""
    data: Figures = {"sets": {}, "mosaics": {}, "stages": {}}
    if results.exists():
        data |= json.loads(results.read_text())
    results.parent.mkdir(parents=True, exist_ok=True)

    def keep() -> None:
        results.write_text(json.dumps(data, indent=1) + "\n")
        write(readme, data, results.parent)

    for name, path, tile in map(parse, sets):
        result = measure([path], tile, extra, repeat, names)
        found = figures(result)
        if names and name in data["sets"]:
            found = merged(data["sets"][name], found)
            if keep_speeds:
                found = with_speeds(data["sets"][name], found)
        else:
            (results.parent / figure(name)).write_bytes(plot.draw(result))
        data["sets"][name] = found
        keep()
    if tiled is not None:
        with tempfile.TemporaryDirectory() as place:
            mosaic(tiled, Path(place) / "mosaic.png", megapixels)
            data["mosaics"][FRONT] = figures(measure([Path(place)], 0, extra, repeat))
    if image is not None:
        pixels = load(image)
        stages(pixels[:64, :64])  # loads or compiles the kernels
        data["stages"] = stages(pixels)
    keep()


if __name__ == "__main__":
    main()
