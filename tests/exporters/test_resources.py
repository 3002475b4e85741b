"""What lines say of the process that wrote them: a session's file all of it once, a lane's what it needs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from timetracer_otel import seams, testing
from timetracer_otel import spans as names
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.any_value import Json
from timetracer_otel.errors import CassetteError
from timetracer_otel.exporters.lanes.recorder import Recorder

COMMAND = "process.command_args"
LONG = ["python", "-m", "pytest", *(f"tests/test_{number}.py" for number in range(100))]


def call(name: str) -> None:
    """A call outside of any request."""
    trace.get_tracer("app").start_span(name, kind=SpanKind.CLIENT).end()


def resources(file: Path) -> list[Json]:
    """The resources of a file's lines, by name."""
    lines = [json.loads(line)["resourceSpans"][0]["resource"] for line in file.read_text().splitlines()]
    return [{one["key"]: one["value"] for one in resource["attributes"]} for resource in lines]


def session(directory: Path) -> Path:
    """The one session's file."""
    (file,) = directory.rglob("SESSION__*.jsonl")
    return file


def test_a_sessions_file_describes_the_process_once(tmp_path: Path) -> None:
    """The first line and the last one say all; those between say whose they are."""
    with testing.record(tmp_path):
        for number in range(3):
            call(f"call {number}")
    first, *others, last = resources(session(tmp_path))
    assert len(others) == 2
    assert COMMAND in first
    assert COMMAND in last
    for one in others:
        assert COMMAND not in one
        assert "timetracer.settings" not in one
        assert {"service.name", names.SCHEMA, names.SESSION_ID} <= set(one)


def test_what_changes_is_said_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is imported later has its version in the file."""
    monkeypatch.delitem(sys.modules, "uvicorn", raising=False)
    with testing.record(tmp_path):
        call("before")
        monkeypatch.setitem(sys.modules, "uvicorn", sys)
        call("after")
    before, after, _ = resources(session(tmp_path))
    assert "timetracer.library.uvicorn" not in before
    assert {"timetracer.library.uvicorn", COMMAND} <= set(after)


def test_a_description_that_was_not_written_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk loses a call, not what the rest of the file needs."""

    def full(*_: Any) -> None:
        raise CassetteError("full")

    with testing.record(tmp_path):
        recorder = seams.active()
        assert isinstance(recorder, Recorder)
        monkeypatch.setattr(recorder.session(), "_write", full)
        call("lost")
        monkeypatch.undo()
        call("kept")
    assert COMMAND in resources(session(tmp_path))[0]


def test_a_long_command_line_is_whole_in_the_session_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a test suite that names its files, thousands of lanes would repeat them all."""
    monkeypatch.setattr(sys, "orig_argv", LONG)
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "hello")
    with testing.record(tmp_path):
        app.test_client().get("/")
        call("outside")
    cassette = loading.load(sorted(tmp_path.rglob("*.jsonl")))
    (lane,), (own,) = cassette.lanes, cassette.sessions.values()
    assert own.resource[COMMAND] == LONG
    cut = lane.resource[COMMAND]
    assert isinstance(cut, list)
    assert cut[:3] == LONG[:3]
    assert cut[-1] == names.AND_SO_ON
    assert len(str(cut)) < 1000
