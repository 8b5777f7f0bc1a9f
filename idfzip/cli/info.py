"""`idfzip info` and `idfzip models`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from idfzip.cli import files, talk, unpack, work
from idfzip.container import archive, devices, idfz, models, names
from idfzip.container.header import ANY_PIXELS, LOSSY_FIRST, RAW, VQVAE, ImageHeader, StoredHeader
from idfzip.errors import ModelError, ModelNotFound, OutputExists

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.argument("paths", metavar="FILE.idfz...", nargs=-1, type=files.INPUT)
@click.option("--devices", "of_devices", is_flag=True, help="Show what --device can name here.")
@_json_option
def info(paths: tuple[Path, ...], of_devices: bool, as_json: bool) -> None:
    """Print what each FILE.idfz holds, without decoding it."""
    if of_devices == bool(paths):
        raise click.UsageError("give FILE.idfz, or --devices alone")
    if of_devices:
        _devices(as_json)
        return
    rows: list[dict[str, Any]] = []

    def act(path: Path) -> None:
        with files.opened(path) as file:
            if archive.is_archive(file):
                found = unpack.facts(file)
            else:
                data = files.whole(file)
                found = facts(idfz.parse(data, ANY_PIXELS), len(data))
        row = {"file": str(path), **found}
        rows.append(row)
        if not as_json:
            for line in _lines(row):
                talk.tell(line)

    try:
        work.each(paths, act)
    finally:
        if as_json:
            click.echo(json.dumps(rows, indent=2))


def _devices(as_json: bool) -> None:
    """Print the devices, and which models pass their self-test there."""
    rows = devices.listed()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        failed = [name for name, passed in row["models"].items() if not passed]
        tests = f"FAILED by {', '.join(failed)}" if failed else "passed"
        click.echo(
            f"{row['device']}: {row['name']}, self-tests of {', '.join(row['models'])}: {tests}"
        )
    if len(rows) == 1:
        click.echo(f"no GPU: NVIDIA's driver names none, or torch is missing ({devices.GET})")


def facts(file: idfz.File, size: int) -> dict[str, Any]:
    """Return what is known of a file of one image, of so many bytes, without decoding it."""
    head = file.head
    if isinstance(head, StoredHeader):
        return {
            "kind": "stored",
            "format": head.format,
            "bytes": size,
            "source_bytes": head.length,
            "sizes": file.sizes,
        }
    samples = head.height * head.width * head.kind.layout.channels
    lossy = isinstance(head, ImageHeader) and any(tile.codec == VQVAE for tile in head.tiles)
    found: dict[str, Any] = {
        "kind": "lossy" if lossy else "lossless",
        "by": "models" if isinstance(head, ImageHeader) else head.packing,
        "sizes": file.sizes,
        "format": head.format,
        "mode": str(head.kind),
        "width": head.width,
        "height": head.height,
        "bytes": size,
        "bpd": round(8 * size / samples, 4),
        "bpp": round(8 * size / (head.height * head.width), 4),
    }
    if isinstance(head, ImageHeader):
        found |= {
            "tiles": len(head.tiles),
            "levels": file.levels,
            "lossy_first": any(tile.codec == LOSSY_FIRST for tile in head.tiles),
            "raw_tiles": sum(tile.codec == RAW for tile in head.tiles),
            "models": [{"name": m.name, "hash": m.hash.hex()} for m in head.models],
            "embedded_models": len(file.models),
        }
    return found


def _lines(row: dict[str, Any]) -> list[str]:
    """Return the line of a file, of an archive with one for each member."""
    if row["kind"] == "archive":
        first = (
            f"{row['file']}: archive of {work.counted(row['members'], 'image')}, "
            f"{row['bytes']} bytes, {work.counted(len(row['blocks']), 'block')}, "
            f"model {_named(row)}"
        )
        return [first, *map(_member, row["images"])]
    return [_line(row)]


def _line(row: dict[str, Any]) -> str:
    form = row["format"] or "unknown format"
    sizes = row["sizes"]
    if row["kind"] == "stored":
        why = work.winner("source", sizes) if sizes else "stored"
        return f"{row['file']}: {form}, {why}, {row['source_bytes']} bytes in {row['bytes']}"
    rate = f"{row['bpd']:.3f} bits per subpixel"
    if row["kind"] == "lossy":
        rate = f"{row['bpp']:.3f} bits per pixel"
    line = (
        f"{row['file']}: {row['kind']} {form}, {row['width']}x{row['height']} {row['mode']}, "
        f"{row['bytes']} bytes, {rate}, {work.winner(row['by'], sizes)}"
    )
    if row["by"] != "models":
        return line
    levels = f"{row['levels']} levels, " if row["levels"] else ""
    if row["lossy_first"]:
        levels = "a lossy picture first, "
    return f"{line}, {work.counted(row['tiles'], 'tile')}, {levels}model {_named(row)}"


def _named(row: dict[str, Any]) -> str:
    named = ", ".join(f"{m['name']} ({m['hash']})" for m in row["models"]) or "none"
    return f"{named}, in the file" if row["embedded_models"] else named


def _member(image: dict[str, Any]) -> str:
    """Return the line of an archive's member."""
    size = f"{image['width']}x{image['height']} {image['mode']}, " if "width" in image else ""
    where = f", in block {image['block']}" if "block" in image else ""
    form = image["format"] or "unknown format"
    return (
        f"  {names.shown(image['name'])}: {image['kind']} {form}, {size}"
        f"{image['bytes']} bytes{where}"
    )


@click.group(name="models", invoke_without_command=True)
@_json_option
@click.pass_context
def models_command(context: click.Context, as_json: bool) -> None:
    """List the models that are installed, with their hashes; `models add` installs one."""
    if context.invoked_subcommand is None:
        _list(as_json)


@models_command.command()
@click.argument("path", metavar="FILE.idfm", type=click.Path(path_type=Path))
@work.force_option
def add(path: Path, force: bool) -> None:
    """Install a model file for the user: what it made then decodes without -m."""
    model = models.open_file(path)
    folder = models.own_folder()
    if folder is None:
        raise ModelNotFound("no home to install a model in: set XDG_DATA_HOME or IDFZIP_MODELS")
    target = folder / f"{model.name}{models.SUFFIX}"
    if target.is_file() and not force:
        if models.open_file(target).identity == model.identity:
            talk.say(f"{target}: installed already")
            return
        raise OutputExists(f"{target}: another model of that name is installed (-f replaces it)")
    folder.mkdir(parents=True, exist_ok=True)
    files.write(target, path.read_bytes(), force=True)
    talk.say(f"{target}: model {model.name} ({model.short.hex()}) installed")


def _list(as_json: bool) -> None:
    rows: list[dict[str, Any]] = []
    damaged = False
    for file in models.files():
        try:
            model = models.open_file(file)
        except ModelError as error:
            talk.say(f"idfzip: {error}")
            damaged = True
            continue
        rows.append(
            {
                "name": model.name,
                "hash": model.identity,
                "architecture": model.architecture.name,
                "channels": model.codec.channels,
                "products_per_pixel": model.codec.operations,
                "bytes": file.stat().st_size,
                "file": str(file),
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        width = max((len(row["name"]) for row in rows), default=0)
        for row in rows:
            kind = "grey" if row["channels"] == 1 else "RGB"
            talk.tell(f"{row['name']:{width}}  {row['hash'][:16]}  {kind:4} {row['file']}")
    if damaged:
        raise ModelError("some model files are damaged")
