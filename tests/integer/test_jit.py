from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PARROTS = Path(__file__).parent.parent / "data" / "parrots.png"

SCRIPT = """
import sys
from numba.core.dispatcher import Dispatcher
from PIL import Image
from idfzip.cli.main import main

def run(*arguments):
    main([*arguments, "-q", "-f"], standalone_mode=False)

Image.open(sys.argv[1]).crop((0, 0, 96, 96)).save("a.bmp")
for option in ("--effort=5", "--progressive", "--lossy", "--lossy-first"):
    run("compress", "a.bmp", "-o", "a.idfz", option)
    run("preview", "a.idfz", "-o", "b.png", "--fraction", "0.9")
    run("decompress", "a.idfz", "-o", "b.png")
found = [
    f"{module.__name__}.{name}"
    for module in list(sys.modules.values())
    if module and module.__name__.startswith("idfzip")
    for name, value in vars(module).items()
    if isinstance(value, Dispatcher) and value.__module__ == module.__name__
    if value.targetoptions.get("inline") == "always" and value.signatures
]
sys.exit(f"compiled in each process anew: {found}" if found else 0)
"""


def test_commands_compile_nothing_that_is_not_cached(tmp_path):
    """What is inlined into kernels has no cache of its own, and Python must not call it."""
    command = [sys.executable, "-c", SCRIPT, str(PARROTS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
