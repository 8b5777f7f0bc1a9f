"""A kill at any moment leaves the old or the whole new file, and never takes the source with it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import make_flagship, picture
from PIL import Image
from test_commands import folder, pixels_of, run

from idfzip.container import model_file

__all__ = ["folder"]

ROOT = Path(__file__).parent.parent.parent
TIMES = 20

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

SERVER = """
import json, os, sys, time
from idfzip.cli import compress, decompress, main, pack, work
from idfzip.container import models
work.warm_up([models.by_name("photo")], True)
print("ready", flush=True)
for line in sys.stdin:
    seconds, arguments = json.loads(line)
    child = os.fork()
    if child == 0:
        main.main(arguments)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, 9)  # one that is over is still a zombie
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Server:
    """A process with everything loaded, whose children run the command."""

    def __init__(self, folder, shelf):
        environment = {**os.environ, "IDFZIP_MODELS": str(shelf), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=folder,
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, arguments, seconds=None):
        """Run the command, kill it after so many seconds; return how long it took."""
        start = time.perf_counter()
        self.process.stdin.write(json.dumps([seconds, list(map(str, arguments))]) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        assert status in (0, signal.SIGKILL)
        return time.perf_counter() - start


@pytest.fixture
def server(tmp_path, folder):
    shelf = tmp_path / "shelf"
    (shelf / "photo.idfm").write_bytes(model_file.dump(make_flagship(3), "photo"))
    made = Server(folder, shelf)
    yield made
    made.process.communicate()


@pytest.mark.parametrize("target", ["file", "archive"])
def test_a_killed_compress_leaves_the_old_or_the_whole_new_file(server, folder, target):
    source = folder / "set" / "a.png"
    source.parent.mkdir()
    pixels = picture("smooth", 60, 80, 3)
    Image.fromarray(pixels).save(source)
    before = source.read_bytes()
    out = folder / "out.idfz"
    arguments = ["compress", "-q", "-m", "photo", "-f", "--rm", "-o", out]
    arguments += ["-r", "set"] if target == "archive" else [source]
    seconds = server.run(arguments)
    whole = out.read_bytes()
    assert not source.exists()
    found = {"old": 0, "new": 0}
    moments = [seconds * (i + random.Random(i).random()) / TIMES for i in range(TIMES)]
    for i, moment in enumerate([*moments, 3 * seconds]):
        source.write_bytes(before)
        old = b"the old file %d" % i
        out.write_bytes(old)
        server.run(arguments, moment)
        data = out.read_bytes()
        if data == old:
            assert source.read_bytes() == before
            found["old"] += 1
            continue
        # An archive holds the time of its source, which this test made anew.
        assert data == whole or target == "archive"
        assert not source.exists() or source.read_bytes() == before
        run("test", out)
        found["new"] += 1
    assert min(found.values()) >= 1
    run("decompress", out, "-o", folder / "back.png", *(["--member", "a.png"] * (target != "file")))
    np.testing.assert_array_equal(pixels_of(folder / "back.png"), pixels)
    left = {path.name for path in folder.iterdir()} - {"set", "out.idfz", "back.png"}
    assert all(name.startswith(".out.idfz.") and name.endswith(".tmp") for name in left)


def test_a_killed_decompress_leaves_nothing_or_the_whole_image(server, folder):
    pixels = picture("smooth", 60, 80, 3)
    source, out = folder / "a.png", folder / "b.png"
    Image.fromarray(pixels).save(source)
    run("compress", source)
    arguments = ["decompress", "-q", "-T", "1", "a.png.idfz", "-o", out]
    seconds = server.run(arguments)
    for i in range(TIMES):
        out.unlink(missing_ok=True)
        server.run(arguments, seconds * i / TIMES)
        if out.exists():
            np.testing.assert_array_equal(pixels_of(out), pixels)
        assert (folder / "a.png.idfz").exists()
