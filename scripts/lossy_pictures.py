"""Pictures of what a lossy model paints, for the README and the model's card.

Usage: `python scripts/lossy_pictures.py levels IMAGE... -m MODEL -o docs/lossy-levels.webp`
       `python scripts/lossy_pictures.py beside IMAGE... -m MODEL -o docs/lossy-jpeg.webp`
       `python scripts/lossy_pictures.py rates IMAGE... -m MODEL`

`levels` shows each image, the coarsest level alone and all levels; `beside` the image, what the
model paints at a quality, and a JPEG of at most as many bits, or of the fewest that JPEG can make;
`rates` prints the codes' bits a pixel beside log2 K and the perplexity of each codebook.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from idfzip.bench.similarity import ms_ssim
from idfzip.codecs import vqvae
from idfzip.codecs.painter import Vqvae
from idfzip.container import lossy, models
from idfzip.container.model_file import Model
from idfzip.flows import colour
from idfzip.images.picture import Picture
from idfzip.integer.stack import Values

Pixels = npt.NDArray[np.uint8]


def read(path: Path) -> Pixels:
    """Return the pixels of a colour image."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def middle(pixels: Pixels, side: int) -> Pixels:
    """Return the middle square of a picture."""
    top, left = ((n - side) // 2 for n in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def painted(model: Model, pixels: Pixels, quality: int) -> tuple[Pixels, float]:
    """Return what a model paints, and the bits a pixel of its file."""
    found = lossy.compress(Picture(pixels), model, quality)
    count = pixels.shape[0] * pixels.shape[1]
    return found.picture.pixels.astype(np.uint8), 8 * len(found.data) / count


def jpeg(pixels: Pixels, bits: float) -> tuple[Pixels, float]:
    """Return a JPEG of at most so many bits a pixel, or its smallest one, and its bits."""
    best = b""
    for quality in range(1, 96):
        out = io.BytesIO()
        options = {"quality": quality, "optimize": True, "progressive": True}
        Image.fromarray(pixels).save(out, "JPEG", **options)
        if best and 8 * len(out.getvalue()) > bits * pixels.shape[0] * pixels.shape[1]:
            break
        best = out.getvalue()
    with Image.open(io.BytesIO(best)) as image:
        return np.asarray(image), 8 * len(best) / (pixels.shape[0] * pixels.shape[1])


def noted(model: Vqvae, pixels: Pixels) -> list[npt.NDArray[np.int32]]:
    """Return the codes of every stage, without a weight of bits."""
    features = [vqvae.to_values(model, colour.forward(pixels))]
    for level in reversed(model.levels):
        features.append(level.encoder.values(features[-1]))
    context: Values = features[-1][:, :, :0]
    codes = []
    for level, seen in zip(model.levels, reversed(features[1:]), strict=True):
        left = level.head.values(np.concatenate([seen, context], axis=2))
        found = np.zeros_like(left)
        for prior in level.priors:
            gaps = (left - found)[:, :, None].astype(np.int64) - prior.codebook
            codes.append((gaps**2).sum(3).argmin(2).astype(np.int32))
            found += prior.codebook[codes[-1]]
        limited = np.concatenate([context, found.clip(-511, 511)], axis=2)
        context = level.lift.values(limited)
    return codes


def rates(codec: Vqvae, images: list[Pixels]) -> None:
    """Print bits and perplexity of all stages over images."""
    priors = [prior for level in codec.levels for prior in level.priors]
    counts = [np.zeros(len(prior.codebook)) for prior in priors]
    bits, plain, pixels = np.zeros(len(priors)), np.zeros(len(priors)), 0
    for image in images:
        parts, _ = vqvae.encode_stages(codec, colour.forward(image), codec.stages)
        bits += [8 * len(part) for part in parts]
        pixels += image.shape[0] * image.shape[1]
        for i, codes in enumerate(noted(codec, image)):
            counts[i] += np.bincount(codes.ravel(), minlength=len(counts[i]))
            plain[i] += codes.size * np.log2(len(counts[i]))
    for i, count in enumerate(counts):
        share = count / count.sum()
        perplexity = np.exp(-(share[share > 0] * np.log(share[share > 0])).sum())
        saved = 100 * (1 - bits[i] / plain[i])
        print(
            f"stage {i}: {bits[i] / pixels:.4f} bits a pixel, log2 K {plain[i] / pixels:.4f}, "
            f"saved {saved:.1f}%, perplexity {perplexity:.0f} of {len(count)}"
        )
    print(f"all: {bits.sum() / pixels:.4f}, saved {100 * (1 - bits.sum() / plain.sum()):.1f}%")


def main() -> None:
    """Make what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["levels", "beside", "rates"])
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("-m", "--model", default=models.LOSSY)
    parser.add_argument("-o", "--output", type=Path, default=Path("lossy.webp"))
    parser.add_argument("--quality", type=int, default=40)
    parser.add_argument("--side", type=int, default=320)
    options = parser.parse_args()
    model = models.by_name(options.model)
    codec = model.codec
    if not isinstance(codec, Vqvae):
        raise SystemExit(f"model {model.name} is not lossy")
    images = [read(path) for path in options.images]
    if options.what == "rates":
        rates(codec, images)
        return
    rows = []
    for path, pixels in zip(options.images, images, strict=True):
        fine, bits = painted(model, pixels, options.quality)
        if options.what == "levels":
            other, fewer = painted(model, pixels, 100 // codec.stages)
        else:
            other, fewer = jpeg(pixels, bits)
        for name, one, rate in (("other", other, fewer), ("model", fine, bits)):
            print(
                f"{path.name} {name}: {rate:.3f} bits a pixel, MS-SSIM {ms_ssim(pixels, one):.4f}"
            )
        rows.append(np.hstack([middle(one, options.side) for one in (pixels, other, fine)]))
    Image.fromarray(np.vstack(rows)).save(options.output, quality=85, method=6)


if __name__ == "__main__":
    main()
