"""Archives as input: extracting, testing and listing their members."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from idfzip.cli import files, talk, work
from idfzip.cli.tree import Outputs
from idfzip.container import archive, idfz, models, names
from idfzip.container.archive import Archive, Member
from idfzip.container.effort import Effort
from idfzip.container.header import ANY_PIXELS
from idfzip.container.idfz import Stored
from idfzip.container.index import Entry
from idfzip.container.model_file import Model
from idfzip.container.region import Region
from idfzip.errors import FormatError, IdfzipError, ModelNotFound
from idfzip.images.picture import Picture


@dataclass(frozen=True)
class Job:
    """The options of one call."""

    model: Model | None
    effort: Effort
    force: bool
    salvage: bool
    max_pixels: int
    write: Callable[[Picture | Stored], bytes]
    quiet: bool
    warm: work.Warm
    region: Region | None = None
    outputs: Outputs = field(default_factory=lambda: Outputs(None, files.NONE))


def inside(folder: Path, ending: Callable[[Path], Path]) -> Callable[[Entry], Path]:
    """Return what gives each member its place below a folder; `ending` may change its suffix.

    It raises FormatError for a name that leaves the folder, by itself or through a link.
    """

    def place(entry: Entry) -> Path:
        target = folder / names.check(entry.name)
        for parent in target.parents[: len(Path(entry.name).parts) - 1]:
            if parent.is_symlink():
                raise FormatError(f"member {entry.name}: the name is refused: {parent} is a link")
        return ending(target)

    return place


def extract(
    file: BinaryIO,
    path: Path,
    place: Callable[[Entry], Path],
    wanted: Collection[str],
    job: Job,
    failures: work.Failures,
) -> bool:
    """Write an archive's members, all or the wanted ones, where `place` says.

    What cannot be had or written is noted as a failure, and the others go on. Returns whether
    nothing failed.
    """
    box = Archive(file, job.salvage)
    before = failures.count
    targets: dict[str, Path] = {}
    known = {entry.name for entry in box.index.entries}
    for name in sorted(set(wanted) - known):
        failures.note(f"{path}: there is no member {names.shown(name)}")
    for entry in box.index.entries:
        if wanted and entry.name not in wanted:
            continue
        with failures.caught(path):
            if entry.name in targets:
                raise FormatError(f"member {names.shown(entry.name)}: the name is there twice")
            target = place(entry)
            files.check_free(target, job.force, job.outputs.inputs)
            if target != files.STANDARD:
                job.outputs.reserve(target, f"{path}: {names.shown(entry.name)}")
            targets[entry.name] = target
    done = 0
    for member in _decoded(box, job, targets):
        with failures.caught(f"{path}: {names.shown(member.entry.name)}"):
            _write(member, targets[member.entry.name], job)
            done += 1
    talk.say(f"{path}: {done} of {len(known)} members written", job.quiet)
    return failures.count == before


def _write(member: Member, target: Path, job: Job) -> None:
    found, entry = member.found, member.entry
    if isinstance(found, IdfzipError):
        raise found
    data = job.write(found)
    if target != files.STANDARD:
        target.parent.mkdir(parents=True, exist_ok=True)
    at = entry.modified * 1_000_000_000
    look = files.Look(entry.mode & 0o777 or None, (at, at) if at else None)
    job.outputs.write(target, data, job.force, look)
    if member.failed:
        raise FormatError(f"grey in {target}: {len(member.failed)} damaged tiles")


def test(file: BinaryIO, path: Path, job: Job, failures: work.Failures) -> None:
    """Decode all members and note those that are damaged."""
    box = Archive(file)
    count = 0
    for member in _decoded(box, job, None):
        with failures.caught(f"{path}: {names.shown(member.entry.name)}"):
            if isinstance(member.found, IdfzipError):
                raise member.found
            names.check(member.entry.name)
            count += 1
    total = len(box.index.entries)
    sound = all_there = count == total
    for i in range(len(box.index.blocks)):
        with failures.caught(path):
            if all_there and box.is_damaged(i):
                sound = False
                raise FormatError(f"block {i} is damaged (checksum), its images are not")
    talk.say(f"{path}: {'ok, ' if sound else ''}{count} of {total} members", job.quiet)


def _decoded(box: Archive, job: Job, wanted: Collection[str] | None) -> Iterator[Member]:
    """Yield the members decoded, with kernels compiled before and a bar of them on a terminal."""
    known = box.known(job.model)
    for name in box.index.models:
        try:
            model = models.for_file(name, known)
        except ModelNotFound:
            continue  # its members say so
        job.warm.up([model], job.quiet, job.effort.device)

    def chosen(entry: Entry) -> bool:
        return wanted is None or entry.name in wanted

    total = len(box.index.entries) if wanted is None else len(wanted)
    with work.count_bar(total, job.quiet) as advance:
        how = (chosen, job.salvage, job.max_pixels, job.region)
        for member in archive.decoded(box, job.model, job.effort, *how):
            advance(1)
            yield member


def facts(file: BinaryIO) -> dict[str, Any]:
    """Return what an archive holds, for `info`; an image in a block has its share of its bytes."""
    box = Archive(file)
    images: list[dict[str, Any]] = []
    for i, row in enumerate(box.index.blocks):
        pixels = sum(h * w for h, w in row.sizes)
        for member in row.members:
            share = row.length * member.height * member.width / pixels
            images.append(
                {
                    "name": member.entry.name,
                    "kind": "lossless",
                    "format": member.format,
                    "mode": "grey" if row.channels == 1 else "RGB",
                    "width": member.width,
                    "height": member.height,
                    "block": i,
                    "bytes": round(share),
                }
            )
    for i, whole in enumerate(box.index.files):
        images.append({"name": whole.entry.name, **_whole(box, i, whole.length)})
    return {
        "kind": "archive",
        "members": len(images),
        "blocks": [{"members": len(row.members), "bytes": row.length} for row in box.index.blocks],
        "models": [{"name": m.name, "hash": m.hash.hex()} for m in box.index.models],
        "embedded_models": box.has_models,
        "bytes": box.size,
        "images": sorted(images, key=lambda image: str(image["name"])),
    }


def _whole(box: Archive, i: int, length: int) -> dict[str, Any]:
    from idfzip.cli import info

    try:
        return info.facts(idfz.parse(box.file(i), ANY_PIXELS), length)
    except FormatError as error:
        return {"kind": "damaged", "format": "", "error": str(error), "bytes": length}
