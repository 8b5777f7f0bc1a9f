"""Count what fused kernels are made of: `python scripts/kernel_counts.py [-m MODEL]`.

No GPU is needed: kernels are compiled for compute capability 9.0. Of each is told how often it is
launched in a step of decoding, for what is learned at the end of a period, in a step of encoding,
and for all streams of a batch; its instructions, in all and in the largest loop, its registers and
what it spills. Kernels that several launches share are compiled for each kind of them; the largest
is told.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import click
import numpy as np
import torch

from idfzip.codecs.flagship import Flagship
from idfzip.codecs.lattice import Lattice
from idfzip.coding import turns
from idfzip.container import models
from idfzip.device import fused, levels, steps, waves
from idfzip.device import model as numbers
from idfzip.device.machine import Machine
from idfzip.device.schedule import Group, Run, side_by_side
from idfzip.flows.alphabet import BYTES, Alphabet
from idfzip.integer.learning import PERIOD

Size = tuple[int, int]
WHENS = "step", "period", "encoding", "batch"
TYPES = {
    torch.int16: "*i16",
    torch.int32: "*i32",
    torch.int64: "*i64",
    torch.float16: "*fp16",
    torch.float32: "*fp32",
    torch.float64: "*fp64",
}


class Launch(NamedTuple):
    """A kernel, and what it was launched with."""

    kernel: fused.Kernel
    grid: tuple[int, ...]
    args: tuple[Any, ...]
    fixed: dict[str, Any]

    @property
    def name(self) -> str:
        """Module and name."""
        made = self.kernel.fn
        return f"{made.__module__.rpartition('.')[2]}.{made.__name__}"


class Step(NamedTuple):
    """What a step and the end of a period do, and what moves a decoder on to a step.

    `ready` lets the next step be the first of a period, `due` a period be over and learned from.
    """

    advance: Callable[[], None]
    learn: Callable[[], None]
    end: Callable[[], None]
    forward: Callable[[int], None]
    ready: Callable[[], None]
    due: Callable[[], None]


def batch(
    machine: Machine, codec: Flagship, sizes: list[Size], one: Alphabet
) -> tuple[numbers.Model, list[Run]]:
    """Return a model, of black pictures where it looks at some, and the run of tiles."""
    pictures = [np.zeros((codec.channels, *size), np.int32) for size in sizes]
    model = numbers.model(machine, codec, one, pictures if codec.looks else ())
    return model, side_by_side([Group((size,)) for size in sizes])


def encoding(
    machine: Machine, codec: Any, sizes: list[Size], one: Alphabet
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return the step of an encoder of tiles of these sizes, and what pushes a run's symbols."""
    if isinstance(codec, Lattice):
        tiles = [np.zeros((codec.channels, *size), np.int32) for size in sizes]
        first = np.zeros((len(sizes), codec.channels), np.int32)
        coder = levels.Encoder(machine, codec, tiles, first)
        return whole(coder._pieces.step(coder._note)), nothing
    model, runs = batch(machine, codec, sizes, one)
    made = waves.Encoder(model, codec.learning, runs, len(sizes))

    def push() -> None:
        made._noted.append((runs[0], made._costs))
        made.pushed([1] * len(sizes))

    return whole(made._wave.step(made._note)), push


def whole(step: steps.Step) -> Callable[[], None]:
    """Return what does a step from its beginning."""

    def advance() -> None:
        step.find()
        step.code()

    return advance


def nothing() -> None:
    """Do nothing."""


def step(
    machine: Machine,
    codec: Any,
    host: turns.Turns,
    sizes: list[Size],
    one: Alphabet = BYTES,
    cut: bool = False,
) -> Step:
    """Return the step of a decoder of tiles of these sizes, of progressive ones also if `cut`."""
    if isinstance(codec, Lattice):
        first = np.zeros((len(sizes), codec.channels), np.int32)
        decoder = levels.Decoder(machine, codec, host, sizes, first, cut)
        pieces = decoder._pieces
        pieces._begin()
        advance, follower = whole(pieces.step(decoder._take)), pieces.follower
        closings = pieces._closings
    else:
        model, runs = batch(machine, codec, sizes, one)
        made = waves.Decoder(model, codec.learning, runs, host)
        made._wave._begin()
        made._wave._sizes.copy_(machine.tensor(runs[0].sizes))
        advance, follower = whole(made._wave.step(made._take)), made._wave.follower
        closings = runs[0].closings

    def forward(t: int) -> None:
        advance()
        if codec.learning.rate and closings[:, t].any():
            follower.end()
            follower.learn()

    def ready() -> None:
        follower.pending.zero_()

    def due() -> None:
        for one in (follower.pending, follower.over):
            one.fill_(PERIOD)
        follower._learner.turn.fill_(codec.learning.every)

    learns = codec.learning.rate > 0
    learn, end = (follower.learn, follower.end) if learns else (nothing, nothing)
    return Step(advance, learn, end, forward, ready, due)


@contextmanager
def recorded(launch: Callable[..., None] | None = None) -> Iterator[list[Launch]]:
    """Note what is launched meanwhile, and launch it, if `launch` does."""
    found: list[Launch] = []
    before = fused.launch

    def note(kernel: fused.Kernel, grid: tuple[int, ...], *args: Any, **fixed: Any) -> None:
        found.append(Launch(kernel, grid, args, fixed))
        if launch is not None:
            launch(kernel, grid, *args, **fixed)

    fused.launch = note
    try:
        yield found
    finally:
        fused.launch = before


class Made(NamedTuple):
    """What the compiler makes of a kernel: instructions, in all and in a loop, and what it takes.

    `inexact`: what it has that may round otherwise.
    """

    instructions: int
    loop: int
    registers: int
    spilled: int
    inexact: list[str]


class Compiler:
    """Compiles kernels for compute capability 9.0, each once for the types that it takes."""

    def __init__(self) -> None:
        self._made: dict[str, Made] = {}

    def compiled(self, one: Launch) -> Made:
        """Return what the compiler makes of a kernel as it was launched."""
        names = [p.name for p in one.kernel.params]
        fixed = {name: value for name, value in one.fixed.items() if name != "warps"}
        types, facts = {}, {}
        for i, (name, value) in enumerate(zip(names, one.args, strict=False)):
            types[name] = _type(value)
            if type(value) is int and value == 1:
                fixed[name] = 1
            elif isinstance(value, torch.Tensor) or (type(value) is int and value % 16 == 0):
                facts[(i,)] = [["tt.divisibility", 16]]
        types = {name: "constexpr" if name in fixed else types[name] for name in names}
        warps = one.fixed.get("warps", fused.WARPS)
        key = f"{one.name} {types} {fixed} {facts} {warps}"
        if key not in self._made:
            self._made[key] = _compiled(one.kernel, types, fixed, facts, warps)
        return self._made[key]

    def counted(
        self, codec: Any, states: int = 1, one: Alphabet = BYTES, cut: bool = False
    ) -> dict[str, dict[str, Any]]:
        """Return for each kernel its launches, by what they are for, and the largest that is made.

        For a step of decoding, the end of a period that is learned from, a step of encoding, and
        the streams of a batch.
        """
        none = np.zeros(0, np.int32)
        host = turns.decoder([turns.push_all(none, none, states)] * 2)
        machine, sizes = Machine(torch.device("cpu"), fused=True), [(24, 36)] * 2
        rows: dict[str, dict[str, Any]] = {}
        with torch.inference_mode():
            made = step(machine, codec, host, sizes, one, cut)
            encode, push = encoding(machine, codec, sizes, one)
            works = {
                "step": (made.advance,), "period": (made.learn, made.end), "encoding": (encode,),
                "batch": (push,),
            }  # fmt: skip
            for when, mine in works.items():
                with recorded() as launches:
                    for work in mine:
                        work()
                for name, count in Counter(launch.name for launch in launches).items():
                    rows.setdefault(name, dict.fromkeys(works, 0))[when] = count
                for launch in launches:
                    found, row = self.compiled(launch), rows[launch.name]
                    if found.instructions > row.get("instructions", 0):
                        row |= {
                            **found._asdict(),
                            "inexact": row.get("inexact", []) + found.inexact,
                        }
        return rows


def _compiled(
    kernel: fused.Kernel,
    types: dict[str, str],
    fixed: dict[str, Any],
    facts: dict[tuple[int], Any],
    warps: int,
) -> Made:
    """Compile a kernel of which arguments are `fixed`; `facts` are of those by their places."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    how = {"num_warps": warps, "enable_fp_fusion": False}
    made = triton.compile(ASTSource(kernel, types, fixed, facts), GPUTarget("cuda", 90, 32), how)
    tool = triton.knobs.nvidia.cuobjdump.path
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        listing, usage = (
            subprocess.check_output([tool, what, file.name], text=True)
            for what in ("-sass", "-res-usage")
        )
    lines = re.findall(r"/\*([0-9a-f]{4,})\*/\s+(.*?);", listing)
    places = [int(place, 16) for place, _ in lines]
    loops = [0]
    for at, (_, text) in zip(places, lines, strict=True):
        target = re.search(r"BRA.*?(0x[0-9a-f]+)", text)
        if target and int(target[1], 16) < at:
            loops.append(sum(int(target[1], 16) <= place <= at for place in places))
    (registers,), (spilled,) = (re.findall(rf"{word}:(\d+)", usage) for word in ("REG", "STACK"))
    rounding = ("fma.rn", "div.full", "sqrt.approx", "rcp.approx")
    inexact = [one for one in rounding if one in made.asm["ptx"]]
    return Made(len(lines), max(loops), int(registers), int(spilled), inexact)


def _type(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return TYPES[value.dtype]
    return "fp32" if isinstance(value, float) else "i32"


@click.command()
@click.option("-m", "--model", "name", default="photo", show_default=True)
@click.option("--states", default=turns.MOST, show_default=True, help="Of each stream.")
def main(name: str, states: int) -> None:
    """Print what the compiler makes of the kernels, without a GPU."""
    codec = models.by_name(name).codec
    rows = Compiler().counted(codec, states if isinstance(codec, Flagship) else 1)
    click.echo("kernel: launches; instructions, of a loop; registers; bytes spilled")
    total: Counter[str] = Counter()
    for key, row in rows.items():
        launches = {when: row[when] for when in WHENS if row[when]}
        total += Counter(launches)
        click.echo(
            f"{key}: {' '.join(f'{n} a {when}' for when, n in launches.items())}; "
            f"{row['instructions']}, {row['loop']}; {row['registers']}; {row['spilled']}"
        )
    click.echo(f"launches: {dict(total)}")


if __name__ == "__main__":
    main()
