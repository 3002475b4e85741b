"""A trace of Jaeger or Tempo, from a loopback server that answers as they do. What a real Jaeger answers: tests/jaeger.

The shapes are those of jaegertracing/jaeger, cmd/query/app/apiv3/http_gateway.go (``{"result": TracesData}``, errors as
``{"error": {"httpCode": …, "message": …}}``), and of grafana/tempo, pkg/tempopb/tempo.proto (TraceByIDResponse: field 1
the trace, field 3 its status, 1 for partial) and cmd/tempo (``404 page not found`` in plain text).
"""

from __future__ import annotations

import base64
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.cassette.conftest import lines, read_data
from tests.cassette.test_collector_files import SPANS, proto
from tests.support.backends import Answers, serving
from timetracer_otel.cassette import files, reading, storage, traces_api
from timetracer_otel.cassette.shelf import Shelf
from timetracer_otel.errors import CassetteError

ID = "0af7651916cd43dd8448eb211c80319c"


def otlp() -> dict[str, Any]:
    """The spans as OTLP/JSON."""
    first, second = (json.loads(line) for line in lines(SPANS).splitlines())
    return {"resourceSpans": first["resourceSpans"] + second["resourceSpans"]}


def response(status: int = 0) -> bytes:
    """Tempo's TraceByIDResponse."""
    trace = proto(*SPANS)
    size = bytes([len(trace) & 0x7F | 0x80, len(trace) >> 7])
    return b"\x0a" + size + trace + b"\x12\x02\x08\x05" + (bytes([0x18, status]) if status else b"")


JAEGER = f"/api/v3/traces/{ID}?raw_traces=true"
TEMPO, TEMPO_1 = f"/api/v2/traces/{ID}", f"/api/traces/{ID}"
PROTO = "application/protobuf"


@pytest.mark.parametrize(
    ("scheme", "answers"),
    [
        ("jaeger", {JAEGER: (200, "application/json", json.dumps({"result": otlp()}).encode())}),
        ("jaeger", {JAEGER: (200, "application/json", json.dumps(otlp()).encode())}),
        ("tempo", {TEMPO: (200, PROTO, response())}),
        ("tempo", {TEMPO_1: (200, PROTO, proto(*SPANS))}),
        ("tempo", {TEMPO: (200, PROTO, b""), TEMPO_1: (200, PROTO, proto(*SPANS))}),
    ],
)
def test_a_trace_is_given_whole(tmp_path: Path, scheme: str, answers: Answers) -> None:
    """Ids, kinds, times, events, links and values of every type, as they were exported."""
    with serving(answers) as backend:
        (path,) = storage.find([f"{scheme}://{backend.place}/{ID.upper()}"], tmp_path)
    assert list(reading.read_spans(path)) == read_data(tmp_path / "expected", lines(SPANS))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_below_a_path_with_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base path, user and password of the URL, and headers of the environment are used."""
    monkeypatch.setenv("TIMETRACER_BACKEND_HEADERS", "X-Scope-OrgID=team%20a, X-Other=1")
    with serving({"/base" + TEMPO: (200, PROTO, response())}) as backend:
        storage.find([f"tempo://me:p%40ss@{backend.place}/base/{ID}"], tmp_path)
        ((_, headers),) = backend.asked
    assert headers["authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert (headers["x-scope-orgid"], headers["x-other"], headers["accept"]) == ("team a", "1", PROTO)


def absent(url: str) -> str:
    """Jaeger's answer for a trace that it does not have."""
    return json.dumps({"error": {"httpCode": 404, "message": url}})


@pytest.mark.parametrize(
    ("scheme", "answers", "cause"),
    [
        ("jaeger", {JAEGER: (404, "application/json", absent("trace not found").encode())}, "has no such trace"),
        ("jaeger", {JAEGER: (404, "text/plain", absent("No traces found").encode())}, "has no such trace"),
        ("jaeger", {JAEGER: (200, "application/json", b'{"result": {"resourceSpans": []}}')}, "has no such trace"),
        ("jaeger", {}, "answers '404 page not found' to /api/v3: is this Jaeger's"),
        ("jaeger", {JAEGER: (200, "text/html", b"<!doctype html><html>")}, "answers a web page, not OTLP in JSON"),
        ("jaeger", {JAEGER: (200, "application/json", b'{"result": ')}, "not OTLP in JSON"),
        ("jaeger", {JAEGER: (200, "application/json", b"[1]")}, "not OTLP in JSON"),
        ("jaeger", {JAEGER: (200, "application/json", b'{"result": {"resourceSpans": 5}}')}, "is 5, not a list"),
        ("jaeger", {JAEGER: (401, "text/plain", b"no")}, "answers 401: asks for credentials"),
        ("jaeger", {JAEGER: (403, "text/plain", b"no")}, "answers 403: refuses these credentials"),
        ("jaeger", {JAEGER: (302, "text/html", b"")}, "answers 302: leads elsewhere, probably to a login page"),
        ("jaeger", {JAEGER: (500, "text/plain", b"storage is down")}, "answers 500: 'storage is down'"),
        ("jaeger", {JAEGER: (200, "cut", b'{"result": {}}')}, "ended its answer after 14 bytes"),
        ("jaeger", {JAEGER: (200, "application/json", b" " * 5000)}, "answers more than 3000 bytes"),
        ("tempo", {}, "has no such trace"),
        ("tempo", {TEMPO: (200, PROTO, response(1))}, "has only a part of this trace"),
        ("tempo", {TEMPO_1: (206, PROTO, proto(*SPANS))}, "could read only a part of this trace"),
        ("tempo", {TEMPO_1: (200, "application/json", b"{}")}, "not protobuf"),
        ("tempo", {TEMPO_1: (200, "text/html", b"<html>login</html>")}, "answers a web page, not protobuf"),
        ("tempo", {TEMPO: (200, PROTO, response()[:-20])}, "answers what is no OTLP"),
        ("tempo", {TEMPO: (200, PROTO, b"\x0a\xff")}, "answers what is no OTLP"),
        ("tempo", {TEMPO_1: (200, PROTO, b"\xff\xff\xff")}, "answers what is no OTLP"),
    ],
)
def test_other_answers_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, answers: Answers, cause: str
) -> None:
    """Each names the URL, without what is secret in it, and the cause."""
    monkeypatch.setattr(files, "MAX_MESSAGE", 3000)
    with serving(answers) as backend, pytest.raises(CassetteError) as caught:
        storage.find([f"{scheme}://me:secret@{backend.place}/{ID}"], tmp_path)
    assert cause in str(caught.value)
    assert f"{scheme}://{backend.place}/{ID}" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("jaeger://127.0.0.1", "ends in no trace id"),
        ("jaeger://127.0.0.1/../../etc/passwd", "ends in no trace id"),
        (f"tempo://127.0.0.1/{ID}0", "ends in no trace id"),
        (f"tempo://127.0.0.1:1/{ID}", "cannot be reached"),
        (f"jaeger://:secret@127.0.0.1:port/{ID}", "cannot be reached"),
        (f"jaeger+https://127.0.0.1:1/{ID}", "cannot be reached"),
    ],
)
def test_wrong_urls_are_errors(tmp_path: Path, url: str, cause: str) -> None:
    """Nobody is asked what makes no sense."""
    with pytest.raises(CassetteError, match=cause) as caught:
        storage.find([url], tmp_path)
    assert "secret" not in str(caught.value)


def test_a_silent_backend_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while."""
    monkeypatch.setattr(traces_api, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(CassetteError, match="cannot be reached"):
        storage.find([f"tempo://127.0.0.1:{silent.getsockname()[1]}/{ID}"], tmp_path)


def test_a_trace_without_a_session_loads(tmp_path: Path) -> None:
    """A backend has the lanes of the trace; the process's own calls are in other traces."""
    with serving({TEMPO: (200, PROTO, response())}) as backend:
        own = Shelf.of(storage.find([f"tempo://{backend.place}/{ID}"], tmp_path))
    assert [lane.id for lane in own.lanes] == [ID]
    assert own.sessions == {}
