"""What `idfzip compress` does with --lossy and --lossy-first."""

from __future__ import annotations

import time
from pathlib import Path

from idfzip.cli import work
from idfzip.cli.job import Job, check
from idfzip.container import groups, idfz, lossy, models
from idfzip.container.model_file import Model
from idfzip.images.picture import Picture


def lossy_file(path: Path, source: bytes, picture: Picture, job: Job) -> tuple[bytes, str]:
    """Return the lossy `.idfz` file of a picture, and what to say of it.

    Where the source is smaller it is kept instead.
    """
    quality = job.quality or lossy.DEFAULT_QUALITY
    model = job.model or models.packaged(models.LOSSY)
    job.warm.up([model], job.quiet, job.effort.device)
    count = picture.pixels.shape[0] * picture.pixels.shape[1]
    with work.progress_bar(path.name, count * (1 + job.verify), job.quiet) as progress:
        start = time.perf_counter()
        found = lossy.compress(
            picture, model, quality, job.effort, progress, job.embed, job.progressive
        )
        speed = count / 1e6 / (time.perf_counter() - start)
        kept = idfz.store(source, picture.format)
        if len(kept) <= len(found.data):
            return kept, f"stored: the file as it is is smaller than {len(found.data)} bytes"
        if job.verify:
            file = idfz.parse(found.data, job.max_pixels)
            check(idfz.decompress(file, model, job.effort, progress)[0], found.picture)
    note = (
        f"lossy, quality {quality}, {8 * len(found.data) / count:.3f} bits per pixel, "
        f"{lossy.psnr(picture.pixels, found.picture.pixels):.2f} dB, {speed:.2f} MP/s"
    )
    return found.data, note + _more([model], job)


def lossless_file(path: Path, source: bytes, picture: Picture, job: Job) -> tuple[bytes, str]:
    """Return the lossless file that begins with a lossy picture, and what to say of it.

    The model that is named is the lossy one or that of the rest. Where the source is smaller it is
    kept instead.
    """
    quality = job.quality or lossy.FIRST_QUALITY
    painter, rest = lossy.told_apart(job.model)
    lossy.check(picture, painter)
    rest = rest or models.lossy_first(groups.of(picture.kind)[-1].content, job.level)
    job.warm.up([painter, rest], job.quiet, job.effort.device)
    count = picture.pixels.shape[0] * picture.pixels.shape[1]
    with work.progress_bar(path.name, count * (1 + job.verify), job.quiet) as progress:
        start = time.perf_counter()
        data = lossy.compress_first(
            picture, painter, rest, quality, job.effort, progress, job.embed, job.level
        )
        speed = count / 1e6 / (time.perf_counter() - start)
        kept = idfz.store(source, picture.format)
        if len(kept) <= len(data):
            return kept, f"stored: the file as it is is smaller than {len(data)} bytes"
        if job.verify:
            file = idfz.parse(data, job.max_pixels)
            check(idfz.decompress(file, job.model, job.effort, progress)[0], picture)
    note = (
        f"{8 * len(data) / picture.pixels.size:.3f} bits per subpixel, first a lossy picture of "
        f"quality {quality}, {speed:.2f} MP/s"
    )
    return data, note + _more([painter, rest], job)


def _more(tried: list[Model], job: Job) -> str:
    if not job.verbose:
        return ""
    named = ", ".join(f"{model.name} ({model.short.hex()})" for model in tried)
    return f", model {named}, {'verified' if job.verify else 'not verified'}"
