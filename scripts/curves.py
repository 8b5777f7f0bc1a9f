"""Draw the curves of several trainings together, and write their table.

Usage: `python scripts/curves.py [NAME=]FOLDER... -o docs/curves`, where each FOLDER is what
`idfzip train` leaves beside a model (`MODEL.train`). Bits are those of the held-out images, so
trainings on the same folder compare; minutes are those of the processor, which a shared machine
gives now more, now less of. The README's, where `idf16.toml` is `idf` with `images = 16`:

    idfzip train train-5000.webp --tile 32 -T 1 --recipe small-images --minutes 8 -o small.idfm
    idfzip train train-5000.webp --tile 32 -T 1 --recipe idf16.toml --minutes 17 -o idf.idfm
    python scripts/curves.py small-images=small.train idf.train -o docs/curves
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from idfzip.training.journal import LOG

MARKS = (2, 5, 10, 20, 40)
"""Minutes of the processor of which the table tells the best bits so far."""


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the measurements of one training; raises ClickException where there are none."""
    try:
        found = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{folder / LOG}: {error}") from None
    if not found:
        raise click.ClickException(f"{folder / LOG}: no measurement")
    return found


def table(curves: dict[str, list[dict[str, Any]]]) -> str:
    """Return the table: steps, and the least bits after so many minutes and at the end."""
    titles = ["training", "steps", *(f"{mark} min" for mark in MARKS), "end", "minutes"]
    lines = [f"| {' | '.join(titles)} |", "| --- " * len(titles) + "|"]
    for name, found in curves.items():
        end = found[-1]["processor"] / 60
        cells = [name, str(found[-1]["step"])]
        for mark in MARKS:
            seen = [row["held_out"] for row in found if row["processor"] <= 60 * mark]
            cells.append(f"{min(seen):.3f}" if seen and mark < end else "")
        cells += [f"{found[-1]['held_out']:.3f}", f"{end:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(curves: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Write the plot as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name, found in curves.items():
        minutes = [row["processor"] / 60 for row in found]
        axes.plot(minutes, [row["held_out"] for row in found], label=name)
    lowest = min(row["held_out"] for found in curves.values() for row in found)
    titles = ("minutes of the processor", "bits per subpixel, held out")
    axes.set(xlabel=titles[0], ylabel=titles[1], ylim=(lowest - 0.1, 8))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


@click.command()
@click.argument("trainings", metavar="[NAME=]FOLDER...", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("docs/curves"))
def main(trainings: tuple[str, ...], output: Path) -> None:
    """Write OUTPUT.png and OUTPUT.md."""
    curves = {}
    for argument in trainings:
        name, _, path = argument.rpartition("=")
        folder = Path(path)
        curves[name or folder.stem] = rows(folder)
    draw(curves, output.with_suffix(".png"))
    output.with_suffix(".md").write_text(table(curves))


if __name__ == "__main__":
    main()
