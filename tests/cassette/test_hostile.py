"""Files that somebody made to harm: every command says what is wrong in one line, or shows the text that they are."""

from __future__ import annotations

import gzip
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TIMETRACER = [sys.executable, "-m", "timetracer_otel.cli"]
REPLAY = [sys.executable, "-c", "from timetracer_otel.replay.launcher import run; run()"]
_MEMORY = 1024 * 1024 * 1024
"""Of address space: libraries are mapped too. What is refused here took four times as much."""


def recorded(call: dict[str, str] | None = None, entry: dict[str, str] | None = None) -> bytes:
    """A line with a request and one call of it, with these attributes."""

    def span(number: int, kind: int, **attributes: str) -> dict[str, Any]:
        listed = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
        ids = {"traceId": "1" * 32, "spanId": f"{number:016x}", "parentSpanId": f"{number - 1:016x}"}
        return {**ids, "name": "x", "kind": kind, "attributes": listed}

    request = {"http.request.method": "GET", "timetracer.http.target": "/", **(entry or {})}
    spans = [span(1, 2, **request), *([span(2, 3, **call)] if call is not None else [])]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode() + b"\n"


HTTP = {
    "timetracer.plugin": "httpx",
    "url.full": "http://peer/",
    "http.request.method": "GET",
    "timetracer.http.request.headers": "[]",
}
MONGO = {
    "timetracer.plugin": "pymongo",
    "timetracer.request": "MQAAAAEAAAAAAAAA3QcAAAAAAAAAHAAAAAJmaW5kAAIAAAB5AAIkZGIAAgAAAHgAAA==",
    "timetracer.request.codec": "base64",
}
DEEP = "[" * 100_000

FILES: dict[str, Callable[[], bytes]] = {
    "a missed call's key is no JSON": lambda: recorded({"timetracer.replay.key": "{"}),
    "a missed call's key is a number": lambda: recorded({"timetracer.replay.key": "7"}),
    "what was asked is nested too deeply": lambda: recorded({**HTTP, "timetracer.replay.asked": DEEP}),
    "an HTTP error is a list": lambda: recorded({**HTTP, "timetracer.error": "[1]"}),
    "an HTTP error is nested too deeply": lambda: recorded({**HTTP, "timetracer.error": DEEP}),
    "a Mongo error is no JSON": lambda: recorded({**MONGO, "timetracer.error": "no"}),
    "a Mongo error is nested too deeply": lambda: recorded({**MONGO, "timetracer.error": DEEP}),
    "a status has very many digits": lambda: recorded({**HTTP, "timetracer.http.response.status": "7" * 9_000}),
    "a length has very many digits": lambda: recorded(
        None, {"timetracer.http.response.headers": json.dumps([["Content-Length", "9" * 9_000]])}
    ),
    "a time of timetracer 1.x is a text": lambda: json.dumps(
        {
            "schema_version": "1.0",
            "session": {"id": "1", "recorded_at": "2026-11-21T14:26:17+00:00", "timetracer_version": "1.4.0"},
            "request": {"method": "GET", "path": "/"},
            "response": {"status": 200, "duration_ms": "9" * 5_000},
            "events": [],
        }
    ).encode(),
    "spans without number": lambda: gzip.compress(
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[%b{}]}]}]}'
        % (b'{"traceId":"%b","spanId":"%b"},' % (b"1" * 32, b"2" * 16) * 700_000)
    ),
    "attributes without number": lambda: gzip.compress(
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[%b{}]}]}]}]}' % (b'{"key":"a"},' * 3_000_000)
    ),
}
COMMANDS = {
    "list": [*TIMETRACER, "list", "FILE"],
    "show": [*TIMETRACER, "show", "FILE"],
    "diff": [*TIMETRACER, "diff", "FILE", "FILE"],
    "import": [*TIMETRACER, "import", "FILE", "--to", "imported"],
    "bundle": [*TIMETRACER, "bundle", "FILE", "-o", "bundle.jsonl"],
    "replay": [*REPLAY, "FILE", "--", "true"],
}


def _little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


@pytest.mark.system
@pytest.mark.parametrize("command", COMMANDS)
def test_a_named_pipe_or_a_device_is_refused(command: str, tmp_path: Path) -> None:
    """Nobody may ever write to it: no command waits."""
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        words = [str(path) if word == "FILE" else word for word in COMMANDS[command]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2, done.stderr
        assert "is a pipe or a device, not a file" in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.system  # minutes: each case starts every command
@pytest.mark.parametrize("kind", FILES)
def test_every_command_bears_it(kind: str, tmp_path: Path) -> None:
    """No traceback, no more than one line of complaint, status 0 or 2, and little memory."""
    file = tmp_path / "hostile.jsonl"
    file.write_bytes(FILES[kind]())
    for name, command in COMMANDS.items():
        done = subprocess.run(
            [str(file) if word == "FILE" else word for word in command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            preexec_fn=_little_memory,
        )
        assert done.returncode in (0, 2), (name, done.stderr)
        assert "Traceback" not in done.stderr, name
        assert done.returncode == 0 or len(done.stderr.splitlines()) == 1, (name, done.stderr)
        if "without number" in kind:
            assert (done.returncode, "more than" in done.stderr) == (2, True), (name, done.stderr)
