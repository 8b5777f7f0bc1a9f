"""Measure coding on a device beside the processor: speed, stages, distance from the limits.

Usage: `python scripts/cuda_speed.py --device cuda [-m MODEL] [--source IMAGE] [--json FILE]`. Three
works, with `photo` and with `photo-max`: one photograph of 24 megapixels, 1,000 images of
512 x 512, and an archive of 10,000 of 32 x 32, cut from the source, mirrored where it ends, with
noise of one step so that nothing repeats; with `lossy`, or with `progressive` or a bipartite model
that `-m` names, the first two of them. From pixels in memory to bytes in memory and back; results
are compared with the source, or with what was painted. The processor is measured on a share of the
images; its files and the device's are compared. Lines come, and the JSON is written anew, after
each work. Stages are those of the flagship's models.
`--photo`, `--images` and `--small` set the sizes, `--device torch` runs the same without a GPU.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import torch

from idfzip.codecs import flagship as kernels
from idfzip.codecs.flagship import Flagship
from idfzip.coding import ans, turns
from idfzip.container import block, devices, idfz, lossy, models
from idfzip.container.effort import Effort, all_cores
from idfzip.container.index import Entry
from idfzip.container.lossy import Lossy
from idfzip.container.model_file import Model
from idfzip.container.threads import in_order
from idfzip.device.check import any_tile
from idfzip.device.decoding import Decoder
from idfzip.device.machine import Machine
from idfzip.device.model import model as on_device
from idfzip.device.schedule import Group, Run, side_by_side
from idfzip.flows.alphabet import BYTES
from idfzip.images import reader
from idfzip.images.picture import Picture, Pixels

PARROTS = Path(__file__).parent.parent / "tests" / "data" / "parrots.png"
TIMES, SECONDS = 5, 4
"""Runs on the device, of which the median counts, as long as they take together less."""

BLOCK = 1024
"""Images of an archive that are coded first, so that kernels are ready."""

PART = 1024
"""Sides of the part of one photograph that the processor is measured on."""

HEAD = """\
| work | model | encode MP/s | decode MP/s | processor, encode | processor, decode |
| --- | --- | --- | --- | --- | --- |"""

Row = dict[str, Any]
Work = Callable[[Effort, Sequence[Pixels], Model], list[bytes]]


def cut(source: Pixels, height: int, width: int, count: int, seed: int = 0) -> list[Pixels]:
    """Return images cut from a source, mirrored where it ends, with noise of one step."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        y, x = (int(rng.integers(0, n)) for n in source.shape[:2])
        rows, columns = _mirrored(y, height, len(source)), _mirrored(x, width, source.shape[1])
        part = source[np.ix_(rows, columns)].astype(np.int16)
        noise = rng.integers(-1, 2, part.shape, dtype=np.int16)
        found.append(np.clip(part + noise, 0, 255).astype(np.uint8))
    return found


def _mirrored(first: int, count: int, length: int) -> Any:
    place = np.arange(first, first + count) % (2 * length)
    return np.minimum(place, 2 * length - 1 - place)


def encode_files(effort: Effort, images: Sequence[Pixels], model: Model) -> list[bytes]:
    """Return a file of each image."""
    each = effort if len(images) == 1 else effort.alone
    jobs = (partial(idfz.compress, Picture(pixels), model, each) for pixels in images)
    return list(in_order(jobs, effort.jobs))


def decode_files(effort: Effort, files: Sequence[bytes], model: Model) -> list[Pixels]:
    """Return the pixels of files."""
    each = effort if len(files) == 1 else effort.alone
    jobs = (partial(idfz.decompress, idfz.parse(data), model, each) for data in files)
    return [found.pixels for found, _ in in_order(jobs, effort.jobs) if isinstance(found, Picture)]


def encode_paintings(effort: Effort, images: Sequence[Pixels], model: Model) -> list[Lossy]:
    """Return a lossy file of each image, and what it paints."""
    each = effort if len(images) == 1 else effort.alone
    jobs = (partial(lossy.compress, Picture(pixels), model, effort=each) for pixels in images)
    return list(in_order(jobs, effort.jobs))


def decode_paintings(effort: Effort, files: Sequence[Lossy], model: Model) -> list[Pixels]:
    """Return the pixels of lossy files."""
    return decode_files(effort, [file.data for file in files], model)


def _blocks(images: Sequence[Pixels]) -> list[list[block.Image]]:
    """Return images in the blocks of an archive."""
    per = max(1, block.PIXELS // images[0][..., 0].size)
    named = [block.Image(Entry(str(i)), Picture(p), p.size) for i, p in enumerate(images)]
    return [named[i : i + per] for i in range(0, len(named), per)]


def encode_blocks(effort: Effort, images: Sequence[Pixels], model: Model) -> list[Any]:
    """Return rows and bytes of blocks."""
    jobs = (partial(block.encode, part, model, 0, None, effort.device) for part in _blocks(images))
    return [found[:2] for found in in_order(jobs, effort.jobs)]


def decode_blocks(effort: Effort, coded: Sequence[Any], model: Model) -> list[Pixels]:
    """Return the pixels of blocks."""
    jobs = (partial(block.decode, row, body, model, None, effort.device) for row, body in coded)
    return [one.pixels for part in in_order(jobs, effort.jobs) for one in part if one is not None]


OPERATORS = ("window", "solve", "gather", "trunk", "heads", "mixtures", "search, coder", "learn")
KERNELS = (
    *("place", "sums", "solve", "gather", "trunk", "head", "probe", "take", "finish"),
    *("slopes", "advance", "back", "move", "close", "note", "push"),
)
"""Names of stages, and of fused kernels (`idfzip.device.fused`)."""

WORKS: dict[str, tuple[Any, Any]] = {
    "files": (encode_files, decode_files),
    "paintings": (encode_paintings, decode_paintings),
    "archive": (encode_blocks, decode_blocks),
}


def measured(effort: Effort, images: Sequence[Pixels], model: Model, kind: str) -> Row:
    """Return megapixels a second of encoding and decoding, and what was coded."""
    encode, decode = WORKS[kind]
    pixels = sum(image[..., 0].size for image in images)
    start = time.perf_counter()
    coded = encode(effort, images, model)
    middle = time.perf_counter()
    back = decode(effort, coded, model)
    end = time.perf_counter()
    wanted = [one.picture.pixels for one in coded] if kind == "paintings" else images
    if len(back) != len(wanted) or not all(map(np.array_equal, back, wanted)):
        raise click.ClickException(f"{model.name}: the pixels do not come back")
    seconds = (middle - start, end - middle)
    return {
        "encode": pixels / seconds[0] / 1e6,
        "decode": pixels / seconds[1] / 1e6,
        "coded": coded,
    }


def several(effort: Effort, images: Sequence[Pixels], model: Model, kind: str) -> Row:
    """Return medians of a few runs, if these are short, and each run's speeds."""
    rows: list[Row] = []
    start = time.perf_counter()
    while len(rows) < TIMES and time.perf_counter() - start < SECONDS:
        rows.append(measured(effort, images, model, kind))
    speeds = {key: [row[key] for row in rows] for key in ("encode", "decode")}
    return {
        **{key: median(found) for key, found in speeds.items()},
        "runs": speeds,
        "coded": rows[-1]["coded"],
    }


def stages(machine: Machine, codec: Flagship, lanes: int, side: int) -> dict[str, float]:
    """Return the share of each stage of decoding, of so many tiles side by side."""
    tile = any_tile(codec.channels, side)
    streams = kernels.encode(codec, [tile]) * lanes
    runs = side_by_side([Group(((side, side),))] * lanes)
    on_gpu = machine.device.type == "cuda"
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [torch.profiler.ProfilerActivity.CUDA] if on_gpu else []
    with torch.inference_mode(), machine.in_use():
        decoder = made(machine, codec, runs, streams)
        with torch.profiler.profile(activities=activities) as profile:
            decoder.run()
    spent = dict.fromkeys(KERNELS if machine.fuses else OPERATORS, 0.0)
    for row in profile.key_averages():
        if row.key in spent:
            spent[row.key] += row.device_time_total if on_gpu else row.cpu_time_total
    total = sum(spent.values()) or 1.0  # a profiler that may not count shows none
    return {name: value / total for name, value in spent.items()}


def spent(effort: Effort, files: Sequence[bytes], model: Model) -> dict[str, float]:
    """Return the milliseconds of each kernel when files are decoded on a GPU."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        decode_files(effort, files, model)
    times = {row.key: row.device_time_total / 1e3 for row in profile.key_averages()}
    return {name: times[name] for name in KERNELS if name in times}


def made(machine: Machine, codec: Flagship, runs: Sequence[Run], streams: list[bytes]) -> Any:
    """Return what decodes; steps by operators are not captured, so that stages show."""
    model = on_device(machine, codec, BYTES)
    host = turns.decoder([ans.from_bytes(stream) for stream in streams])
    if not machine.fuses:
        return Decoder(model, codec.learning, runs, host, captured=False)
    from idfzip.device import waves

    return waves.Decoder(model, codec.learning, runs, host)


def counted(codec: Flagship) -> Row:
    """Return what a pixel takes: operations of products and of the expert, and bytes of memory.

    Each product and sum is one operation, also in learning: a step of it takes twice the products
    of a pixel. Bytes are those of the window's terms, which are read from the rings three times and
    written twice to them, written once as sums and read once; the rest is small or stays in caches.
    """
    m, channels = len(codec.design.regressors), codec.channels
    n = m + channels
    updates = sum(((n + 1 if j < m else n) - j - 1) * (n - j - 1) for j in range(n)) // 2
    terms = n * (n + 1) // 2 + 1 + channels
    learned = 2 * codec.operations // codec.learning.every if codec.learning.rate else 0
    return {
        "operations of products": 2 * (codec.operations + learned),
        "operations of the expert": 2 * updates,
        "bytes": terms * 7 * 4,
    }


def limits(machine: Machine) -> Row:
    """Return what the device reaches: bytes copied and operations of products, a second.

    Products are in TF32, as those of the kernels.
    """
    size = 1 << 28 if machine.device.type == "cuda" else 1 << 22
    room = torch.ones(size, dtype=torch.uint8, device=machine.device)
    side = 4096 if machine.device.type == "cuda" else 256
    square = torch.ones(side, side, device=machine.device)
    copied = _best(machine, lambda: room.clone())
    matmul = torch.backends.cuda.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, "tf32"
    multiplied = _best(machine, lambda: square @ square)
    matmul.fp32_precision = before
    return {"bytes": 2 * size / copied, "operations of products": 2 * side**3 / multiplied}


def _best(machine: Machine, work: Callable[[], object]) -> float:
    """Return the least seconds of a few calls."""
    least = float("inf")
    for _ in range(5):
        _wait(machine)
        start = time.perf_counter()
        work()
        _wait(machine)
        least = min(least, time.perf_counter() - start)
    return least


def _wait(machine: Machine) -> None:
    if machine.device.type == "cuda":
        torch.cuda.synchronize(machine.device)


def _bytes(files: Sequence[bytes | Lossy]) -> list[bytes]:
    return [file.data if isinstance(file, Lossy) else file for file in files]


def line(row: Row) -> str:
    """Return speeds as a line of the table."""
    figures = (row["device"], row["processor"])
    cells = [f"{one[key]:.3g}" for one in figures for key in ("encode", "decode")]
    return f"| {row['work']} | {row['model']} | {' | '.join(cells)} |"


def some_of(images: Sequence[Pixels], share: float) -> Sequence[Pixels]:
    """Return what the processor is measured on: some images, or a part of a large one."""
    if len(images) == 1:
        return [np.ascontiguousarray(images[0][:PART, :PART])]
    return images[: max(1, round(len(images) * share))]


@click.command()
@click.option("--device", default="cuda", show_default=True)
@click.option("--source", type=click.Path(path_type=Path, exists=True), default=PARROTS)
@click.option("--photo", nargs=2, type=int, default=(4000, 6000), help="Rows, columns.")
@click.option("--images", nargs=2, type=int, default=(1000, 512), help="Number, side.")
@click.option("--small", nargs=2, type=int, default=(10000, 32), help="Number, side.")
@click.option("-m", "--model", "names", multiple=True, default=("photo", "photo-max", "lossy"))
@click.option("-T", "--threads", default=2, show_default=True, help="Of the processor.")
@click.option("--share", default=0.02, show_default=True, help="Of the images, by the processor.")
@click.option("--profile", nargs=2, type=int, default=(64, 256), help="Tiles, side.")
@click.option("--json", "out", type=click.Path(path_type=Path))
def main(
    device: str,
    source: Path,
    photo: tuple[int, int],
    images: tuple[int, int],
    small: tuple[int, int],
    names: Sequence[str],
    threads: int,
    share: float,
    profile: tuple[int, int],
    out: Path | None,
) -> None:
    """Print speeds, stages and limits."""
    found = reader.read(source.read_bytes(), str(source))
    if not isinstance(found, Picture):
        raise click.ClickException(f"{source}: {found.reason}")
    worker = devices.find(device, all_cores(), None, click.echo)
    if worker is None:
        raise click.ClickException("the processor alone: there is nothing to compare")
    works = {
        f"1 of {photo[0]} x {photo[1]}": ("files", cut(found.pixels, *photo, 1)),
        f"{images[0]} of {images[1]} x {images[1]}": (
            "files",
            cut(found.pixels, images[1], images[1], images[0]),
        ),
        f"{small[0]} of {small[1]} x {small[1]}, archive": (
            "archive",
            cut(found.pixels, small[1], small[1], small[0]),
        ),
    }
    machine = Machine(torch.device("cpu" if device == devices.TORCH else device))
    rows: list[Row] = []
    more: Row = {"limits": limits(machine)}

    def keep() -> None:
        if out is not None:
            out.write_text(json.dumps({"rows": rows, **more}, indent=1))

    click.echo(HEAD)
    for name in names:
        model = models.by_name(name)
        for work, (usual, given) in works.items():
            kind = "paintings" if model.architecture.lossy else usual
            if usual == "archive" and not isinstance(model.codec, Flagship):
                continue
            some = some_of(given, share)
            there = Effort(all_cores(), device=worker)
            for warm in (there, Effort(threads)):  # kernels of blocks are those of many images
                few = given[:BLOCK] if kind == "archive" else [given[0][:32, :32]]
                measured(warm, few if warm is there else few[:1], model, kind)
            row: Row = {"work": work, "model": name}
            row["device"] = several(there, given, model, kind)
            row["processor"] = measured(Effort(threads), some, model, kind)
            coded = row["device"].pop("coded")
            if usual == "files" and len(given) == 1 and machine.is_gpu and kind == "files":
                row["milliseconds"] = spent(there, coded, model)
            expected = row["processor"].pop("coded")
            rows.append(row)
            click.echo(line(row))
            keep()
            if usual == "files" and _bytes(WORKS[kind][0](there, some, model)) != _bytes(expected):
                raise click.ClickException(f"{name}, {work}: not the bytes of the processor")
        if isinstance(model.codec, Flagship):
            more[name] = {
                "a pixel": counted(model.flagship),
                "stages": stages(machine, model.flagship, *profile),
            }
            keep()
    click.echo(json.dumps(more, indent=1))


if __name__ == "__main__":
    main()
