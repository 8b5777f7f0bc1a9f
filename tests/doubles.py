"""Codecs in place of real ones, small models, and folders of small images."""

from __future__ import annotations

import io
import os
import signal

import numpy as np
from conftest import make_flagship, picture
from PIL import Image

from idfzip.bench import run
from idfzip.bench.codecs import Codec
from idfzip.bench.sample import LAYOUTS, PALETTE
from idfzip.container import model_file

PLAIN = frozenset(LAYOUTS.values())
ALL = PLAIN | {f"{layout} 16-bit" for layout in PLAIN} | {PALETTE}


def keep(one):
    out = io.BytesIO()
    np.save(out, one.pixels)
    return out.getvalue()


def give(data, layout):
    return np.load(io.BytesIO(data))


def flip(data, layout):
    pixels = give(data, layout)
    pixels[-1, 0, 0] ^= 1
    return pixels


def fail(one):
    raise ValueError("no\nluck")


def stop(one):
    if one.name.endswith("2.png") and one.count > 256:  # corners for warming up are smaller
        os.kill(os.getpid(), signal.SIGINT)
    return keep(one)


def double(name="double", encode=keep, decode=give, kinds=ALL):
    return Codec(name, "a double", frozenset(kinds), encode, decode)


def shelf(folder):
    """Put small models of the names of the released ones into a folder."""
    folder.mkdir()
    for channels, name in ((3, "photo"), (1, "grey")):
        (folder / f"{name}.idfm").write_bytes(model_file.dump(make_flagship(channels), name))
    return folder


def images(folder, count=3, channels=3, height=24, width=20):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        pixels = picture("smooth", height, width, channels, i)
        Image.fromarray(pixels.squeeze()).save(folder / f"{i}.png")
    return folder


def compare(paths, codecs, repeat=1, tile=0):
    """Return a comparison that was run."""
    found = run.survey(paths, tile)
    result = run.plan(found, codecs)
    run.run(result, found, repeat, with_memory=False)
    return result
