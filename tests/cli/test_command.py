"""The command line itself: errors, pipes, colours, bundles."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.cli.conftest import START, Command, Recording
from timetracer_otel.cassette import loading, storage

MODULE = [sys.executable, "-m", "timetracer_otel.cli"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A cassette with one lane."""
    recording = Recording()
    recording.call(recording.entry(), {"find": "users", "$db": "shop"}, {"ok": 1.0})
    return recording.write(tmp_path / "a.jsonl")


def on_terminal(*arguments: str | Path, columns: int = 100, **env: str) -> str:
    """What the command prints on a terminal of 24 lines."""
    main, side = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8", **env}
    with subprocess.Popen([*MODULE, *map(str, arguments)], stdout=side, stdin=side, env=environment) as process:
        os.close(side)
        printed = b""
        try:
            while chunk := os.read(main, 65536):
                printed += chunk
        except OSError:  # Linux's way to say that the other side is closed
            pass
        assert process.wait(60) == 0
    os.close(main)
    return printed.decode("utf-8")


def test_a_wide_terminal_gets_colours(tmp_path: Path) -> None:
    """Names bold, a status by its class, the file dim; the columns stand as they do without colours."""
    for number, (method, status) in enumerate((("GET", 200), ("POST", 404)), 1):
        recording = Recording(number)
        recording.entry(method, "/a", status)
        recording.write(tmp_path / f"{number}.jsonl")
    header, second, first = on_terminal("list", tmp_path, columns=200).splitlines()
    assert header.startswith("\x1b[1mSTART (UTC)            \x1b[0m  \x1b[1mMETHOD\x1b[0m")
    assert "  \x1b[1mGET   \x1b[0m  /a      \x1b[32m   200\x1b[0m  " in first
    assert "  \x1b[1mPOST  \x1b[0m  /a      \x1b[33m   404\x1b[0m  " in second
    assert first.endswith(f"\x1b[2m{tmp_path}/1.jsonl\x1b[0m")


def test_version(timetracer: Command) -> None:
    """``--version`` prints the installed version, behind any command too."""
    for arguments in (["--version"], ["show", "--version"]):
        assert timetracer(*arguments).stdout == f"timetracer-otel {metadata.version('timetracer-otel')}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["search"],
        ["list", "--bogus"],
        ["list", "a", "b"],
        ["bundle", "a.jsonl"],
        ["bundle", "-o", "b.jsonl"],
        [],
    ],
)
def test_wrong_usage_is_status_2(timetracer: Command, arguments: list[str]) -> None:
    """A wrong command line explains itself, with exit status 2 and no traceback."""
    done = timetracer(*arguments)
    assert done.returncode == 2
    assert "Usage" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "content", [b"", b"{}\n", b"\x1f\x8b\x08", b"\x00\x01", b'{"resourceSpans": 3}', b'{"\\u001b[2J": 1}', b"nonsense"]
)
def test_what_is_no_cassette_is_one_line(tmp_path: Path, timetracer: Command, content: bytes) -> None:
    """A damaged or foreign file is one line on stderr that names it, exit status 2; it cannot drive the terminal."""
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(content)
    for command in (["show", bad], ["bundle", bad, "-o", tmp_path / "out.jsonl"]):
        done = timetracer(*command)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
        assert done.stderr.startswith(f"timetracer: {bad}")
        assert done.stderr.rstrip("\n").isprintable()
    assert not (tmp_path / "out.jsonl").exists()


def test_wrong_setting_is_one_line(tmp_path: Path, timetracer: Command) -> None:
    """A setting that is none is named, exit status 2."""
    done = timetracer("list", TIMETRACER_COMPRESSION="rar", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "TIMETRACER_COMPRESSION" in done.stderr


@pytest.mark.parametrize("option", [[], ["--json"]])
@pytest.mark.parametrize("command", ["list", "show"])
def test_closed_pipe_is_silent(tmp_path: Path, command: str, option: list[str]) -> None:
    """``timetracer … | head -1`` prints that line and nothing on stderr; it went well, for ``set -o pipefail`` too."""
    for number in range(1, 200):
        recording = Recording(number)
        recording.entry(target="/" + "x" * 2000)
        recording.write(tmp_path / f"{number}.jsonl")
    process = subprocess.Popen(
        [*MODULE, command, str(tmp_path), *option], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 0


@pytest.mark.system
def test_colours_on_a_terminal_only(file: Path, timetracer: Command) -> None:
    """A terminal gets colours; a pipe, NO_COLOR and --json get none."""
    for command in ("list", "show"):
        assert "\x1b[" in on_terminal(command, file)
        assert "\x1b" not in on_terminal(command, file, NO_COLOR="1")
        assert "\x1b" not in on_terminal(command, file, "--json")
        assert "\x1b" not in timetracer(command, file).stdout


def test_narrow_terminal_keeps_file_names_whole(tmp_path: Path) -> None:
    """Where the table does not fit, each file stands on a line of its own, to be copied."""
    recording = Recording()
    recording.entry(target="/" + "x" * 300)
    file = recording.write(tmp_path / "2026-11-18" / "11" / f"GET__{'x' * 80}.jsonl")
    lines = on_terminal("list", tmp_path, columns=80, NO_COLOR="1").splitlines()
    assert lines[2].strip() == str(file)
    assert all(len(line) <= 80 for line in lines[:2])


@pytest.mark.parametrize("command", ["list", "stats"])
def test_sixty_columns_are_enough(tmp_path: Path, command: str) -> None:
    """Nothing is wrapped, and a route is never cut in two: only the path of a file may be longer."""
    recording = Recording()
    recording.entry(target="/products?page=3", duration=20 * 10**9)
    file = recording.write(tmp_path / "a.jsonl")
    lines = on_terminal(command, tmp_path, columns=60, NO_COLOR="1").splitlines()
    assert all(len(line) <= 60 for line in lines if str(file) not in line)
    assert any("GET" in line and "/products" in line for line in lines)
    assert any("20.00 s" in line for line in lines)


def test_ascii_output_fails_on_no_text(tmp_path: Path, timetracer: Command) -> None:
    """An output encoding without the recorded characters gets escapes instead of an exception."""
    recording = Recording()
    recording.entry(target="/größe/東京")
    file = recording.write(tmp_path / "a.jsonl")
    for command in ("list", "show"):
        done = timetracer(command, file, PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (0, "")
        assert "/gr\\xf6\\xdfe/\\u6771\\u4eac" in done.stdout


def test_bundle_holds_lane_and_session(tmp_path: Path, timetracer: Command) -> None:
    """``bundle`` makes one file with the lane and the session that it names, which loads by itself."""
    lane, session = Recording(1), Recording(2, of_session=True)
    lane.entry()
    session.call(session.number, {"ping": 1, "$db": "shop"}, {"ok": 1.0})
    file = lane.write(storage.lane_path(tmp_path, START, "GET", "/users", lane.id, "1" * 16, "none"))
    session.write(storage.session_path(tmp_path, START, "app", session.id))
    output = tmp_path / "elsewhere" / "bundle.jsonl.gz"
    output.parent.mkdir()
    done = timetracer("bundle", file, "-o", output)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 files bundled" in done.stdout
    cassette = loading.load([output])
    assert ([found.id for found in cassette.lanes], list(cassette.sessions)) == ([lane.id], [session.id])


def test_bundle_into_a_directory_is_an_error(file: Path, tmp_path: Path, timetracer: Command) -> None:
    """A directory as output is refused in words."""
    done = timetracer("bundle", file, "-o", tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "directory" in done.stderr
