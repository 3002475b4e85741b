"""One damaged file among others is named and left out, by every command; with --strict it stops them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TIMETRACER = [sys.executable, "-m", "timetracer_otel.cli"]
REPLAY = [sys.executable, "-c", "from timetracer_otel.replay.launcher import run; run()"]


def lane(number: int, **more: object) -> str:
    """A line with the one span of a request that was recorded; with more attributes, as OTLP has their values."""
    attributes = [
        {"key": "timetracer.lane.id", "value": {"stringValue": f"{number:032x}"}},
        {"key": "http.request.method", "value": {"stringValue": "GET"}},
        {"key": "timetracer.http.target", "value": {"stringValue": f"/{number}"}},
        *({"key": name, "value": value} for name, value in more.items()),
    ]
    span = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "GET", "kind": 2, "attributes": attributes}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}) + "\n"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A folder with two whole files, one that ends in the middle of its second line, and one without a span."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"{number}.jsonl").write_text(lane(number))
    (folder / "cut.jsonl").write_text(lane(3) + lane(4)[:90])
    (folder / "none.jsonl").write_text('{"resourceSpans": []}\n')
    return folder


def run(*command: str) -> tuple[int, str, list[str]]:
    """Give exit status, stdout and the lines of stderr."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout, done.stderr.splitlines()


def test_show_names_what_it_leaves_out(recorded: Path) -> None:
    """The whole files are shown, nothing of the damaged ones is, and the exit status says so."""
    status, shown, said = run(*TIMETRACER, "show", str(recorded))
    assert status == 2
    assert "/1" in shown
    assert "/2" in shown
    assert "/3" not in shown
    assert [("cut.jsonl" in line, "none.jsonl" in line) for line in said] == [(True, False), (False, True)]


def test_bundle_leaves_them_out(recorded: Path, tmp_path: Path) -> None:
    """Of the whole files every line is in the bundle."""
    output = tmp_path / "bundle.jsonl"
    status, said, errors = run(*TIMETRACER, "bundle", str(recorded), "-o", str(output))
    assert (status, len(errors)) == (2, 2)
    assert "2 files bundled" in said
    assert output.read_text() == lane(1) + lane(2)


def test_a_bundle_needs_its_folder(recorded: Path, tmp_path: Path) -> None:
    """A folder that is not there is a mistyped name: it is not made."""
    status, _, errors = run(*TIMETRACER, "bundle", str(recorded), "-o", str(tmp_path / "gone" / "b.jsonl"))
    assert (status, len(errors)) == (2, 1)
    assert "there is no folder" in errors[0]
    assert not (tmp_path / "gone").exists()


def test_diff_compares_the_others(recorded: Path) -> None:
    """Both sides leave theirs out."""
    status, said, errors = run(*TIMETRACER, "diff", str(recorded), str(recorded))
    assert (status, len(errors)) == (2, 4)
    assert "2 compared, 0 differ" in said


def test_a_program_is_replayed_from_the_others(recorded: Path) -> None:
    """What is left out is said before the program runs, whose exit status it is."""
    status, said, errors = run(*REPLAY, str(recorded), "--", sys.executable, "-c", "print('ran')")
    assert (status, said) == (0, "ran\n")
    assert [line for line in errors if "left out" in line and "cut.jsonl" in line]


@pytest.mark.parametrize(
    "command",
    [
        [*TIMETRACER, "show", "--strict"],
        [*TIMETRACER, "bundle", "--strict", "-o", "out.jsonl"],
        [*REPLAY, "--strict"],
    ],
    ids=["show", "bundle", "replay"],
)
def test_strict_stops(command: list[str], recorded: Path) -> None:
    """With --strict nothing is done."""
    program = ["--", sys.executable, "-c", "print('ran')"] if command[0:3] == REPLAY else []
    status, said, errors = run(*command, str(recorded), *program)
    assert (status, said, len(errors)) == (2, "", 1)


def test_nothing_whole_is_an_error(recorded: Path) -> None:
    """When no file can be read, it is as if there were one."""
    for name in ("1", "2"):
        (recorded / f"{name}.jsonl").unlink()
    status, said, errors = run(*REPLAY, str(recorded), "--", sys.executable, "-c", "print('ran')")
    assert (status, said, len(errors)) == (2, "", 1)


def test_headers_that_are_none_are_damage(recorded: Path, tmp_path: Path) -> None:
    """Their file is named and left out by a replay, and by an import, which takes what else it holds."""
    headers = {"timetracer.http.request.headers": {"intValue": "3"}}
    (recorded / "headers.jsonl").write_text(lane(5, **headers) + lane(6))
    status, said, errors = run(*REPLAY, str(recorded), "--", sys.executable, "-c", "print('ran')")
    assert (status, said) == (0, "ran\n")
    assert sum("headers.jsonl: timetracer.http.request.headers is damaged" in line for line in errors) == 1
    status, said, errors = run(*TIMETRACER, "import", str(recorded), "--to", str(tmp_path / "to"))
    assert (status, len(list((tmp_path / "to").rglob("GET__*")))) == (2, 4)
    assert sum("headers.jsonl: timetracer.http.request.headers is damaged" in line for line in errors) == 1
