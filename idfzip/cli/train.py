"""`idfzip train`."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idfzip.cli import files, sources, talk, work
from idfzip.container import model_file, models
from idfzip.errors import TrainingError

if TYPE_CHECKING:
    from idfzip.training.loop import Report
    from idfzip.training.session import Plan, Prepared

DEFAULT_MINUTES = 10.0
INTERRUPTED = 130
"""Exit code after an interrupt, as of a shell."""


@click.command()
@click.argument(
    "folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Model file.")
@click.option("--name", help="Name of the model (default: that of the file).")
@click.option("--recipe", metavar="NAME|FILE.toml", help="Recipe: fast, default, max, idf, ...")
@click.option("--from", "origin", metavar="MODEL", help="Model to go on from, or 'scratch'.")
@click.option("--minutes", type=work.FiniteRange(0, min_open=True), help="Time (default: 10).")
@click.option("--steps", type=click.IntRange(1), help="Steps, instead of a time.")
@click.option("--val", "validation", type=click.Path(path_type=Path), help="Folder for validation.")
@click.option("--tile", type=click.IntRange(1), help="Cut mosaics into such squares.")
@click.option("--lossy-sources", is_flag=True, help="Use JPEG and other lossy files as well.")
@click.option("--grey", is_flag=True, help="Turn colour images into grey ones.")
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--seed", type=click.IntRange(0, (1 << 63) - 1), default=0, help="Seed of all that is random."
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint.")
@click.option("--json", "as_json", is_flag=True, help="Print each measurement as a line of JSON.")
@work.threads_option
@work.force_option
@work.quiet_option
def train(folders: tuple[Path, ...], **options: Any) -> None:
    """Train a model on the images in FOLDERS (or files), going on from the released one.

    Lossless image files and .npy arrays are used, others are counted and left out. A tenth of the
    images is held out for validation. With --recipe but without --from, training begins anew.
    Beside the model, a folder OUTPUT.train keeps a log, a curve and a checkpoint; Ctrl-C stops
    early and writes the model, --resume goes on. Keep the model: files that it made need it.
    """
    if options["minutes"] and options["steps"]:
        raise click.UsageError("give --minutes or --steps, not both")
    files.check_free(
        options["output"], options["force"] or options["resume"], _inputs(folders, options)
    )
    files.check_folder(options["output"])
    name = options["name"]
    options["name"] = model_file.check_name(name) if name else model_file.name_of(options["output"])
    if importlib.util.find_spec("torch") is None:
        raise TrainingError("training needs torch: pip install 'idfzip[train]'")
    import torch

    from idfzip.training import group
    from idfzip.training.folder import Options
    from idfzip.training.loop import Limit
    from idfzip.training.session import Plan

    if options["recipe"] and _train_indexed(folders, options):
        return
    torch.set_num_threads(_threads(options["threads"]))
    minutes = options["minutes"] or DEFAULT_MINUTES
    steps = options["steps"]
    plan = Plan(
        folders,
        Limit(steps) if steps else Limit(0, minutes),
        options["name"],
        options["validation"],
        options["recipe"],
        options["origin"],
        options["seed"],
        Options(options["tile"] or 0, options["lossy_sources"], options["grey"]),
    )
    with group.joined(options["device"]) as joined, _interrupts() as stopped:
        _train(plan, joined, stopped, options)


def _inputs(folders: tuple[Path, ...], options: dict[str, Any]) -> sources.Inputs:
    """Return what is read: images, and a recipe; a model may lie among them, which goes on."""
    given = [*folders, *filter(None, [options["validation"]])]
    found = [file for folder in given for file in (folder, *folder.rglob("*"))]
    images = [file for file in found if file.suffix != models.SUFFIX]
    return sources.inputs([*images, Path(options["recipe"] or "")])


def _train_indexed(folders: tuple[Path, ...], options: dict[str, Any]) -> bool:
    """Train a model of categories, if the recipe is for one; return whether it is."""
    from idfzip.training import indexed, recipe_file

    found = recipe_file.read_indexed(options["recipe"])
    if found is None:
        return False
    output, quiet = options["output"], options["quiet"]
    examples = indexed.read(folders)
    talk.say(f"{len(examples)} images of categories", quiet)
    codec = indexed.train(examples, found, options["seed"], lambda line: talk.say(line, quiet))
    card = f"Trained on {len(examples)} images by `idfzip train`.\n{found}\n"
    data = model_file.dump(codec, options["name"], card)
    model = model_file.load(data, str(output))
    files.write(output, data, options["force"])
    talk.say(f"{output}: model {model.name} ({model.short.hex()}), {len(data)} bytes", quiet)
    return True


def _threads(asked: int) -> int:
    """Return torch's threads: all cores, shared with other processes of this machine."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return asked or max(1, work.effort(0).threads // here)


def _train(plan: Plan, joined: Any, stopped: Callable[[], bool], options: dict[str, Any]) -> None:
    from idfzip.training import checkpoint, session
    from idfzip.training.journal import CHECKPOINT, Journal
    from idfzip.training.lattice import Lattices
    from idfzip.training.pixels import Pixels

    output, quiet = options["output"], options["quiet"] or not joined.leads
    folder = output.with_name(output.name.removesuffix(".idfm") + ".train")
    if options["resume"] and joined.leads:
        checkpoint.check(folder / CHECKPOINT)
    prepared = session.prepare(plan)
    _say_found(prepared, quiet)
    talk.say("preparing samples ...", quiet)
    task = session.make_task(prepared, joined)
    journal = Journal(folder, options["resume"], task.unit) if joined.leads else None
    if isinstance(task, Pixels | Lattices):
        share, count = task.rounds.share, task.rounds.count
        rounds = f", in {count} rounds" if count > 1 else ""
        talk.say(f"{100 * share:.0f}% of the pixels are used{rounds}", quiet)
    # What cannot become a model fails before the work.
    session.to_file(prepared, task, task.network())
    if prepared.start is not None and not quiet:
        network = task.network()
        network.set_exact(True)
        talk.say(f"before: {task.evaluate(network):.4f} {task.unit} held out")
    with _reports(quiet, options["as_json"] and joined.leads, task.unit) as report:
        network = session.run(prepared, task, joined, journal, options["resume"], report, stopped)
    if not joined.leads:
        return
    data = session.to_file(prepared, task, network)
    model = model_file.load(data, str(output))
    files.write(output, data, options["force"] or options["resume"])
    if journal is not None and not journal.draw():
        talk.say("no curve: it needs matplotlib (pip install 'idfzip[train]')", quiet)
    talk.say(f"{output}: model {plan.name} ({model.short.hex()}), {len(data)} bytes", quiet)
    if stopped():
        talk.say("stopped early; --resume goes on", quiet)
        sys.exit(INTERRUPTED)


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a stop after the step; a second one is an interrupt."""
    caught: list[int] = []

    def note(number: int, frame: object) -> None:
        caught.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(caught)
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _reports(quiet: bool, as_json: bool, unit: str) -> Iterator[Callable[[Report], None]]:
    """Yield what shows the state of training: a bar on a terminal, lines elsewhere."""
    from tqdm import tqdm

    bar = None
    if not quiet and not as_json and talk.is_terminal():
        form = "{percentage:3.0f}% |{bar}| {elapsed}<{remaining} {postfix}"
        bar = tqdm(total=1.0, bar_format=form, leave=True)
    last = [""]

    def show(state: Report) -> None:
        if state.held_out is not None:
            last[0] = f", held out {state.held_out:.4f}"
        if as_json and state.held_out is not None:
            click.echo(json.dumps(dataclasses.asdict(state)))
        text = (
            f"step {state.step}: training {state.training:.4f}{last[0]} {unit}, "
            f"{state.speed / 1e6:.2f} MP/s"
            + "".join(f", {name} {value:.3g}" for name, value in state.facts.items())
        )
        if bar is not None:
            bar.set_postfix_str(text, refresh=False)
            bar.update(state.share - bar.n)
        elif state.held_out is not None and not as_json:
            talk.say(f"{state.seconds:.0f} s, {text}", quiet)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


def _say_found(prepared: Prepared, quiet: bool) -> None:
    found = prepared.found
    talk.say(f"{len(found.sources)} images, {found.pixels / 1e6:.1f} MP", quiet)
    for reason, count in sorted(found.skipped.items(), key=lambda item: -item[1])[:10]:
        talk.say(f"left out: {count} ({reason})", quiet)
    if found.blocky:
        talk.say(
            f"warning: {found.blocky} images look like decoded JPEGs; a model learns JPEG's traces "
            "from them, which other images do not have",
            quiet,
        )
