"""`.idfm` files: a model as safetensors, with the metadata that decoding needs.

The identity of a model is the SHA-256 of its canonical bytes: every tensor, sorted by name, as
name, dtype, shape and little-endian data, then the decoding metadata as sorted compact JSON. The
card, the name and all about training lie outside, so that they can be mended.

A model from anywhere is data, not code, and is checked before use: sizes, types, the range and
order of every table, and what its architecture asks for.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from string import ascii_letters, digits

import numpy as np
import safetensors
import safetensors.numpy

from idfzip.codecs.flagship import Flagship
from idfzip.container import architecture
from idfzip.container.architecture import Architecture, Codec
from idfzip.container.tensors import Tensors
from idfzip.errors import ModelError

MAX_BYTES = 256 << 20
VERSION = 0
MAX_NAME = 64
_LETTERS = frozenset(ascii_letters + digits + "-_.")


@dataclass(frozen=True)
class Model:
    """A model with its name, identity (64 hexadecimal digits), card and self-test."""

    name: str
    identity: str
    codec: Codec
    card: str
    test: Tensors

    @property
    def short(self) -> bytes:
        """The first eight bytes of the identity, which files carry."""
        return bytes.fromhex(self.identity[:16])

    @property
    def tests(self) -> tuple[Tensors, ...]:
        """The self-tests of what it codes with: its own."""
        return (self.test,)

    @property
    def architecture(self) -> Architecture:
        """How it codes."""
        return architecture.of(self.codec)

    @property
    def flagship(self) -> Flagship:
        """The codec, where it is the flagship; raises ModelError for another."""
        if not isinstance(self.codec, Flagship):
            raise ModelError(
                f"model {self.name} is of architecture {self.architecture.name}: "
                "one of architecture flagship is needed here"
            )
        return self.codec

    def passes_self_test(self) -> bool:
        """Return whether this machine gives the stored sums for the stored extreme inputs."""
        found = self.architecture.measured_sums(self.codec, self.test)
        return bool(np.array_equal(found, self.test["test.sums"]))


def identity(tensors: Tensors, decoding: str) -> str:
    """Return the SHA-256 of the canonical bytes, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        shape = "x".join(map(str, array.shape))
        digest.update(f"{name}\0{array.dtype.name}\0{shape}\0".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    digest.update(decoding.encode())
    return digest.hexdigest()


def _decoding(codec: Codec) -> str:
    kind = architecture.of(codec)
    facts = {"architecture": kind.name, "version": VERSION, **kind.facts(codec)}
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def check_name(name: str) -> str:
    """Return the name; raises ModelError where no model may be called so."""
    if not 0 < len(name) <= MAX_NAME or set(name) - _LETTERS:
        told = ascii(name[:MAX_NAME])
        raise ModelError(f"name {told}: 1 to {MAX_NAME} letters, digits and -_. expected")
    return name


def name_of(path: Path) -> str:
    """Return the name of a model after its file, `-` for what no name may have; checked."""
    return check_name("".join(c if c in _LETTERS else "-" for c in path.stem)[:MAX_NAME])


def dump(codec: Codec, name: str, card: str = "") -> bytes:
    """Return the bytes of an `.idfm` file; raises ModelError where the name may not be."""
    check_name(name)
    kind = architecture.of(codec)
    tensors = kind.to_tensors(codec)
    tensors["test.inputs"], tensors["test.sums"] = kind.self_test(codec)
    metadata = {"decoding": _decoding(codec), "name": name, "card": card}
    arrays = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
    return bytes(safetensors.numpy.save(arrays, metadata))


def load(data: bytes, source: str) -> Model:
    """Return the model in the bytes of an `.idfm` file; `source` is for messages.

    Raises ModelError where anything is not as it should be.
    """
    if len(data) > MAX_BYTES:
        raise ModelError(f"{source}: {len(data)} bytes, a model has at most {MAX_BYTES}")
    try:
        (length,) = struct.unpack_from("<Q", data)
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        tensors = safetensors.numpy.load(data)
        decoding, name, card = metadata["decoding"], metadata["name"], metadata.get("card", "")
        facts = json.loads(decoding)
        kind = (facts["architecture"], facts["version"])
    except (ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
        raise ModelError(f"{source}: not a model file ({type(error).__name__})") from None
    except safetensors.SafetensorError as error:
        raise ModelError(f"{source}: not a model file ({error})") from None
    known = architecture.named(kind[0])
    if known is None or kind[1] != VERSION:
        raise ModelError(f"{source}: architecture {kind[0]} {kind[1]} is not known to this release")
    try:
        check_name(name)
        codec = known.from_tensors(tensors, facts)
        missing = {"test.inputs", "test.sums"} - set(tensors)
        if missing:
            raise ModelError(f"tensor {min(missing)} is missing")
        test = {key: tensors[key] for key in ("test.inputs", "test.sums")}
        model = Model(name, identity(tensors, decoding), codec, card, test)
        passed = model.passes_self_test()
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from None
    if not passed:
        raise ModelError(f"{source}: the self-test does not give the stored sums on this machine")
    return model
