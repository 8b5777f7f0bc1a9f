"""What the README promises can be typed as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_first_command_works_on_its_photograph(tmp_path):
    line = next(x for x in README.splitlines() if x.strip().startswith("pip install . &&"))
    for step in line.split("&&")[1:]:
        words = step.split()
        assert words[0] == "idfzip"
        words = [str(ROOT / w) if w.startswith("tests/") else w for w in words]
        subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, check=True)
    assert (tmp_path / "parrots.png").exists()


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_help_comes_at_once_and_without_heavy_modules():
    code = (
        "import sys; from click.testing import CliRunner; from idfzip.cli.main import main;"
        "r = CliRunner().invoke(main, ['--help']); assert r.exit_code == 0;"
        "assert not {'numpy', 'numba', 'PIL', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_compressing_imports_no_torch(tmp_path):
    code = (
        "import sys, numpy as np, idfzip;"
        "data = idfzip.compress(np.zeros((4, 5, 3), np.uint8), threads=1);"
        "idfzip.decompress(data); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
