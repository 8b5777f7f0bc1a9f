"""Discrete flows on characters, in small: bits per character on the standard library's sources.

As the character experiment of Tran et al. 2019 (arXiv:1905.10347, section 5): rows of 32
characters of Python's own modules, in files that are not trained on. Compared are a factorised
base alone, bipartite and autoregressive flows before it, and an autoregressive base. Every flow is
frozen, and some rows are coded and decoded again. Writes docs/discrete-text.json.

Usage: `python scripts/discrete_text.py [--steps 300]`
"""

from __future__ import annotations

import argparse
import json
import sysconfig
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from idfzip.codecs import discrete as codec
from idfzip.flows import modular
from idfzip.training import discrete
from idfzip.training.discrete import Shape, TwinFlow

DOCS = Path(__file__).parent.parent / "docs"
ROW = 32
TRAINING, TEST = 600_000, 60_000
CODED, COUNTED = 200, 8000
"""Rows that are coded and decoded, and those whose latents give the base."""

Layers = tuple[tuple[tuple[int, ...], int | None], ...]
_BEFORE = (-1, -2, -3, -4, -5, -6)
_ROUND = (-1, 1, -3, 3)
FLOWS: dict[str, tuple[Layers, str]] = {
    "factorised": ((), "shared"),
    "bipartite, 2 layers": (((_ROUND, 0), (_ROUND, 1)), "factorised"),
    "bipartite, 4 layers": (((_ROUND, 0), (_ROUND, 1)) * 2, "factorised"),
    "autoregressive, 1 layer": (((_BEFORE, None),), "shared"),
    "autoregressive base, no flow": ((), "autoregressive"),
    "autoregressive, 1 layer, autoregressive base": (((_BEFORE, None),), "autoregressive"),
}


def characters() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Return rows (n, 32) to train on and to test on, and the number of categories.

    Every ninth module is for testing. Rare characters share one category.
    """
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(folder.glob("*.py"))
    parts = [[f for i, f in enumerate(files) if (i % 9 == 4) == kind] for kind in (False, True)]
    texts = ["".join(f.read_text(encoding="utf-8", errors="replace") for f in p) for p in parts]
    texts = [texts[0][:TRAINING], texts[1][:TEST]]
    known, count = np.unique(list(texts[0]), return_counts=True)
    common = {c: i + 1 for i, c in enumerate(known[count >= 20].tolist())}
    coded = [np.array([common.get(c, 0) for c in text], np.int64) for text in texts]
    rows = [part[: len(part) // ROW * ROW].reshape(-1, ROW) for part in coded]
    return rows[0], rows[1], len(common) + 1


def main() -> None:
    """Train, measure, code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    training, test, alphabet = characters()
    print(f"{training.size} characters to train on, {test.size} to test, {alphabet} categories")
    results: dict[str, float] = {}
    for name, (layers, base) in FLOWS.items():
        shape = Shape(alphabet, ROW, layers, hidden=128, scales=False, base=base)
        torch.manual_seed(options.seed)
        flow = TwinFlow(shape)
        if layers:
            discrete.fit(flow, torch.as_tensor(training), options.steps, 32, 1e-2, options.seed)
        frozen = flow.freeze()
        fitted = discrete.counted_base(modular.forward(frozen, training[:COUNTED]), shape)
        model = codec.Discrete(frozen, fitted)
        results[name] = model.bits(test) / test.size
        stream = codec.encode(model, test[:CODED])
        if not np.array_equal(codec.decode(model, stream, CODED, ROW), test[:CODED]):
            raise RuntimeError("the text did not come back")
        part = 8 * len(stream) / (CODED * ROW)
        print(f"{name}: {results[name]:.3f} bits a character, {part:.3f} coded", flush=True)
    found = {"characters": int(training.size), "categories": alphabet, "bits": results}
    (DOCS / "discrete-text.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
