"""Make a grey model of a progressive colour model: what that does with grey images, exactly.

On a grey image the planes R - G and B - G are zero, and so is all that the networks see of them,
but for three constants. They go into the biases of the first layers; the other heads are left out.

Usage: python scripts/restrict.py progressive.idfm progressive-grey.idfm
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from idfzip.codecs.lattice import Lattice
from idfzip.container import model_file
from idfzip.flows import lattice
from idfzip.integer.dense import Layer
from idfzip.integer.network import Network

SILENT = (0, -32, -32, -96)
"""The inputs of a plane of zeros beside its neighbours and errors, in the order of `gather`."""


def restricted(model: Lattice) -> Lattice:
    """Return the model of one channel."""
    nets = tuple(_network(model, network) for network in model.networks)
    return Lattice(model.design, nets, model.prior, model.learning)


def _network(model: Lattice, network: Network) -> Network:
    design = model.design
    each = design.neighbours.shape[1] + design.places.shape[1] + lattice.EXTRAS
    first = network.trunk[0]
    quiet = np.zeros(each, np.int64)
    quiet[-lattice.EXTRAS :] = SILENT
    rest = first.weight[each:-1].astype(np.int64)
    bias = first.bias + np.tile(quiet, model.channels - 1) @ rest
    kept = np.concatenate([first.weight[:each], first.weight[-1:]])
    trunk = (Layer(kept, bias.astype(np.int32)), *network.trunk[1:])
    return Network(trunk, network.heads[:1], network.outs[:1])


def main(source: Path, target: Path) -> None:
    """Write the model file."""
    found = model_file.load(source.read_bytes(), str(source))
    if not isinstance(found.codec, Lattice) or found.codec.channels != 3:
        sys.exit(f"{source}: a progressive model of three channels expected")
    card = f"Model {found.name} ({found.identity}) on grey images.\n{found.card}"
    target.write_bytes(model_file.dump(restricted(found.codec), target.stem, card))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
