"""Render bilevel pages to train on: text, line art and masks, clean or as if scanned.

All is drawn from a seed with Pillow and the font that ships with it. A scanned page is drawn in
grey at three times the size, turned a little, blurred, made noisy and cut at a threshold.

Usage: `python scripts/render_pages.py FOLDER [--pages 24] [--seed 0]`
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_TEXT = """
the of and a to in is that it was for on are as with his they at be this from have or by one
had not but what all were when we there can an your which their said if do will each about
how up out them then she many some so these would other into has more her two like him see
time could no make than first been its who now people my made over did down only way find
use may water long little very after words called just where most know
"""
WORDS = tuple(_TEXT.split())
SIZE = (1240, 1000)
KINDS = ("text", "columns", "drawing", "mask", "table")


def text(
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    size: float,
    rng: np.random.Generator,
) -> None:
    """Fill a box with lines of words; some numbers and capitals among them."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = box
    y = float(top)
    while y < bottom - 1.3 * size:
        x = float(left)
        if rng.random() < 0.12:
            y += size
            x += 2 * size
        while True:
            word = str(rng.choice(WORDS))
            if rng.random() < 0.15:
                word = word.capitalize() if rng.random() < 0.6 else str(rng.integers(1, 3000))
            if rng.random() < 0.12:
                word += str(rng.choice([",", ".", ";", ":"]))
            width = draw.textlength(word + " ", font)
            if x + width > right:
                break
            draw.text((x, y), word, 0, font)
            x += width
        y += 1.35 * size


def drawing(draw: ImageDraw.ImageDraw, size: tuple[int, int], rng: np.random.Generator) -> None:
    """Draw lines, circles, boxes, hatchings and labels."""
    width, height = size
    font = ImageFont.load_default(height / 45)
    for _ in range(30):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        dx, dy = rng.integers(-width // 3, width // 3), rng.integers(-height // 3, height // 3)
        x2, y2 = x + int(dx), y + int(dy)
        stroke = int(rng.integers(1, max(3, height // 200)))
        corners = (min(x, x2), min(y, y2), max(x, x2), max(y, y2))
        match rng.integers(0, 6):
            case 0:
                draw.line((x, y, x2, y2), 0, stroke)
            case 1:
                draw.ellipse(corners, outline=0, width=stroke)
            case 2:
                draw.rectangle(corners, outline=0, width=stroke)
            case 3:
                start, end = sorted(rng.integers(0, 360, 2).tolist())
                draw.arc(corners, start, end, 0, stroke)
            case 4:
                for i in range(corners[0], corners[2], 4 * stroke + 5):
                    draw.line((i, corners[1], i - 40, corners[3]), 0, stroke)
            case _:
                draw.text((x, y), str(rng.choice(WORDS)), 0, font)


def mask(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Return smooth blobs."""
    noise = rng.random((size[1] // 40 + 2, size[0] // 40 + 2)) * 255
    small = Image.fromarray(noise.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    level = int(rng.integers(100, 180))
    return small.point(lambda v: 255 * (v < level))


def table(draw: ImageDraw.ImageDraw, size: tuple[int, int], rng: np.random.Generator) -> None:
    """Draw a ruled table of numbers."""
    width, height = size
    rows, columns = int(rng.integers(10, 40)), int(rng.integers(3, 10))
    font = ImageFont.load_default(height / rows / 2.2)
    for r in range(rows + 1):
        y = r * (height - 20) // rows + 10
        draw.line((10, y, width - 10, y), 0, max(1, height // 800))
        for c in range(columns):
            x = c * (width - 20) // columns + 10
            if r < rows and rng.random() < 0.8:
                draw.text((x + 8, y + 4), f"{rng.normal(0, 100):.2f}", 0, font)
    for c in range(columns + 1):
        x = c * (width - 20) // columns + 10
        draw.line((x, 10, x, height - 10), 0, max(1, height // 800))


def page(kind: str, scale: int, rng: np.random.Generator) -> Image.Image:
    """Return a grey page, black on white, `scale` times `SIZE`."""
    size = (SIZE[0] * scale, SIZE[1] * scale)
    if kind == "mask":
        return mask(size, rng)
    image = Image.new("L", size, 255)
    draw = ImageDraw.Draw(image)
    letters = scale * float(rng.integers(14, 44))
    if kind == "text":
        text(draw, (60 * scale, 60 * scale, size[0] - 60 * scale, size[1]), letters, rng)
    elif kind == "columns":
        middle = size[0] // 2
        text(draw, (30 * scale, 40 * scale, middle - 15 * scale, size[1]), letters * 0.7, rng)
        text(draw, (middle + 15 * scale, 40 * scale, size[0], size[1]), letters * 0.7, rng)
    elif kind == "drawing":
        drawing(draw, size, rng)
    else:
        table(draw, size, rng)
    return image


def scanned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a bilevel page of `SIZE` as a scanner would give it."""
    turned = image.rotate(float(rng.normal(0, 0.6)), Image.Resampling.BILINEAR, fillcolor=255)
    small = turned.resize(SIZE, Image.Resampling.BOX)
    soft = small.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.2))))
    noise = rng.normal(0, math.exp(rng.uniform(0.5, 3.2)), (SIZE[1], SIZE[0]))
    grey = np.asarray(soft).astype(np.float64) + noise
    return Image.fromarray(grey > rng.uniform(90, 170))


def pages(count: int, seed: int) -> list[tuple[str, Image.Image]]:
    """Return names and bilevel pages; all but every third look scanned."""
    found = []
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        kind = KINDS[i % len(KINDS)]
        if i % 3:
            found.append((f"{i:03d}-{kind}-scan", scanned(page(kind, 3, rng), rng)))
        else:
            clean = page(kind, 1, rng).point(lambda v: 255 * (v > 127)).convert("1")
            found.append((f"{i:03d}-{kind}", clean))
    return found


def main() -> None:
    """Write the pages as PNG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, image in pages(options.pages, options.seed):
        image.save(options.folder / f"{name}.png")


if __name__ == "__main__":
    main()
