"""``timetracer list``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind

from tests.cli.conftest import MS, START, Command, Recording, run
from timetracer_otel import spans
from timetracer_otel.cassette import bundle, storage

TEXT = st.text(max_size=40)
LANES = st.lists(
    st.fixed_dictionaries(
        {
            "method": st.sampled_from(["GET", "POST", "PROPFIND"]) | st.text(min_size=1, max_size=8),
            "target": st.text(min_size=1, max_size=60),
            "status": st.integers(100, 999),
            "duration": st.integers(0, 10**12),
            "calls": st.integers(0, 3),
            "request": st.binary(max_size=50),
            "headers": st.lists(st.tuples(TEXT, TEXT), max_size=3),
        }
    ),
    max_size=8,
)


def encodable(text: str) -> str:
    """What UTF-8 can hold of a text: OTLP holds no lone surrogates."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def listed(folder: Path) -> list[dict[str, Any]]:
    """What ``list --json`` prints."""
    done = run("list", folder, "--json")
    assert done.returncode == 0, done.stderr
    parsed = json.loads(done.stdout)
    assert isinstance(parsed, list)
    return parsed


@pytest.mark.system
@settings(max_examples=15, deadline=None)
@given(lanes=LANES)
def test_json_tells_of_any_lane_what_was_recorded(lanes: list[dict[str, Any]]) -> None:
    """``list --json`` parses, and has each lane's fields, whatever the lanes hold; newest first."""
    with tempfile.TemporaryDirectory() as name:
        for number, lane in enumerate(lanes, start=1):
            fields = {**lane}
            calls = fields.pop("calls")
            recording = Recording(number)
            entry = recording.entry(**fields)
            for _ in range(calls):
                recording.call(entry, {"ping": 1, "$db": "admin"}, {"ok": 1.0})
            recording.write(Path(name, f"{number}.jsonl"))
        rows = list(reversed(listed(Path(name))))
    assert len(rows) == len(lanes)
    for number, (row, lane) in enumerate(zip(rows, lanes, strict=True), start=1):
        assert row["trace_id"] == f"{number:032x}"
        assert row["file"].endswith(f"{number}.jsonl")
        assert [row["method"], row["target"]] == [encodable(lane["method"]), encodable(lane["target"])]
        assert [row["status"], row["calls"], row["duration_ms"]] == [
            lane["status"],
            lane["calls"],
            lane["duration"] / 1e6,
        ]
        assert datetime.fromisoformat(row["start"]) == datetime.fromtimestamp(START // 10**9 + number, UTC)
        assert row["error"] is None or lane["status"] >= 500


def test_table_has_a_line_for_each_lane(tmp_path: Path, timetracer: Command) -> None:
    """Piped, the table is plain lines with whole file names."""
    recording = Recording()
    recording.call(recording.entry(status=201), {"find": "users", "$db": "shop"}, {"ok": 1.0})
    file = recording.write(tmp_path / "2026-11-18" / "11" / f"GET__{'long' * 40}.jsonl")
    done = timetracer("list", tmp_path)
    header, line = done.stdout.splitlines()
    assert header.split() == ["START", "(UTC)", "METHOD", "TARGET", "STATUS", "DURATION", "CALLS", "ERROR", "FILE"]
    assert line.split() == ["2026-11-18", "11:06:41.000", "GET", "/users?id=1", "201", "10.0", "ms", "1", str(file)]
    assert "\x1b" not in done.stdout


def test_errors_of_lanes_are_told(tmp_path: Path) -> None:
    """An exception that left the app is the lane's error; a handled status of 404 is none; a bare 503 is one."""
    failed = {spans.ERROR: json.dumps({"type": "builtins.KeyError", "args": ["name"]}), spans.INCOMPLETE: "response"}
    for number, (status, extra) in enumerate([(500, failed), (404, {}), (503, {})], start=1):
        recording = Recording(number)
        recording.entry(status=status, extra=extra)
        recording.write(tmp_path / f"{number}.jsonl")
    rows = {row["status"]: row for row in listed(tmp_path)}
    assert [rows[500]["error"], rows[404]["error"], rows[503]["error"]] == [
        "builtins.KeyError: name",
        None,
        "status 503",
    ]
    assert [rows[500]["incomplete"], rows[404]["incomplete"]] == ["response", None]


def test_sessions_are_listed(tmp_path: Path) -> None:
    """A session is an object of kind session: its program, exit status and calls."""
    session = Recording(3, of_session=True)
    session.call(session.number, {"find": "config", "$db": "shop"}, {"ok": 1.0})
    session.span("session etl", SpanKind.INTERNAL, {spans.SESSION_EXIT_STATUS: 3}, duration=1500 * MS)
    session.write(storage.session_path(tmp_path, START, "etl", session.id))
    (row,) = listed(tmp_path)
    assert [row["kind"], row["target"], row["method"]] == ["session", "etl", None]
    assert [row["status"], row["calls"], row["duration_ms"], row["error"]] == [3, 1, 1500.0, "exit status 3"]


def test_session_of_a_killed_process_has_its_program(tmp_path: Path) -> None:
    """Without the session's last span the file's name tells the program."""
    session = Recording(3, of_session=True)
    session.call(session.number, {"ping": 1, "$db": "shop"}, {"ok": 1.0})
    session.write(storage.session_path(tmp_path, START, "etl", session.id))
    assert [(row["target"], row["status"]) for row in listed(tmp_path)] == [("etl", None)]


def test_a_lane_in_several_files_is_one_row(tmp_path: Path) -> None:
    """A bundle beside its files, or a lane's later spans in a second file, make no second row and no call twice."""
    whole = Recording(1)
    whole.call(whole.entry(), {"find": "users", "$db": "shop"}, {"ok": 1.0})
    file = whole.write(tmp_path / "a.jsonl")
    later = Recording(1)
    later.call(1001, {"ping": 1, "$db": "shop"}, {"ok": 1.0})
    later.call(1001, {"find": "orders", "$db": "shop"}, {"ok": 1.0})
    later.call(1001, {"find": "carts", "$db": "shop"}, {"ok": 1.0})
    later.spans = later.spans[2:]
    later.write(tmp_path / "0.jsonl")
    bundle.bundle([file], tmp_path / "bundle.jsonl.gz")
    (row,) = listed(tmp_path)
    assert [row["file"], row["calls"], row["method"]] == [str(file), 2, "GET"]


def test_traces_of_other_tools_are_listed(tmp_path: Path) -> None:
    """A trace without our attributes has its method, path and status by the semantic conventions."""
    recording = Recording(1, session=None)
    attributes = {"http.request.method": "PUT", "url.path": "/a", "url.query": "b=c", "http.response.status_code": 204}
    recording.span("PUT", SpanKind.SERVER, attributes)
    recording.write(tmp_path / "collector.jsonl")
    (row,) = listed(tmp_path)
    assert [row["method"], row["target"], row["status"]] == ["PUT", "/a?b=c", 204]


def test_damaged_file_hides_no_other(tmp_path: Path, timetracer: Command) -> None:
    """Good files are listed, each damaged one is named in a line on stderr, the exit status is 2."""
    recording = Recording()
    recording.entry()
    recording.write(tmp_path / "b.jsonl")
    (tmp_path / "a.jsonl").write_bytes(recording.line()[:200])
    (tmp_path / "c.jsonl").write_bytes(b"\n")
    for option in ([], ["--json"]):
        done = timetracer("list", tmp_path, *option)
        assert done.returncode == 2
        assert "b.jsonl" in done.stdout
        first, second = done.stderr.splitlines()
        assert f"{tmp_path / 'a.jsonl'}, line 1: " in first
        assert f"{tmp_path / 'c.jsonl'}: " in second
    assert len(json.loads(done.stdout)) == 1


def test_empty_directory_is_no_error(tmp_path: Path, timetracer: Command) -> None:
    """An empty directory gives a friendly line, and an empty array as JSON."""
    done = timetracer("list", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing has been recorded here yet" in done.stdout
    assert listed(tmp_path) == []


def test_missing_directory_is_an_error(tmp_path: Path, timetracer: Command) -> None:
    """A directory that is not there is named in one line, exit status 2."""
    done = timetracer("list", tmp_path / "none")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert str(tmp_path / "none") in done.stderr


def test_directory_comes_from_the_settings(tmp_path: Path, timetracer: Command) -> None:
    """Without an argument it is TIMETRACER_DIR; ``latest.jsonl`` in it makes no row of its own."""
    recording = Recording()
    recording.entry()
    storage.point_latest(tmp_path, recording.write(tmp_path / "2026-11-18" / "11" / "a.jsonl"))
    done = timetracer("list", "--json", TIMETRACER_DIR=str(tmp_path))
    assert [row["file"] for row in json.loads(done.stdout)] == [str(tmp_path / "2026-11-18" / "11" / "a.jsonl")]


@pytest.mark.parametrize(
    "hostile", ["\x1b[2J\x1b]0;x\x07", "[bold]x[/]", "[/]", "\x9b31m", "\u202egnp", ":smile:", "a\nb\tc\r"]
)
def test_hostile_targets_are_shown_literally(tmp_path: Path, timetracer: Command, hostile: str) -> None:
    """Control characters are escaped, markup stays text: a target drives neither terminal nor table."""
    recording = Recording()
    recording.entry(target=f"/{hostile}/end", method="G\x1bT")
    recording.write(tmp_path / "a.jsonl")
    done = timetracer("list", tmp_path, FORCE_COLOR="1", COLUMNS="400")
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in hostile)
    assert done.returncode == 0, done.stderr
    assert f"/{shown}/end" in done.stdout
    assert "G\\x1bT" in done.stdout
    assert len(done.stdout.splitlines()) == 2
    assert listed(tmp_path)[0]["target"] == f"/{hostile}/end"


def test_a_list_in_a_pipe_waits_for_no_colours(tmp_path: Path) -> None:
    """What takes as long to import as ten thousand rows to print is left alone."""
    recording = Recording()
    recording.entry()
    recording.write(tmp_path / "lane.jsonl")
    program = (
        "import atexit, sys; from timetracer_otel.cli.main import run\n"
        "slow = {'rich.console', 'rich.cells', 'rich.text'}\n"
        "atexit.register(lambda: print(sorted(slow & set(sys.modules)), file=sys.stderr))\n"
        "run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "list", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "[]\n", 2)
