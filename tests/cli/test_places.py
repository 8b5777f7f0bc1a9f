"""Where results go: nothing is overwritten that was not meant, and nothing is left behind."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import make_flagship
from test_commands import folder, run, save  # noqa: F401

from idfzip import home
from idfzip.cli import files, pack, sources
from idfzip.container import idfz, model_file
from idfzip.container import models as registry
from idfzip.errors import IdfzipError, OutputExists
from idfzip.training import recipe as recipes

posix = pytest.mark.skipif(os.name != "posix", reason="devices, pipes and links of Unix")


def no_link(*_):
    """As `os.link` on a file system without hard links."""
    raise PermissionError


@pytest.fixture
def place(folder):  # noqa: F811
    for name in ("a.png", "b.png"):
        save(folder / name)
    run("compress", "a.png")
    run("compress", "a.png", "b.png", "-o", "set.idfz")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        "compress b.png -o b.png -f --rm",
        "compress b.png -o b.png",
        "compress set.idfz b.png -o set.idfz -f --rm",
        "decompress a.png.idfz -o a.png.idfz -f --rm",
        "decompress set.idfz --member a.png -o set.idfz -f",
        "preview a.png.idfz -o a.png.idfz -f",
        "bench b.png --csv b.png -f",
        "compress b.png -o link.png -f --rm",
    ],
)
def test_an_input_is_never_the_output(place, arguments):
    os.symlink("b.png", "link.png")
    before = {file: file.read_bytes() for file in place.iterdir()}
    told = run(*arguments.split(), code=1)
    assert "the output is an input as well" in told.stderr
    assert {file: file.read_bytes() for file in place.iterdir()} == before


@posix
def test_a_pipe_is_written_to_and_stays_one(place):
    os.mkfifo("pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append(Path("pipe").read_bytes()))
    reader.start()
    run("compress", "b.png", "-o", "pipe")
    reader.join(20)
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    run("decompress", "-", "-o", "c.png", data=got[0])
    assert {file.name for file in place.iterdir() if file.name.startswith(".")} == set()


@posix
@pytest.mark.parametrize(
    "arguments", ["test pipe", "info pipe", "decompress pipe -o c.png", "preview pipe -o c.png"]
)
def test_a_pipe_is_read(place, arguments):
    os.mkfifo("pipe")
    data = Path("a.png.idfz").read_bytes()
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(data))
    writer.start()
    run(*arguments.split())
    writer.join(20)


@posix
def test_a_link_to_nothing_is_not_replaced(place, monkeypatch):
    """Nor where the move that would see it is not to be had."""
    monkeypatch.setattr(os, "link", no_link)
    os.symlink("nowhere", "c.idfz")
    assert "exists already" in run("compress", "b.png", "-o", "c.idfz", code=1).stderr
    assert os.readlink("c.idfz") == "nowhere"


def test_what_comes_into_being_meanwhile_is_not_replaced(place, monkeypatch):
    def write():
        with files.created(Path("new"), force=False) as file:
            file.write(b"ours")
            Path("new").write_bytes(b"theirs")

    monkeypatch.setattr(files, "check_free", lambda *_: None)
    with pytest.raises(OutputExists):
        write()
    assert Path("new").read_bytes() == b"theirs"
    assert not list(place.glob(".*"))


def test_a_file_system_without_hard_links(place, monkeypatch):
    monkeypatch.setattr(os, "link", no_link)
    run("compress", "b.png")
    run("test", "b.png.idfz")


@posix
def test_a_folder_that_may_not_be_read_is_written_to(place, monkeypatch):
    real = os.open

    def opened(path, flags, *more, **how):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *more, **how)

    monkeypatch.setattr(os, "open", opened)
    run("compress", "b.png")


def test_a_long_name(place):
    name = 80 * "漢" + ".png"
    os.rename("b.png", name)
    run("compress", name)
    run("test", f"{name}.idfz")


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(place, monkeypatch, number):
    before = signal.signal(number, signal.SIG_DFL)  # under nohup a signal is ignored, as it should
    monkeypatch.setattr(os, "fsync", lambda _: os.kill(os.getpid(), number))
    run("compress", "b.png", code=128 + number)
    assert {file.name for file in place.iterdir()} == {"a.png", "b.png", "a.png.idfz", "set.idfz"}
    assert signal.signal(number, before) == signal.SIG_DFL


@posix
def test_a_signal_that_is_ignored_stays_so(place, monkeypatch):
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(os, "fsync", lambda _: os.kill(os.getpid(), signal.SIGHUP))
    run("compress", "b.png")
    assert signal.signal(signal.SIGHUP, before) == signal.SIG_IGN


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("compress . b.png", 1, "a directory"),
        ("compress -c b.png -o c.idfz", 2, "-o does not go with -c"),
        ("decompress -c a.png.idfz -o c.png", 2, "-o does not go with -c"),
        ("compress - --output-dir out", 2, "- has no name"),
        ("decompress - --output-dir out", 1, "name the output with -o"),
        ("decompress a.png.idfz --format ppm --rm", 2, "no --salvage, --member, --region, --form"),
        ("preview a.png.idfz --fraction nan", 2, "not a number"),
        ("train . -o m.idfm --minutes nan", 2, "not a number"),
        ("train . -o m.idfm --seed -5", 2, "seed"),
        ("train . -o no/m.idfm", 1, "idfzip: no/m.idfm: cannot be written"),
        ("bench b.png --json no/b.json", 1, "idfzip: no/b.json: cannot be written"),
    ],
)
def test_slips_are_one_line(place, arguments, code, message):
    data = Path("a.png.idfz").read_bytes() if arguments.startswith("decompress -") else b""
    assert message in run(*arguments.split(), code=code, data=data).stderr
    assert Path("b.png.idfz").exists() == (arguments == "compress . b.png")
    assert Path("a.png.idfz").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_file_that_may_not_be_read_stops_no_other(place):
    os.chmod("a.png", 0)
    assert "Permission denied" in run("compress", "-f", "a.png", "b.png", code=1).stderr
    assert Path("b.png.idfz").exists()


@posix
def test_a_name_cannot_steer_the_terminal(place):
    os.rename("a.png", "a\n\x1b[31m.png")
    told = run("compress", "a\n\x1b[31m.png", "missing\n.png", code=1).stderr
    assert told.startswith("a\\x0a\\x1b[31m.png: ")
    assert told.splitlines()[1] == "idfzip: missing\\x0a.png: No such file or directory"
    (line,) = run("info", "a\n\x1b[31m.png.idfz").stdout.splitlines()
    assert line.startswith("a\\x0a\\x1b[31m.png.idfz: lossless PNG")


def test_a_place_that_is_not_there_is_named(place):
    told = run("compress", "a.png", "b.png", "-o", "no/set.idfz", code=1).stderr
    assert told == "idfzip: no/set.idfz: cannot be written (No such file or directory)\n"


def test_closed_pipes_are_said(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(IdfzipError, match="standard output is closed"):
        files.check_free(files.STANDARD, False)
    with pytest.raises(IdfzipError, match="standard input is closed"):
        files.read(files.STANDARD)


@posix
def test_nobody_reads_on(place):
    """As `idfzip info .. | true`: nothing is said."""
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, "-m", "idfzip", "info", "a.png.idfz"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command, stdout=theirs, stderr=subprocess.PIPE, env=environment, check=False
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["info", "a.png.idfz"], ["compress", "-c", "b.png"]]
)
@pytest.mark.parametrize("buffered", [True, False])
def test_what_is_printed_does_not_fit(place, arguments, buffered):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment["PYTHONUNBUFFERED"] = "" if buffered else "1"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "idfzip", *arguments],
            stdout=full, stderr=subprocess.PIPE, env=environment, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(b"idfzip: ")
    assert b"No space left on device" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_users_model_does_not_stand_for_the_packages(place, monkeypatch):
    shelf, mine = registry.folders()[-1], place.parent / "mine"
    mine.mkdir()
    for channels, name in ((3, "photo"), (1, "grey")):
        data = model_file.dump(make_flagship(channels, seed=9), name)
        (mine / f"{name}.idfm").write_bytes(data)
    monkeypatch.setattr(registry, "folders", lambda: [mine, shelf])
    run("compress", "b.png")
    (row,) = json.loads(run("info", "--json", "b.png.idfz").stdout)
    usual = registry.open_file(shelf / "photo.idfm").short.hex()
    assert [model["hash"] for model in row["models"]] == [usual]
    told = run("compress", "-f", "-m", "photo", "b.png").stderr
    assert "keep its file" in told
    (row,) = json.loads(run("info", "--json", "b.png.idfz").stdout)
    assert [model["hash"] for model in row["models"]] != [usual]


def test_a_source_that_changes_meanwhile_is_kept(place, monkeypatch):
    """What was packed is what was read; what came after it is nowhere else."""
    write = files.write

    def slowly(*arguments, **others):
        write(*arguments, **others)
        save(place / "b.png", content="noise")

    monkeypatch.setattr(files, "write", slowly)
    told = run("compress", "--rm", "b.png", code=1).stderr
    assert "b.png: it was changed meanwhile, so it is kept" in told
    assert (place / "b.png").is_file()
    assert (place / "b.png.idfz").is_file()


def test_a_packed_file_that_changes_meanwhile_is_kept(place, monkeypatch):
    (place / "a.png").unlink()
    stamp = sources.stamp

    def other(path):
        found = stamp(path)
        os.utime(path, ns=(0, found.changed + 5))
        return found

    monkeypatch.setattr(sources, "stamp", other)
    told = run("decompress", "--rm", "a.png.idfz", "set.idfz", code=1).stderr
    assert told.count("it was changed meanwhile, so it is kept") == 2
    assert (place / "set.idfz").is_file()
    assert (place / "a.png.idfz").is_file()


def test_sources_of_an_archive_that_change_meanwhile_are_kept(place, monkeypatch):
    stamp = sources.stamp
    for place_of in (pack, sources):
        monkeypatch.setattr(place_of, "stamp", lambda path: replace(stamp(path), size=next(sizes)))
    sizes = iter([1, 2, 1, 3])
    told = run("compress", "--rm", "-f", "a.png", "b.png", "-o", "set.idfz", code=1).stderr
    assert "b.png: it was changed meanwhile" in told
    assert not (place / "a.png").exists()
    assert (place / "b.png").is_file()


@posix
@pytest.mark.parametrize(("mode", "while_written"), [(0o640, 0o600), (None, 0o666 & ~0o027)])
def test_nobody_reads_what_is_being_written(place, monkeypatch, mode, while_written):
    before = os.umask(0o027)
    try:
        with files.created(place / "new", False, files.Look(mode)) as out:
            (part,) = place.glob(".new.*.tmp")
            assert stat.S_IMODE(part.stat().st_mode) == while_written
            out.write(b"it")
    finally:
        os.umask(before)
    assert stat.S_IMODE((place / "new").stat().st_mode) == (mode or while_written)


def test_folders_mirrored_have_the_times_of_before_the_removal(place):
    below = place / "set" / "below"
    below.mkdir(parents=True)
    for name in ("c.png", "d.png"):
        save(below / name)
    os.utime(below, (1e9, 1e9))
    run("compress", "--rm", "-r", "set", "--output-dir", "out")
    assert list(below.iterdir()) == []
    assert (place / "out" / "below").stat().st_mtime == 1e9


def test_a_user_without_a_home_has_the_packages_models(place, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.undo()
    monkeypatch.chdir(place)
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "IDFZIP_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert len(registry.folders()) == 1
    assert registry.by_name("photo").name == "photo"
    told = run("models", "add", registry.folders()[-1] / "photo.idfm", code=1).stderr
    assert "no home to install a model in" in told
    assert home.folder("XDG_CACHE_HOME", ".cache") is None


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        ("compress", "--rm", "b.png", "-o", "/dev/null"),
        ("compress", "--rm", "-r", ".", "-o", "/dev/null"),
        ("decompress", "--rm", "a.png.idfz", "-o", "/dev/null"),
        ("decompress", "--rm", "a.png.idfz", "-o", "-"),
    ],
)
def test_nothing_is_removed_for_what_is_on_no_disk(place, arguments):
    before = sorted(place.iterdir())
    assert "--rm needs files in and out" in run(*arguments, code=2).output
    assert sorted(place.iterdir()) == before


@posix
def test_a_pipe_is_not_removed(place):
    os.mkfifo("pipe")
    data = Path("b.png").read_bytes()  # or a test that fails would wait for it
    threading.Thread(target=Path("pipe").write_bytes, args=(data,), daemon=True).start()
    told = run("compress", "--rm", "pipe", "-o", "x.idfz", code=1).stderr
    assert "pipe: no regular file, which --rm would remove" in told
    assert Path("pipe").exists()


def test_no_other_input_is_written_to(place):
    """Also not one that comes later, or the model."""
    (place / "a.png").rename("a.png.idfz.png")
    run("compress", "a.png.idfz.png")
    Path("a.png.idfz").write_bytes(Path("b.png").read_bytes())  # its name lies
    before = {path: path.read_bytes() for path in place.iterdir()}
    model = registry.by_name("photo")
    Path("my.idfm").write_bytes(model_file.dump(model.codec, "my"))
    for arguments in (
        ("decompress", "-f", "a.png.idfz.png.idfz", "set.idfz", "a.png.idfz.png"),
        ("compress", "-f", "b.png", "a.png.idfz.png", "a.png.idfz", "-o", "set.idfz", "set.idfz"),
        ("compress", "-f", "-m", "my.idfm", "b.png", "-o", "my.idfm"),
        ("decompress", "-f", "-m", "my.idfm", "a.png.idfz.png.idfz", "-o", "my.idfm"),
        ("preview", "-f", "-m", "my.idfm", "a.png.idfz.png.idfz", "-o", "my.idfm"),
    ):
        assert "the output is an input as well" in run(*arguments, code=1).stderr
    for path, data in before.items():
        assert path.read_bytes() == data
    assert Path("my.idfm").stat().st_size > 1000


def test_members_of_two_archives_do_not_go_to_one_place(place):
    for name in ("a", "b"):
        run("compress", f"{name}.png", "-r", "-o", f"{name}.idfz")
        Path(f"{name}.png").rename("x.png")
        run("compress", "x.png", "-r", "-o", f"{name}x.idfz")
        Path("x.png").unlink()
    told = run("decompress", "-f", "--rm", "ax.idfz", "bx.idfz", "--output-dir", "o", code=1).stderr
    assert "bx.idfz: x.png: o/x.png is the output of another input" in told
    assert not Path("ax.idfz").exists()
    assert Path("bx.idfz").is_file()


def test_members_whose_names_become_one_do_not_go_to_one_place(place):
    Path("in").mkdir()
    for name in ("a.png", "a.tif", "x.1", "x.2", "noext", "v1.5"):
        save(Path("in", name), format="TIFF" if name.endswith("tif") else "PNG")
    run("compress", "-r", "in", "-o", "s.idfz")
    told = run("decompress", "-f", "s.idfz", "--format", "png", "--output-dir", "o", code=1).stderr
    assert "s.idfz: a.tif: o/a.png is the output of another input" in told
    assert "5 of 6 members written" in told
    found = sorted(path.name for path in Path("o").iterdir())
    assert found == ["a.png", "noext.png", "v1.5.png", "x.1.png", "x.2.png"]


@posix
def test_members_whose_names_differ_in_case_are_two(place):
    Path("in").mkdir()
    for name in ("A", "a"):
        save(Path("in", name), format="PNG")
    run("compress", "-r", "in", "-o", "s.idfz")
    for force in ([], ["-f"]):
        told = run("decompress", *force, "s.idfz", "--output-dir", "o").stderr
        assert "2 of 2 members written" in told


def test_members_that_are_one_file_there_are_told(place, monkeypatch):
    """As on systems that ignore case: there the first is found at the name of the second."""
    Path("in").mkdir()
    Path("o").mkdir()
    for name in ("A", "a"):
        save(Path("in", name), format="PNG")
    run("compress", "-r", "in", "-o", "s.idfz")
    one = sources.number
    monkeypatch.setattr(sources, "number", lambda path: one(path.with_name(path.name.upper())))
    told = run("decompress", "-f", "s.idfz", "--output-dir", "o", code=1).stderr
    assert "it is the output of another input" in told
    assert "1 of 2 members written" in told


@posix
def test_an_archive_goes_into_a_pipe(place):
    os.mkfifo("pipe.idfz")
    read = []
    pipe = Path("pipe.idfz")
    reading = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reading.start()
    run("compress", "a.png", "b.png", "-o", pipe)
    reading.join()
    assert read == [Path("set.idfz").read_bytes()]


def test_a_path_that_cannot_be_looked_at_stops_no_other(place, monkeypatch):
    long = "x" * 300 + ".png"
    told = run("compress", long, "b.png", code=1).stderr
    assert "File name too long" in told
    assert Path("b.png.idfz").is_file()
    Path("b.png.idfz").unlink()
    Path("in").mkdir()
    for name in ("c.png", "d.png"):
        save(Path("in", name))
    stat_of = Path.stat

    def refused(self, **options):
        if self.name == "c.png":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return stat_of(self, **options)

    monkeypatch.setattr(Path, "stat", refused)
    told = run("compress", "-r", "in", "b.png", code=1).stderr
    assert "c.png: Permission denied" in told
    assert Path("in", "d.png.idfz").is_file()
    assert Path("b.png.idfz").is_file()


@posix
def test_talk_that_nobody_can_read_is_no_error(place):
    for command in ("compress b.png", "test b.png.idfz", "decompress -f b.png.idfz -o c.png"):
        line = shlex.join([sys.executable, "-m", "idfzip", *command.split()])
        assert subprocess.run(f"{line} 2>&-", shell=True, check=False).returncode == 0
    assert Path("c.png").is_file()


@posix
def test_a_name_that_no_terminal_shows_is_told_in_digits(place):
    name = os.fsdecode(b"\xff.idfz")
    Path("a.png.idfz").rename(name)
    env = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    line = [sys.executable, "-m", "idfzip", "info", name]
    done = subprocess.run(line, env=env, capture_output=True, text=True, check=True)
    assert "\\udcff.idfz: lossless PNG" in done.stdout


def test_a_file_of_the_working_folder_does_not_stand_for_a_model(place):
    Path("photo").write_text("no model")
    run("compress", "-m", "photo", "b.png")
    assert "photo: " in run("compress", "-f", "-m", "./photo", "b.png", code=1).stderr


@posix
def test_permissions_that_nobody_has_do_not_widen(place):
    Path("in").mkdir()
    save(Path("in", "c.png"))
    Path("in", "c.png").chmod(0)
    if not os.access("in/c.png", os.R_OK):
        pytest.skip("only root reads it")
    run("compress", "-r", "in", "-o", "s.idfz")
    run("decompress", "s.idfz", "--output-dir", "o")
    assert stat.S_IMODE(Path("o", "c.png").stat().st_mode) == 0o400


def test_limits_hold_in_blocks_and_in_what_is_stored(place):
    told = run("test", "--max-pixels", "1999", "set.idfz", code=1).stderr
    assert told.count("the limit is 1999 (--max-pixels)") == 2
    run("test", "--max-pixels", "2000", "set.idfz")
    Path("noise.idfz").write_bytes(idfz.store(Path("a.png").read_bytes(), "PNG"))
    for more in (["--region", "0,0,1,1"], ["--format", "tiff"]):
        line = ["decompress", "noise.idfz", *more, "-o", "x.tif", "-f"]
        assert "over 1999 pixels" in run(*line, "--max-pixels", "1999", code=1).stderr
        run(*line, "--max-pixels", "2000")


@pytest.mark.parametrize(
    "arguments",
    [
        ("decompress", "a.png.idfz", "--region", "0,0," + "9" * 5000 + ",1"),
        ("sample", "--size", "9" * 5000 + "x3"),
        ("train", ".", "-o", "x.idfm", "--seed", "9" * 23),
        ("bench", ".", "--json", "x", "--csv", "x"),
    ],
)
def test_numbers_beyond_all_bounds_are_wrong_usage(place, arguments):
    assert "Error: " in run(*arguments, code=2).output


def test_training_and_comparing_write_over_no_image(place):
    told = run("train", ".", "-o", "a.png", "-f", "--name", "x", code=1).stderr
    assert "the output is an input as well" in told
    told = run("bench", ".", "-f", "--codec", "png", "--csv", "a.png", code=1).stderr
    assert "the output is an input as well" in told


def test_members_of_two_archives_go_to_one_pipe(place):
    for name in ("a", "b"):
        run("compress", "-r", f"{name}.png", "-o", f"{name}.idfz")
    arguments = ("decompress", "-c", "a.idfz", "b.idfz", "--member", "a.png", "--member", "a.png")
    told = run(*arguments, code=1)
    assert told.stdout_bytes.startswith(b"\x89PNG")
    assert "b.idfz: there is no member a.png" in told.stderr
    Path("b.png").rename("a.png")
    run("compress", "-f", "-r", "a.png", "-o", "b.idfz")
    told = run("decompress", "-c", "a.idfz", "b.idfz", "--member", "a.png")
    assert told.stdout_bytes.count(b"\x89PNG") == 2


def test_a_folder_is_no_output(place):
    Path("out").mkdir()
    assert "out: a directory" in run("compress", "--rm", "b.png", "-o", "out", code=1).stderr


def test_a_training_may_go_on_in_its_folder(place):
    pytest.importorskip("torch")
    Path("in").mkdir()
    for i in range(3):
        save(Path("in", f"{i}.png"))
    Path("r.toml").write_text(
        Path(recipes.__file__).with_name("recipes").joinpath("tiny.toml").read_text()
    )
    line = ("train", "in", "-o", "in/m.idfm", "--recipe", "r.toml", "-T", 1, "--steps")
    run(*line, 1)
    run(*line, 2, "--resume")
    run(*line, 1, "-f")
    for output in ("r.toml", "a.png"):
        told = run(*line[:2], "-o", output, *line[4:], 1, "-f", "--val", ".", "--name", "x", code=1)
        assert "the output is an input as well" in told.stderr
