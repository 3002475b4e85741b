"""Every command on every source: a request recorded through OTLP, kept by a backend, and answered again from there."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from examples.support import Program, free_port
from tests.cli.conftest import Command
from tests.support.backends import Answers, collecting, serving
from tests.support.commands import OTEL, REPLAY
from timetracer_otel.cassette import protobuf

APP = """
import os

from flask import Flask, jsonify
from pymongo import MongoClient

notes = MongoClient(os.environ["MONGODB_URI"], serverSelectionTimeoutMS=2000).sources.notes
app = Flask(__name__)


@app.get("/notes/<name>")
def note(name):
    notes.update_one({"_id": name}, {"$inc": {"read": 1}}, upsert=True)
    return jsonify(notes.find_one({"_id": name}))
"""
FLASK = [sys.executable, "-m", "flask", "--app", "app", "run"]
NOWHERE = "mongodb://127.0.0.1:9/"


def get(port: int, path: str) -> bytes:
    """Ask the app."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as response:
        body: bytes = response.read()
        return body


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the app is."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "app.py").write_text(APP)
    return folder


@pytest.fixture(scope="module")
def recorded(folder: Path, mongo_uri: str) -> list[bytes]:
    """What the app sent to its collector: the spans of two requests."""
    port = free_port()
    with collecting() as collector:
        env = {
            **os.environ,
            "MONGODB_URI": mongo_uri,
            "TIMETRACER_MODE": "record",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        }
        command = [*OTEL, "--traces_exporter", "otlp", *FLASK, "--port", str(port)]
        with Program(command, log=folder / "record.log", env=env, cwd=folder) as program:
            program.wait_for_port(port)
            assert get(port, "/notes/a") == b'{"_id":"a","read":1}\n'
            assert get(port, "/notes/b") == b'{"_id":"b","read":1}\n'
            program.send(signal.SIGINT)
            program.wait()
        return collector.received


def trace_of(recorded: list[bytes], name: str) -> tuple[str, bytes]:
    """The trace of one request: its id, and the spans that a backend keeps of it, in protobuf."""
    everything = TracesData.FromString(b"".join(recorded))
    spans = [s for r in everything.resource_spans for g in r.scope_spans for s in g.spans]
    wanted = next(
        span.trace_id for span in spans if any(f"/notes/{name}" == pair.value.string_value for pair in span.attributes)
    )
    for resource in everything.resource_spans:
        for group in resource.scope_spans:
            kept = [span for span in group.spans if span.trace_id == wanted]
            del group.spans[:]
            group.spans.extend(kept)
    return wanted.hex(), everything.SerializeToString()


@pytest.fixture(params=["jaeger", "tempo"])
def url(request: pytest.FixtureRequest, recorded: list[bytes]) -> Iterator[str]:
    """The URL of the second request's trace in a backend."""
    trace_id, trace = trace_of(recorded, "b")
    document = json.dumps({"result": protobuf.document(trace)}).encode()
    answers: dict[str, Answers] = {
        "jaeger": {f"/api/v3/traces/{trace_id}?raw_traces=true": (200, "application/json", document)},
        "tempo": {f"/api/traces/{trace_id}": (200, "application/protobuf", trace)},
    }
    with serving(answers[request.param]) as backend:
        yield f"{request.param}://{backend.place}/{trace_id}"


def verified(source: str, folder: Path) -> str:
    """Replay and verify a source with the database gone; give what was said."""
    env = {**os.environ, "MONGODB_URI": NOWHERE, "FLASK_RUN_PORT": str(free_port())}
    command = [*REPLAY, source, "--verify", "--", *FLASK]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.system
def test_a_trace_of_a_backend_replays(url: str, folder: Path) -> None:
    """Under the launcher, without the session that other traces hold."""
    assert "1 checked, 1 passed, 0 differ; 2 calls answered" in verified(url, folder)


def test_a_trace_of_a_backend_replays_without_the_launcher(url: str, folder: Path) -> None:
    """The app asks the backend itself, by TIMETRACER_CASSETTE, before anything is refused; nothing stays behind."""
    port, temporary = free_port(), folder / url.partition(":")[0]
    temporary.mkdir()
    env = {
        **os.environ,
        "MONGODB_URI": NOWHERE,
        "TIMETRACER_MODE": "replay",
        "TIMETRACER_CASSETTE": url,
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "TMPDIR": str(temporary),
    }
    with Program([*OTEL, *FLASK, "--port", str(port)], log=folder / "log", env=env, cwd=folder) as program:
        program.wait_for_port(port)
        assert get(port, "/notes/b") == b'{"_id":"b","read":1}\n'
        with pytest.raises(urllib.error.HTTPError):
            get(port, "/notes/a")
        program.kill()
    assert [path.name for path in temporary.iterdir() if path.name.startswith("timetracer-")] == []


@pytest.mark.system
def test_every_command_takes_the_url(url: str, tmp_path: Path, timetracer: Command) -> None:
    """List, show, diff, bundle and import."""
    (row,) = json.loads(timetracer("list", url, "--json").stdout)
    assert (row["method"], row["target"], row["calls"]) == ("GET", "/notes/b", 2)
    assert row["file"] == url
    shown = json.loads(timetracer("show", url, "--json").stdout)
    assert shown["lanes"][0]["file"] == url
    assert shown["lanes"][0]["response"]["body"]["text"] == '{"_id":"b","read":1}\n'
    assert timetracer("bundle", url, "-o", tmp_path / "b.jsonl.gz").returncode == 0
    assert timetracer("diff", url, tmp_path / "b.jsonl.gz").returncode == 0
    done = timetracer("import", url, "--to", tmp_path / "to")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'to'}: 1 lane and 0 sessions imported\n")
    assert timetracer("diff", tmp_path / "to", tmp_path / "b.jsonl.gz").returncode == 0


@pytest.mark.system
def test_a_killed_collectors_file_is_salvaged(
    recorded: list[bytes], folder: Path, tmp_path: Path, timetracer: Command
) -> None:
    """Reading refuses it and says what to do; the import takes all but the last message, and that replays."""
    whole = b"".join(struct.pack(">I", len(body)) + body for body in recorded)
    cut = tmp_path / "traces.binpb"
    cut.write_bytes(whole + struct.pack(">I", 5000) + recorded[0][:100])
    refused = timetracer("show", cut)
    assert refused.returncode == 2
    assert (
        f"{cut}: message {len(recorded) + 1}, at byte {len(whole)}: is cut short, it has 100 of its 5000"
        in refused.stderr
    )
    assert "`timetracer import` takes the messages before it" in refused.stderr
    done = timetracer("import", cut, "--to", tmp_path / "to")
    assert done.returncode == 2
    assert done.stdout == f"{tmp_path / 'to'}: 2 lanes and 1 session imported\n"
    assert done.stderr.startswith(f"timetracer: left out: {cut}: message {len(recorded) + 1}, at byte")
    assert "2 checked, 2 passed, 0 differ" in verified(str(tmp_path / "to"), folder)


def test_bad_sources_are_errors(tmp_path: Path, timetracer: Command) -> None:
    """Exit status 2 and one line, for each command."""
    for command in ("show", "list", "import"):
        done = timetracer(command, "jaeger://me:secret@127.0.0.1:1/abc", cwd=tmp_path)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert line.startswith("timetracer: jaeger://127.0.0.1:1/abc: cannot be reached (")


def test_an_import_names_a_file_once(tmp_path: Path, timetracer: Command) -> None:
    """A log of thousands of lines is one wrong file."""
    log = tmp_path / "app.log"
    log.write_text("it began\nit ended\n" * 300)
    done = timetracer("import", log, "--to", tmp_path / "to")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"timetracer: left out: {log}, line 1: is not JSON (")
    assert line.endswith("(and 599 more faults in this file)")


def test_an_import_of_nothing_is_an_error(tmp_path: Path, timetracer: Command) -> None:
    """As is a source that is not there."""
    (tmp_path / "empty").mkdir()
    done = timetracer("import", "empty", cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        ["timetracer: empty: no cassette in this directory: no file in it holds OTLP traces"],
    )
