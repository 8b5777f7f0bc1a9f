"""What bits-back coding takes beside its bounds: evidence bound, importance-weighted bound, files.

Usage: `python scripts/bits_back.py MODEL FILE... [--tile SIDE] [--count N] [--samples K]`, where
MODEL is one of architecture `bitswap` and `--tile` cuts mosaics. The bounds are those of the
model's twin on its grids (Burda et al. 2016, arXiv:1509.00519), with `--samples` samples of all
latents. Files are decoded and compared; their images have names of eight characters.

The evidence bound is the code length of a chain without end, in the mean. The importance-weighted
one is nearer to the length that the model's probabilities of images, could they be had, would give.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch
from archive_gain import check, taken
from tqdm import tqdm

import idfzip
from idfzip.codecs import bitswap
from idfzip.codecs.bitswap import Bitswap
from idfzip.container import idfz, models
from idfzip.container.archive import Archive
from idfzip.container.effort import Effort
from idfzip.container.model_file import Model
from idfzip.flows import colour
from idfzip.images.picture import Picture
from idfzip.training.bitswap import bound
from idfzip.training.freeze_bitswap import thaw_bitswap

BATCH = 20
"""Images whose bounds are computed at once."""


def bounds(codec: Bitswap, pictures: Sequence[Picture], samples: int) -> dict[str, float]:
    """Return the bits of all images by the evidence bound, its parts, and the tighter bounds."""
    twin = thaw_bitswap(codec)
    noise = torch.Generator().manual_seed(0)
    side = codec.stride
    if any(n % side for one in pictures for n in one.pixels.shape[:2]):
        raise SystemExit(f"sides that are no multiples of {side} have no bound here")
    counts = [k for k in (4, 16, 64) if k < samples] + [samples]
    parts = np.zeros(1 + len(codec.levels))
    tighter = dict.fromkeys(counts, 0.0)
    with torch.no_grad():
        for start in tqdm(range(0, len(pictures), BATCH), desc="bounds"):
            pixels = np.stack([one.pixels for one in pictures[start : start + BATCH]])
            batch = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
            found = torch.stack([twin(batch, noise) for _ in range(samples)])
            parts += found.double().mean(0).sum(0).numpy()
            for k in counts:  # all groups of k samples, so that each bound sees as many
                groups = torch.split(found.sum(2)[: samples // k * k], k)
                tighter[k] += float(torch.stack([bound(group) for group in groups]).mean(0).sum())
    names = ["pixels", *(f"latents {i + 1}" for i in range(len(codec.levels)))]
    return {
        "evidence bound": float(parts.sum()),
        **{f"  of it {name}": float(part) for name, part in zip(names, parts, strict=True)},
        **{f"importance-weighted bound, {k} samples": value for k, value in tighter.items()},
    }


def files(name: str, model: Model, codec: Bitswap, pictures: Sequence[Picture]) -> dict[str, float]:
    """Return the bits of all images in one archive, of its parts, and in files of their own."""
    data = idfzip.pack({f"{i:04}.png": p.pixels for i, p in enumerate(pictures)}, model=name)
    box = Archive(io.BytesIO(data))
    check(box, model, pictures)
    rows = box.index.blocks
    streams = sum(row.length for row in rows)
    tiles = [colour.forward(one.pixels) for one in pictures]
    chain = bitswap.encode_chain(codec, tiles)
    first = bitswap.Chain(codec, np.zeros(0, np.uint32))
    first.push(tiles[-1][:, -bitswap.SIDE :, -bitswap.SIDE :])
    single = 0
    for one in pictures:
        alone = idfz.compress(one, model, Effort())
        back, _ = idfz.decompress(idfz.parse(alone), model, Effort())
        if not isinstance(back, Picture) or not np.array_equal(back.pixels, one.pixels):
            raise SystemExit("a file of its own does not come back")
        single += len(alone)
    return {
        "archive": 8.0 * len(data),
        f"  of it {len(rows)} blocks": 8.0 * streams,
        "one chain of all, without container": sum(chain.bits),
        "  of it initial bits": first.initial,
        "files of their own": 8.0 * single,
    }


@click.command()
@click.argument("name", metavar="MODEL")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--tile", default=0)
@click.option("--count", default=0, help="Take so many images (0: all).")
@click.option("--samples", default=16, help="Samples of the tighter bound.")
@click.option(
    "--json", "out", type=click.Path(path_type=Path), help="Write the figures there, too."
)
def main(
    name: str, paths: tuple[Path, ...], tile: int, count: int, samples: int, out: Path | None
) -> None:
    """Print the figures, in bits a subpixel."""
    model = models.by_name(name)
    if not isinstance(model.codec, Bitswap):
        raise SystemExit(f"model {name} is not of architecture bitswap")
    pictures = taken(paths, tile, count)
    values = sum(picture.pixels.size for picture in pictures)
    found = files(name, model, model.codec, pictures) | bounds(model.codec, pictures, samples)
    print(f"{len(pictures)} images, model {model.name} ({model.short.hex()})")
    figures = {what: round(bits / values, 4) for what, bits in found.items()}
    for what, figure in figures.items():
        print(f"{what:44} {figure:.4f}")
    if out is not None:
        table = {"images": len(pictures), "model": model.identity, "samples": samples}
        out.write_text(json.dumps(table | figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
