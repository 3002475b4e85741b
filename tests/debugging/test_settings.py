"""What a user may say about a debugger, and what is told to the program."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import REPLAY
from timetracer_otel import ConfigError, spans
from timetracer_otel.cassette.model import Kind, Span
from timetracer_otel.debugging import settings
from timetracer_otel.debugging.calls import call_named
from timetracer_otel.debugging.launch_json import launch_json
from timetracer_otel.debugging.proxy import Proxy
from timetracer_otel.debugging.settings import Settings, parse
from timetracer_otel.replay.debugged import _door


@pytest.mark.parametrize(
    ("text", "means"), [("pdb", ("pdb", 5678)), ("dap", ("dap", 5678)), ("dap:9000", ("dap", 9000))]
)
def test_a_debugger_is_named(text: str, means: tuple[str, int]) -> None:
    """By its kind, and for editors by a port."""
    assert parse(text) == means


@pytest.mark.parametrize("text", ["", "gdb", "dap:", "dap:x", "dap:70000", "pdb:1"])
def test_anything_else_is_refused(text: str) -> None:
    """With what there is."""
    with pytest.raises(ConfigError, match=r"give pdb, dap, or dap:PORT"):
        parse(text)


def test_a_missing_debugger_comes_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that brings it, and what goes without."""
    nothing: Callable[[str], None] = lambda _name: None  # noqa: E731 - typed
    monkeypatch.setattr(settings, "find_spec", nothing)
    with pytest.raises(ConfigError, match=r"pip install 'timetracer-otel\[debug\]'"):
        parse("dap")
    assert parse("pdb")[0] == "pdb"


def test_a_process_is_told_by_one_variable() -> None:
    """Which it reads as it was written; without it nothing is debugged."""
    told = Settings("dap", "a" * 32, "b" * 16, "/nowhere/door")
    assert Settings.of({settings.VARIABLE: told.as_text()}) == told
    assert Settings.of({}) is None


def test_an_editor_gets_what_it_needs() -> None:
    """The printed file attaches to the port of the launcher."""
    (attach,) = json.loads(launch_json(9000))["configurations"]
    assert (attach["type"], attach["request"], attach["connect"]) == (
        "debugpy",
        "attach",
        {"host": "127.0.0.1", "port": 9000},
    )


def call(number: int, name: str, **attributes: object) -> Span:
    """A recorded call."""
    said = {key.replace("_", "."): value for key, value in attributes.items()}
    return Span("a" * 32, f"{number:016x}", None, name, Kind.CLIENT, 0, 1, {spans.LANE_ID: "a" * 32, **said}, {})


CALLS = [
    call(1, "find", db_system="mongodb", db_operation="find"),
    call(2, "find orders", db_system="mongodb", db_operation="find"),
    call(3, "GET", url_full="http://prices.internal/pen"),
]


@pytest.mark.parametrize(
    ("text", "number"),
    [(f"{2:016x}", 2), ("find", 1), ("find orders", 2), ("mongodb ORDERS", 2), ("prices.internal", 3)],
)
def test_a_call_is_named(text: str, number: int) -> None:
    """By its id, its name, or words of its address, in that order; the first that fits."""
    assert call_named(text, CALLS) is CALLS[number - 1]


def test_a_call_that_is_not_there_is_told_with_those_that_are() -> None:
    """So that the next command can name one."""
    with pytest.raises(ConfigError, match=r"no such call; it has(.|\n)*find orders(.|\n)*prices\.internal"):
        call_named("delete", CALLS)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--break-at", "find"], "--break-at goes with --debug"),
        (["--debug", "pdb", "--verify"], "--debug goes without --verify"),
        (["--debug", "gdb"], "give pdb, dap"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, options: list[str], reason: str) -> None:
    """In one line, with status 2, before anything is read or started."""
    command = [*REPLAY, str(tmp_path), *options, "--", "true"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("depth", [1, 30])
def test_the_door_has_an_address_that_a_socket_can_have(tmp_path: Path, depth: int) -> None:
    """Also where the folder for temporary files has a long name."""
    folder = tmp_path.joinpath(*["folder"] * depth)
    folder.mkdir(parents=True)
    with _door(folder) as path, socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        assert path.exists()


def test_a_port_that_is_taken_is_told() -> None:
    """With its number, and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            tempfile.TemporaryDirectory() as folder,
            pytest.raises(ConfigError, match=f"dap:{port}: nothing can listen there"),
            Proxy(port, Path(folder) / "door", "", lambda: None),
        ):
            pass
