"""Traces that a real Jaeger kept: its answers are read, compared with the files of the same run, and replayed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from examples.support import free_port
from scripts.record_jaeger import APP, ASKS, ELSEWHERE, UNKNOWN
from tests.cli.conftest import run as timetracer
from tests.jaeger.conftest import Exchange
from tests.support.backends import serving
from tests.support.commands import REPLAY
from timetracer_otel import spans
from timetracer_otel.cassette.finding import find
from timetracer_otel.cassette.loading import load
from timetracer_otel.cassette.model import Lane, Span

TARGETS = [target for _, target, _, _ in ASKS]
CALLS = {"/spans": 1, "/fail": 1}


def told(span: Span) -> dict[str, object]:
    """All that a span says. Its resource is the host's on one way, and ours on the other."""
    attributes: Mapping[str, object] = {
        name: repr(value) for name, value in span.attributes.items() if not name.endswith(spans.PARTS)
    }
    fields = ("trace_id", "span_id", "parent_id", "name", "kind", "start", "end", "scope", "events", "links")
    more = ("status_code", "status_message", "trace_state", "session_id")
    return {**{name: getattr(span, name) for name in (*fields, *more)}, "attributes": attributes}


def lane_of(source: str | Path, trace_id: str, folder: Path) -> Lane:
    """One lane of a file or a backend."""
    lane = load(find([str(source)], folder)).lane(trace_id)
    assert lane is not None
    return lane


@pytest.mark.parametrize("target", TARGETS)
def test_jaeger_gives_what_the_files_have(exchange: Exchange, tmp_path: Path, target: str) -> None:
    """Ids, times to the nanosecond, events, links, states, values of every type, payloads of 1.6 MB in chunks."""
    trace_id = exchange.recorded.traces[target]
    ours, theirs = (lane_of(source, trace_id, tmp_path) for source in (exchange.direct, exchange.url(target)))
    assert (theirs.id, theirs.session_id) == (ours.id, ours.session_id)
    assert [told(span) for span in theirs.spans] == [told(span) for span in ours.spans]
    assert theirs.entry is not None
    sent = next(body for _, asked, body, _ in ASKS if asked == target)
    assert theirs.entry.payload(spans.HTTP_REQUEST_BODY) == sent


def test_everything_is_in_the_exchange(exchange: Exchange, tmp_path: Path) -> None:
    """Events with an exception, links, an error, and values of every type: or the comparison would say little."""
    lanes = [lane_of(exchange.url(target), exchange.recorded.traces[target], tmp_path) for target in TARGETS]
    found = {span.name: span for lane in lanes for span in lane.spans}
    outer, inner = found["outer"], found["inner"]
    assert {type(value) for value in outer.attributes.values()} >= {str, bool, int, float, list, bytes}
    assert (outer.attributes["large"], outer.attributes["numbers"]) == (2**63 - 1, [1, 2**53 + 1])
    assert outer.attributes["bytes"] == bytes(range(256))
    assert [link.attributes for link in outer.links] == [{"why": "grün ✓"}]
    assert (inner.status_code, inner.status_message) == (2, "did not work: ärgerlich")
    assert [event.attributes["exception.message"] for event in found["GET /fail"].events] == ["on purpose: schön"]
    assert [span.start % 1000 for lane in lanes for span in lane.spans if span.start % 1000]


@pytest.mark.system
@pytest.mark.parametrize("target", ["/notes/large", "/spans", "/fail"])
def test_it_replays(exchange: Exchange, target: str) -> None:
    """With the database gone, from Jaeger's answer alone; each request is answered as it was recorded."""
    env = {**os.environ, "MONGODB_URI": "mongodb://127.0.0.1:9/", "FLASK_RUN_PORT": str(free_port())}
    env.pop("TIMETRACER_JAEGER", None)
    command = [*REPLAY, exchange.url(target), "--verify", "--", sys.executable, "-m", "flask", "--app", "app", "run"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=APP, env=env, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"1 checked, 1 passed, 0 differ; {CALLS.get(target, 2)} calls answered" in done.stdout


@pytest.mark.system
def test_it_is_imported(exchange: Exchange, tmp_path: Path) -> None:
    """``timetracer import`` makes a cassette of it in which ``timetracer diff`` finds nothing else than in the file."""
    for target in TARGETS:
        done = timetracer("import", exchange.url(target), "--to", tmp_path / "to")
        assert (done.returncode, done.stderr) == (0, "")
    done = timetracer("diff", tmp_path / "to", exchange.direct)
    assert done.returncode == 0, done.stdout
    rows = json.loads(timetracer("list", tmp_path / "to", "--json").stdout)
    assert sorted(row["target"] for row in rows) == sorted(TARGETS)


@pytest.mark.parametrize(
    ("base", "cause"),
    [
        ("", "the backend has no such trace: check the id"),
        (ELSEWHERE, "the backend answers a web page, not OTLP in JSON"),
    ],
)
def test_what_jaeger_does_not_have_is_an_error(exchange: Exchange, tmp_path: Path, base: str, cause: str) -> None:
    """A trace that it never saw; a path where its user interface is."""
    url = f"jaeger://{exchange.place}{base}/{UNKNOWN}"
    done = timetracer("show", url, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"timetracer: {url}: {cause}")


def test_an_answer_that_is_cut_is_an_error(exchange: Exchange, tmp_path: Path) -> None:
    """Wherever that happens, and whoever did it."""
    trace_id = exchange.recorded.traces["/fail"]
    path = f"/api/v3/traces/{trace_id}?raw_traces=true"
    status, kind, body = exchange.recorded.answers[path]
    for end in (0, 1, 20, len(body) // 2, len(body) - 2):
        with serving({path: (status, kind, body[:end])}) as backend:
            done = timetracer("show", f"jaeger://{backend.place}/{trace_id}", cwd=tmp_path)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert "not OTLP in JSON" in line
